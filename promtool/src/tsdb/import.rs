//! `tsdb create-blocks-from openmetrics`: blocks of the samples in a file.

use super::writer::BlocksWriter;
use super::{DEFAULT_DIR, Printing};
use crate::progress::Progress;
use crate::{Failure, Outcome, cli, text};
use clap::Args;
use exposition::{Entry, Format, Parser, decode_labels};
use model::{Labels, LabelsBuilder};
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;
use std::path::PathBuf;
use tsdb::DEFAULT_BLOCK_DURATION_MS;
use tsdb::disk::{Disk as _, RealDisk};

/// What `create-blocks-from openmetrics` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Label (NAME=VALUE) that all series get. Can be repeated.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = cli::key_value)]
    labels: Vec<(String, String)>,
    /// Longest time that one block may cover.
    #[arg(long, hide = true, default_value = "2h", value_parser = cli::duration)]
    max_block_duration: i64,
    /// File in the OpenMetrics format, every sample with its time.
    #[arg(value_name = "INPUT FILE")]
    input: PathBuf,
    /// Where the blocks go.
    #[arg(value_name = "OUTPUT DIRECTORY", default_value = DEFAULT_DIR)]
    output: PathBuf,
}

/// The range of blocks for a longest one: two hours, or three times that, again and again.
pub(super) fn block_range(longest_ms: i64) -> i64 {
    let longest = longest_ms.max(DEFAULT_BLOCK_DURATION_MS);
    tsdb::compact::ranges(DEFAULT_BLOCK_DURATION_MS, longest)
        .last()
        .copied()
        .unwrap_or(DEFAULT_BLOCK_DURATION_MS)
}

pub(crate) fn run(options: &Options, printing: Printing, clock: &SharedClock) -> Outcome {
    if let Err(error) = std::fs::metadata(&options.input) {
        return Err(Failure::new(format!("stat {}: {}", options.input.display(), text::reason(&error))));
    }
    let bytes = RealDisk.map(&options.input).map_err(Failure::new)?;
    let mut blocks = BlocksWriter::new(&options.output, block_range(options.max_block_duration))?;
    read(&bytes, &options.labels, &mut blocks, &mut Progress::new(clock))?;
    blocks.finish(printing, clock)
}

/// Reads all samples; nothing is written where one is wrong.
fn read(
    bytes: &[u8],
    more: &[(String, String)],
    blocks: &mut BlocksWriter,
    progress: &mut Progress,
) -> Outcome {
    let format = Format::OpenMetrics;
    let mut parser = Parser::new(bytes, format);
    let mut known: FxHashMap<&[u8], u32> = FxHashMap::default();
    let mut last: (&[u8], u32) = (&[], 0);
    loop {
        let series = match parser
            .next(last.0)
            .map_err(|e| Failure::new(format!("getting min and max timestamp: next: {e}")))?
        {
            Some(Entry::Series(series)) => series,
            Some(_) => continue,
            None => return Ok(()),
        };
        let id = if series.raw == last.0 {
            last.1
        } else if let Some(&id) = known.get(series.raw) {
            id
        } else {
            let labels = decode_labels(series.raw, format).map_err(|cause| {
                Failure::new(format!("getting min and max timestamp: next: {}", parser.error(cause)))
            })?;
            let id = blocks.series(with(&labels, more))?;
            known.insert(series.raw, id);
            progress.step("bytes", parser.position() as u64, bytes.len() as u64);
            id
        };
        last = (series.raw, id);
        let Some(t) = series.timestamp else {
            let line = parser.line();
            return Err(Failure::new(format!(
                "getting min and max timestamp: expected timestamp for series got none in line {line}"
            )));
        };
        blocks.add(id, t, series.value)?;
    }
}

fn with(labels: &Labels, more: &[(String, String)]) -> Labels {
    if more.is_empty() {
        return labels.clone();
    }
    let mut builder = LabelsBuilder::new(labels);
    more.iter().for_each(|(name, value)| {
        builder.set(name, value);
    });
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_blocks() {
        let hours = |h: i64| h * 3_600_000;
        for (longest, range) in [(1, 2), (2, 2), (5, 2), (6, 6), (24, 18), (240, 162)] {
            assert_eq!(block_range(hours(longest)), hours(range));
        }
    }
}
