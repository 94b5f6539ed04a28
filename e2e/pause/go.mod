module pharos.test/pause

go 1.24.0
