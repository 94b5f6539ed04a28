//! `tsdb analyze`: what fills a block, and what comes and goes in it.

use super::buckets;
use super::{DEFAULT_DIR, check_dir, open_blocks};
use crate::progress::Progress;
use crate::{Failure, Outcome, text};
use clap::Args;
use model::FloatHistogram;
use model::labels::METRIC_NAME;
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use tsdb::FloatColumns;
use tsdb::block::{Block, SeriesRef};
use tsdb::chunk::Encoding;

/// What `tsdb analyze` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many items each list has at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Also tell how full the chunks are.
    #[arg(long)]
    extended: bool,
    /// Look only at the series of this selector.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Directory of the database.
    #[arg(value_name = "DB PATH", default_value = DEFAULT_DIR)]
    path: PathBuf,
    /// Name of the block; the newest made if not given.
    #[arg(value_name = "BLOCK ID")]
    block: Option<String>,
}

/// What a label, or a pair of name and value, takes part in.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    series: u64,
    /// Milliseconds of the block's range in which its series had no sample, summed.
    uncovered: u64,
}

pub(crate) fn run(options: &Options, clock: &SharedClock) -> Outcome {
    let matchers = match &options.selector {
        Some(selector) => promql::parse_matchers(selector).map_err(Failure::new)?,
        None => Vec::new(),
    };
    check_dir(&options.path)?;
    let blocks = open_blocks(&options.path)?;
    let block = match &options.block {
        Some(name) => blocks
            .iter()
            .find(|b| b.meta().ulid.to_string() == *name)
            .ok_or_else(|| Failure::new(format!("invalid block ID {name}")))?,
        None => blocks.iter().max_by_key(|b| b.meta().ulid).ok_or_else(|| Failure::new("no blocks found"))?,
    };
    let series = if matchers.is_empty() {
        block.all_postings()?.collect()
    } else {
        tsdb::read_only::matching(block, &matchers)?
    };
    let mut progress = Progress::new(clock);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let found = Found::of(block, &series, &mut progress)?;
    found.print(block, options, &mut out)?;
    if options.extended {
        fullness(block, &series, &mut progress, &mut out)?;
    }
    Ok(out.flush()?)
}

/// What the series of a block have in common.
#[derive(Default)]
struct Found {
    series: u64,
    /// By name, then by value.
    labels: FxHashMap<String, FxHashMap<String, Share>>,
    /// Pairs over all series.
    entries: u64,
}

impl Found {
    fn of(block: &Block, series: &[SeriesRef], progress: &mut Progress) -> Result<Self, Failure> {
        let mut found = Found::default();
        let range = block.meta().max_time.abs_diff(block.meta().min_time);
        let mut chunks = Vec::new();
        for (i, &one) in series.iter().enumerate() {
            progress.step("series", i as u64, series.len() as u64);
            let labels = block.series(one, &mut chunks)?;
            let covered = match (chunks.first(), chunks.last()) {
                (Some(first), Some(last)) => last.maxt.abs_diff(first.mint),
                _ => 0,
            };
            found.series += 1;
            for (name, value) in &labels {
                found.entries += 1;
                let values = match found.labels.get_mut(name) {
                    Some(values) => values,
                    None => found.labels.entry(name.to_owned()).or_default(),
                };
                let share = match values.get_mut(value) {
                    Some(share) => share,
                    None => values.entry(value.to_owned()).or_default(),
                };
                share.series += 1;
                share.uncovered += range.saturating_sub(covered);
            }
        }
        progress.clear();
        Ok(found)
    }

    /// Each pair of name and value.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str, Share)> {
        self.labels
            .iter()
            .flat_map(|(n, values)| values.iter().map(move |(v, s)| (n.as_str(), v.as_str(), *s)))
    }

    fn print(&self, block: &Block, options: &Options, out: &mut impl Write) -> Outcome {
        let meta = block.meta();
        let range = (meta.max_time - meta.min_time) as f64;
        // series that were missing for the whole range, as many as would leave the same gap
        let churn = |uncovered: u64| (uncovered as f64 / range) as u64;
        writeln!(out, "Block ID: {}", meta.ulid)?;
        writeln!(out, "Duration: {}", text::duration_ms(meta.max_time - meta.min_time))?;
        writeln!(out, "Total Series: {}", meta.stats.num_series)?;
        if let Some(selector) = &options.selector {
            writeln!(out, "Matcher: {selector}")?;
        }
        writeln!(out, "Label names: {}", self.labels.len())?;
        if options.selector.is_some() {
            writeln!(out, "Matched series: {}", self.series)?;
        }
        writeln!(out, "Postings (unique label pairs): {}", self.pairs().count())?;
        writeln!(out, "Postings entries (total label pairs): {}", self.entries)?;
        let mut list = |title: &str, items: Vec<(u64, String)>| -> Outcome {
            writeln!(out, "\n{title}:")?;
            greatest(items, options.limit, out)
        };
        list(
            "Label pairs most involved in churning",
            self.pairs().map(|(n, v, share)| (churn(share.uncovered), format!("{n}={v}"))).collect(),
        )?;
        let names = |figure: &dyn Fn(&FxHashMap<String, Share>) -> u64| -> Vec<(u64, String)> {
            self.labels.iter().map(|(name, values)| (figure(values), name.clone())).collect()
        };
        list(
            "Label names most involved in churning",
            names(&|values| churn(values.values().map(|s| s.uncovered).sum())),
        )?;
        list(
            "Most common label pairs",
            self.pairs().map(|(n, v, share)| (share.series, format!("{n}={v}"))).collect(),
        )?;
        list(
            "Label names with highest cumulative label value length",
            names(&|values| values.keys().map(|v| v.len() as u64).sum()),
        )?;
        list("Highest cardinality labels", names(&|values| values.len() as u64))?;
        let metrics = self.labels.get(METRIC_NAME);
        list(
            "Highest cardinality metric names",
            metrics.into_iter().flatten().map(|(name, share)| (share.series, name.clone())).collect(),
        )
    }
}

/// Prints the greatest first, equal ones by name.
fn greatest(mut items: Vec<(u64, String)>, limit: usize, out: &mut impl Write) -> Outcome {
    items.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (figure, name) in items.iter().take(limit) {
        writeln!(out, "{figure} {name}")?;
    }
    Ok(())
}

/// How many samples, bytes and buckets the chunks hold.
fn fullness(block: &Block, series: &[SeriesRef], progress: &mut Progress, out: &mut impl Write) -> Outcome {
    let (mut float_samples, mut float_bytes) = (Vec::new(), Vec::new());
    let (mut samples, mut bytes, mut bucket_counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut chunks = Vec::new();
    for (i, &one) in series.iter().enumerate() {
        progress.step("chunks of series", i as u64, series.len() as u64);
        block.series_chunks(one, &mut chunks)?;
        for chunk in &chunks {
            let (encoding, data) = block.chunk(chunk.ref_)?;
            let count = u64::from(encoding.num_samples(data));
            if !encoding.is_histogram() {
                float_samples.push(count);
                float_bytes.push(data.len() as u64);
                continue;
            }
            samples.push(count);
            bytes.push(data.len() as u64);
            bucket_counts.push(histogram_buckets(encoding, data)?);
        }
    }
    progress.clear();
    let total = float_samples.len() + samples.len();
    writeln!(out, "\nCompaction analysis:\n")?;
    for (what, figures) in [
        ("samples per float chunk", float_samples),
        ("bytes per float chunk", float_bytes),
        ("samples per histogram chunk", samples),
        ("bytes per histogram chunk", bytes),
        ("buckets per histogram chunk", bucket_counts),
    ] {
        out.write_all(buckets::draw(what, figures, total).as_bytes())?;
    }
    Ok(())
}

/// Buckets of all histograms of a chunk together.
fn histogram_buckets(encoding: Encoding, data: &[u8]) -> Result<u64, Failure> {
    let mut samples = FloatColumns::default();
    samples.read_chunk(encoding, data, i64::MIN, i64::MAX).map_err(Failure::new)?;
    let of = |h: &FloatHistogram| (h.positive_buckets.len() + h.negative_buckets.len()) as u64;
    Ok(samples.histograms.iter().map(|(_, h)| of(h)).sum())
}
