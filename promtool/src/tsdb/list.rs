//! `tsdb list`: a line for each block.

use super::{Database, open_blocks};
use crate::{Outcome, text};
use clap::Args;
use std::io::Write as _;
use tsdb::block::Block;

/// What `tsdb list` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print sizes and times for people.
    #[arg(short = 'r', long)]
    human_readable: bool,
    #[command(flatten)]
    database: Database,
}

/// The columns' heads.
const HEADER: [&str; 8] =
    ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"];
/// Least width of a column, and the gap behind it.
const LAYOUT: (usize, usize) = (13, 2);

pub(crate) fn run(options: &Options) -> Outcome {
    let blocks = open_blocks(&options.database.path)?;
    let blocks: Vec<&Block> = blocks.iter().collect();
    let table = format(&blocks, true, options.human_readable);
    Ok(std::io::stdout().write_all(table.as_bytes())?)
}

/// The lines of blocks, with the heads of the columns where wanted.
pub(crate) fn format(blocks: &[&Block], header: bool, human_readable: bool) -> String {
    let mut lines = Vec::new();
    if header {
        lines.push(HEADER.map(str::to_owned).to_vec());
    }
    for block in blocks {
        let meta = block.meta();
        let time = |ms: i64| if human_readable { text::utc(ms) } else { ms.to_string() };
        let size = block.size();
        lines.push(vec![
            meta.ulid.to_string(),
            time(meta.min_time),
            time(meta.max_time),
            text::duration_ms(meta.max_time - meta.min_time),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            if human_readable { config::Size::from_bytes(size).to_string() } else { size.to_string() },
        ]);
    }
    text::table(&lines, LAYOUT.0, LAYOUT.1)
}
