//! Samples in any order, sorted into windows of time in bounded memory: what is too much goes to files.

use crate::{Failure, Outcome};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tsdb::disk::{Disk as _, RealDisk};

/// Samples held in memory: 96 MiB of them.
const HELD: usize = 4 << 20;
/// Bytes of a sample in a file: series, time, value.
const RECORD: usize = 4 + 8 + 8;

/// A sample of a series by its number.
#[derive(Clone, Copy, Debug)]
struct Record {
    series: u32,
    t: i64,
    v: f64,
}

/// A sample of a series by its place in the order of the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    pub(super) rank: u32,
    pub(super) t: i64,
    pub(super) v: f64,
}

/// The samples of one window.
#[derive(Debug, Default)]
pub(super) struct Window {
    held: Vec<Record>,
    file: Option<PathBuf>,
    limit: usize,
}

/// Collects samples.
#[derive(Debug)]
pub(super) struct Spill {
    dir: PathBuf,
    window_ms: i64,
    limit: usize,
    held: usize,
    windows: BTreeMap<i64, Window>,
    /// Where files are; made at the first.
    files: Option<PathBuf>,
}

impl Spill {
    /// For blocks below `dir`; files go there too, as long as this lives.
    pub(super) fn new(dir: &Path, window_ms: i64) -> Self {
        Spill::with_limit(dir, window_ms, HELD)
    }

    fn with_limit(dir: &Path, window_ms: i64, limit: usize) -> Self {
        Spill { dir: dir.to_owned(), window_ms, limit, held: 0, windows: BTreeMap::new(), files: None }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn num_windows(&self) -> usize {
        self.windows.len()
    }

    pub(super) fn add(&mut self, series: u32, t: i64, v: f64) -> Outcome {
        let limit = self.limit;
        let window = self.windows.entry(t.div_euclid(self.window_ms)).or_default();
        window.limit = limit;
        window.held.push(Record { series, t, v });
        self.held += 1;
        if self.held >= limit { self.write_out() } else { Ok(()) }
    }

    /// Appends all that is held to the windows' files.
    fn write_out(&mut self) -> Outcome {
        let files = match &self.files {
            Some(files) => files,
            None => {
                let name = format!("tmp_import{:016x}", RealDisk.random());
                let files = self.dir.join(name);
                std::fs::create_dir(&files)?;
                self.files.insert(files)
            }
        };
        for (number, window) in self.windows.iter_mut().filter(|(_, w)| !w.held.is_empty()) {
            let path = window.file.get_or_insert_with(|| files.join(format!("{number}")));
            let file = File::options().append(true).create(true).open(path)?;
            let mut out = BufWriter::with_capacity(1 << 16, file);
            for record in std::mem::take(&mut window.held) {
                out.write_all(&record.series.to_le_bytes())?;
                out.write_all(&record.t.to_le_bytes())?;
                out.write_all(&record.v.to_bits().to_le_bytes())?;
            }
            out.flush()?;
        }
        self.held = 0;
        Ok(())
    }

    /// Takes the oldest window.
    pub(super) fn next_window(&mut self) -> Result<Option<Window>, Failure> {
        if self.files.is_some() && self.held > 0 {
            self.write_out()?; // so that a window is either in memory or in its file
        }
        Ok(self.windows.pop_first().map(|(_, window)| window))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if let Some(files) = &self.files
            && let Err(error) = std::fs::remove_dir_all(files)
        {
            tracing::warn!(%error, dir = %files.display(), "cannot remove files of the import");
        }
    }
}

impl Window {
    /// Calls `each` with the samples of each series, in order of time, equal times in the order of their coming; series in
    /// order of `rank`, which is indexed by their numbers. What is in a file is read in parts that fit into memory.
    pub(super) fn by_rank(&self, rank: &[u32], mut each: impl FnMut(&[Ranked]) -> Outcome) -> Outcome {
        let Some(path) = &self.file else {
            return in_groups(self.held.iter().map(|r| ranked(r, rank)).collect(), each);
        };
        let mut counts = vec![0u32; rank.len()];
        self.read(path, |record| counts[rank[record.series as usize] as usize] += 1)?;
        let mut from = 0;
        while from < counts.len() {
            let (mut to, mut sum) = (from, 0);
            // one series at least, however long it is
            while to < counts.len() && (to == from || sum + counts[to] as usize <= self.limit) {
                sum += counts[to] as usize;
                to += 1;
            }
            if sum > 0 {
                let mut samples = Vec::with_capacity(sum);
                self.read(path, |record| {
                    let sample = ranked(record, rank);
                    if (from..to).contains(&(sample.rank as usize)) {
                        samples.push(sample);
                    }
                })?;
                in_groups(samples, &mut each)?;
            }
            from = to;
        }
        Ok(())
    }

    fn read(&self, path: &Path, mut each: impl FnMut(&Record)) -> Outcome {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
        let mut bytes = [0u8; RECORD];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(e.into()),
            }
            let (Some(series), Some(t), Some(v)) =
                (bytes.first_chunk(), bytes[4..].first_chunk(), bytes[12..].first_chunk())
            else {
                return Ok(());
            };
            each(&Record {
                series: u32::from_le_bytes(*series),
                t: i64::from_le_bytes(*t),
                v: f64::from_bits(u64::from_le_bytes(*v)),
            });
        }
    }
}

fn ranked(record: &Record, rank: &[u32]) -> Ranked {
    Ranked { rank: rank[record.series as usize], t: record.t, v: record.v }
}

/// Sorts samples by series and time, and hands out each series'.
fn in_groups(mut samples: Vec<Ranked>, mut each: impl FnMut(&[Ranked]) -> Outcome) -> Outcome {
    samples.sort_by_key(|s| (s.rank, s.t)); // stable: equal times stay as they came
    samples.chunk_by(|a, b| a.rank == b.rank).try_for_each(&mut each)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that comes out, for a limit of memory.
    fn sorted(limit: usize) -> Vec<(u32, i64, f64)> {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::with_limit(dir.path(), 100, limit);
        for i in 0..500i64 {
            let (series, t) = (i * 7 % 5, i * 37 % 301 - 50);
            spill.add(series as u32, t, i as f64).unwrap();
        }
        let rank = [4, 2, 0, 1, 3];
        let mut all = Vec::new();
        let mut last = i64::MIN;
        while let Some(window) = spill.next_window().unwrap() {
            let mut number = None;
            window
                .by_rank(&rank, |samples| {
                    number = Some(samples[0].t.div_euclid(100));
                    assert!(samples.iter().all(|s| Some(s.t.div_euclid(100)) == number));
                    all.extend(samples.iter().map(|s| (s.rank, s.t, s.v)));
                    Ok(())
                })
                .unwrap();
            assert!(number.unwrap() > last);
            last = number.unwrap();
        }
        drop(spill);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files are removed");
        all
    }

    #[test]
    fn files_change_nothing_but_the_memory() {
        let in_memory = sorted(10_000);
        assert_eq!(in_memory.len(), 500);
        assert!(in_memory.is_sorted_by_key(|&(rank, t, _)| (t.div_euclid(100), rank, t)));
        for limit in [1, 7, 64, 499] {
            assert_eq!(sorted(limit), in_memory, "limit {limit}");
        }
    }
}
