//! `tsdb dump` and `tsdb dump-openmetrics`: what a database holds, as text.

use super::{Database, check_dir};
use crate::progress::Progress;
use crate::{Failure, Outcome, text};
use clap::{Args, ValueEnum};
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use model::{Labels, Matcher};
use runtime::clock::SharedClock;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use tsdb::read_only::ReadOnlyDb;
use tsdb::{FloatColumns, SeriesEntry};

/// Which samples.
#[derive(Args, Debug)]
pub(crate) struct Selected {
    /// Directory in which the sandbox for the replay of the log is made; the database's own if not given.
    #[arg(long, value_name = "DIR")]
    sandbox_dir_root: Option<PathBuf>,
    /// First time, in milliseconds since the epoch.
    #[arg(long, default_value_t = i64::MIN, allow_negative_numbers = true)]
    min_time: i64,
    /// Last time, in milliseconds since the epoch.
    #[arg(long, default_value_t = i64::MAX, allow_negative_numbers = true)]
    max_time: i64,
    /// Series selector. Can be repeated: what any of them selects.
    #[arg(long = "match", value_name = "SELECTOR", default_value = "{__name__=~'(?s:.*)'}")]
    selectors: Vec<String>,
    #[command(flatten)]
    database: Database,
}

/// What `tsdb dump` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    selected: Selected,
    /// Form of the output.
    #[arg(long, default_value = "prom")]
    format: Format,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A line a sample.
    Prom,
    /// A line a series: its labels as JSON.
    #[value(name = "seriesjson")]
    SeriesJson,
}

/// `tsdb dump`.
pub(crate) fn run(options: &Options, clock: &SharedClock) -> Outcome {
    match options.format {
        Format::Prom => options.selected.write(clock, |labels, samples, out| {
            let labels = labels.to_string();
            let mut histograms = samples.histograms.iter().peekable();
            for (i, (t, v)) in samples.ts.iter().zip(&samples.vs).enumerate() {
                match histograms.next_if(|(at, _)| *at == i) {
                    Some((_, histogram)) => writeln!(out, "{labels} {histogram} {t}")?,
                    None => writeln!(out, "{labels} {} {t}", text::general(*v))?,
                }
            }
            Ok(())
        }),
        Format::SeriesJson => options.selected.write(clock, |labels, _, out| {
            serde_json::to_writer(&mut *out, labels)?;
            out.write_all(b"\n")
        }),
    }
}

/// `tsdb dump-openmetrics`.
pub(crate) fn openmetrics(selected: &Selected, clock: &SharedClock) -> Outcome {
    selected.write(clock, |labels, samples, out| {
        let name = openmetrics_name(labels);
        let mut histograms = samples.histograms.iter().peekable();
        for (i, (t, v)) in samples.ts.iter().zip(&samples.vs).enumerate() {
            if histograms.next_if(|(at, _)| *at == i).is_some() {
                continue;
            }
            let sign = if *t < 0 { "-" } else { "" };
            let ms = t.unsigned_abs();
            writeln!(out, "{name} {} {sign}{}.{:03}", text::general(*v), ms / 1000, ms % 1000)?;
        }
        Ok(())
    })?;
    Ok(std::io::stdout().write_all(b"# EOF\n")?)
}

/// Name and labels of a series as an exposition has them.
fn openmetrics_name(labels: &Labels) -> String {
    let metric = labels.get(METRIC_NAME);
    let quote = model::float::quote;
    let mut pairs = Vec::with_capacity(labels.len());
    let mut out = String::new();
    if is_legacy_metric_name(metric) {
        out.push_str(metric);
    } else if !metric.is_empty() {
        pairs.push(quote(metric));
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        let name = if is_legacy_label_name(name) { name.to_owned() } else { quote(name) };
        pairs.push(format!("{name}={}", quote(value)));
    }
    let _ = write!(out, "{{{}}}", pairs.join(","));
    out
}

impl Selected {
    /// Calls `each(labels, samples, out)` for all series that have samples.
    fn write(
        &self,
        clock: &SharedClock,
        mut each: impl FnMut(&Labels, &FloatColumns, &mut dyn Write) -> std::io::Result<()>,
    ) -> Outcome {
        let dir = &self.database.path;
        let sets: Result<Vec<_>, _> = self.selectors.iter().map(|s| promql::parse_matchers(s)).collect();
        let sets = sets.map_err(Failure::new)?;
        check_dir(dir)?;
        let mut progress = Progress::new(clock);
        progress.step("replaying the log", 0, 1);
        let db = ReadOnlyDb::open(dir, self.sandbox_dir_root.as_deref().unwrap_or(dir), clock.clone())?;
        let found = self.select(&db, &sets)?;
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let mut samples = FloatColumns::default();
        let total = found.len() as u64;
        for (i, entry) in found.into_iter().enumerate() {
            progress.step("series", i as u64, total);
            samples.clear();
            entry.read_columns(self.min_time, self.max_time, &mut samples)?;
            if !samples.is_empty() {
                each(entry.labels(), &samples, &mut out)?;
            }
        }
        progress.clear();
        Ok(out.flush()?)
    }

    fn select(&self, db: &ReadOnlyDb, sets: &[Vec<Matcher>]) -> Result<Vec<SeriesEntry>, Failure> {
        if let [matchers] = sets {
            return Ok(db.select(matchers, self.min_time, self.max_time)?);
        }
        let mut all: BTreeMap<Labels, SeriesEntry> = BTreeMap::new();
        for matchers in sets {
            for entry in db.select(matchers, self.min_time, self.max_time)? {
                all.entry(entry.labels().clone()).or_insert(entry);
            }
        }
        Ok(all.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_expositions() {
        for (pairs, text) in [
            (vec![("__name__", "up"), ("b", "x\"\n"), ("a", "1")], r#"up{a="1",b="x\"\n"}"#),
            (vec![("__name__", "up")], "up{}"),
            (vec![("__name__", "my.up"), ("a.b", "1")], r#"{"my.up","a.b"="1"}"#),
            (vec![("a", "1")], r#"{a="1"}"#),
        ] {
            assert_eq!(openmetrics_name(&Labels::from_pairs(pairs)), text);
        }
    }
}
