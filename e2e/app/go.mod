module pharos.test/app

go 1.24.0
