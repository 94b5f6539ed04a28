//! Writes samples of many series as blocks, one a window of time, and tells of them.

use super::spill::{Spill, Window};
use super::{Printing, list};
use crate::progress::Progress;
use crate::{Failure, Outcome};
use model::Labels;
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::Arc;
use tsdb::block::{Block, BlockWriter, Compaction};
use tsdb::disk::{Disk, RealDisk};

/// Takes samples in any order, then writes them as blocks.
pub(super) struct BlocksWriter {
    ids: FxHashMap<Labels, u32>,
    series: Vec<Labels>,
    samples: Spill,
}

impl BlocksWriter {
    /// Makes blocks of `window_ms` below `dir`, which is created where it is missing.
    pub(super) fn new(dir: &Path, window_ms: i64) -> Result<Self, Failure> {
        RealDisk.create_dir_all(dir).map_err(Failure::new)?;
        Ok(BlocksWriter {
            ids: FxHashMap::default(),
            series: Vec::new(),
            samples: Spill::new(dir, window_ms),
        })
    }

    /// The number of a series.
    pub(super) fn series(&mut self, labels: Labels) -> Result<u32, Failure> {
        if let Some(&id) = self.ids.get(&labels) {
            return Ok(id);
        }
        let id =
            u32::try_from(self.series.len()).map_err(|_| Failure::new("more than 4,294,967,296 series"))?;
        self.series.push(labels.clone());
        self.ids.insert(labels, id);
        Ok(id)
    }

    /// Adds a sample, milliseconds since the epoch.
    pub(super) fn add(&mut self, series: u32, t: i64, v: f64) -> Outcome {
        self.samples.add(series, t, v)
    }

    /// Writes all blocks; says of each what the list of blocks says.
    pub(super) fn finish(self, printing: Printing, clock: &SharedClock) -> Outcome {
        let BlocksWriter { series, mut samples, .. } = self;
        let mut in_order: Vec<u32> = (0..series.len() as u32).collect();
        in_order.sort_unstable_by(|&a, &b| series[a as usize].cmp(&series[b as usize]));
        let mut rank = vec![0u32; series.len()];
        in_order.iter().enumerate().for_each(|(at, &id)| rank[id as usize] = at as u32);
        let dir = samples.dir().to_owned();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut progress = Progress::new(clock);
        let total = samples.num_windows() as u64;
        let (mut written, mut dropped) = (0, 0);
        while let Some(window) = samples.next_window()? {
            progress.step("blocks", written, total);
            let ulid = tsdb::block::new_ulid(&*disk, clock.now_ms());
            let mut writer = BlockWriter::create(disk.clone(), &dir, ulid)?;
            let made = write_window(&window, &rank, &in_order, &series, &mut writer);
            let (mint, maxt, repeated) = match made {
                Ok(made) => made,
                Err(error) => {
                    writer.abort()?;
                    return Err(error);
                }
            };
            dropped += repeated;
            let compaction = Compaction { level: 1, ..Compaction::default() };
            let Some(meta) = writer.finish(mint, maxt + 1, compaction)? else { continue };
            if !printing.quiet {
                let block = Block::open(disk.clone(), &dir.join(meta.ulid.to_string()))?;
                progress.clear();
                print!("{}", list::format(&[&block], written == 0, printing.human_readable));
            }
            written += 1;
        }
        if dropped > 0 {
            progress.clear();
            eprintln!("{dropped} samples had the time of another one of their series: the first was kept");
        }
        Ok(())
    }
}

/// Adds a window's series to a block; returns the first and the last time, and how many samples were left out.
fn write_window(
    window: &Window,
    rank: &[u32],
    in_order: &[u32],
    series: &[Labels],
    writer: &mut BlockWriter,
) -> Result<(i64, i64, u64), Failure> {
    let (mut mint, mut maxt, mut repeated) = (i64::MAX, i64::MIN, 0);
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    window.by_rank(rank, |samples| {
        let Some(first) = samples.first() else { return Ok(()) };
        ts.clear();
        vs.clear();
        for sample in samples {
            if ts.last() == Some(&sample.t) {
                repeated += u64::from(vs.last().is_some_and(|v: &f64| v.to_bits() != sample.v.to_bits()));
                continue;
            }
            ts.push(sample.t);
            vs.push(sample.v);
        }
        mint = mint.min(ts[0]);
        maxt = maxt.max(ts[ts.len() - 1]);
        let labels = &series[in_order[first.rank as usize] as usize];
        Ok(writer.add_series_samples(labels, &ts, &vs)?)
    })?;
    Ok((mint, maxt, repeated))
}
