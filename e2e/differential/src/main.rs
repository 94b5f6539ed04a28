//! Compares Pharos' query engine with a real Prometheus: the same samples, generated queries, every difference shown.
//!
//! `cargo run -p differential -- --prometheus PATH --count 20000` fails when values, labels, order or failures differ.
//! A query is made from one number, so `--seed N --count 1` repeats the one that failed.

mod answer;
mod compare;
mod coverage;
mod data;
mod generate;
mod histograms;
mod http;
mod known;
mod query;
mod random;
mod reference;
mod shrink;
mod write;

use answer::Answer;
use anyhow::{Context as _, Result, bail};
use clap::Parser;
use compare::{Difference, Kind};
use coverage::Coverage;
use data::Series;
use promql::testing::MemoryStorage;
use promql::{Engine, EngineOptions, Features, parse_with};
use query::{Query, When};
use reference::Reference;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Compares the query engine with a real Prometheus.
#[derive(Parser)]
struct Arguments {
    /// The Prometheus to compare with.
    #[arg(long)]
    prometheus: PathBuf,
    /// How many queries.
    #[arg(long, default_value_t = 2000)]
    count: u64,
    /// The first query's number; the next ones follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Decides the samples.
    #[arg(long, default_value_t = 1)]
    data_seed: u64,
    /// Makes failing queries smaller.
    #[arg(long)]
    shrink: bool,
    /// Most differences shown of each kind.
    #[arg(long, default_value_t = 10)]
    show: usize,
    /// Shows differences of this kind only: failure, value, annotations, stats, error-text, format
    /// or tree.
    #[arg(long)]
    kind: Option<Kind>,
    /// Differences of any kind fail, annotations and texts too.
    #[arg(long)]
    strict: bool,
    /// A query instead of generated ones, or several; shows both answers.
    #[arg(long)]
    query: Vec<String>,
    /// Shows the samples of its metrics too.
    #[arg(long)]
    data: bool,
    /// Its time in milliseconds.
    #[arg(long, default_value_t = 1_800_000, allow_negative_numbers = true)]
    at: i64,
    /// Its start, end and step in milliseconds.
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true)]
    range: Option<Vec<i64>>,
    /// Its lookback delta in milliseconds.
    #[arg(long)]
    lookback: Option<i64>,
    /// Asks the engines that drop names at the end of a query.
    #[arg(long)]
    delayed_names: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = std::env::temp_dir().join(format!("pharos-differential-{}", std::process::id()));
    let result = run(&arguments, &directory);
    // what Prometheus wrote is of use to nobody
    let _ = std::fs::remove_dir_all(&directory);
    result
}

fn run(arguments: &Arguments, directory: &Path) -> Result<()> {
    let series = data::make(arguments.data_seed);
    let samples: usize = series.iter().map(|s| s.samples.len()).sum();
    println!("{} series, {samples} samples", series.len());
    let mut sides = Sides::start(arguments, directory, &series)?;
    if arguments.query.is_empty() {
        return sides.compare_all(arguments);
    }
    arguments.query.iter().try_for_each(|text| sides.show(&given(arguments, text), &series, arguments.data))
}

/// A query of the command line.
fn given(arguments: &Arguments, text: &str) -> Query {
    let when = match arguments.range.as_deref() {
        Some(&[start, end, step]) => When::Range { start, end, step },
        _ => When::At(arguments.at),
    };
    let text = text.to_owned();
    Query { text, when, lookback: arguments.lookback, delayed_names: arguments.delayed_names }
}

/// How often Prometheus is asked again where its answer differs from ours.
const REPEATS: usize = 16;

/// Both engines, each in two configurations.
struct Sides {
    storage: MemoryStorage,
    engines: [Engine; 2],
    references: [Reference; 2],
}

impl Sides {
    fn start(arguments: &Arguments, directory: &Path, series: &[Series]) -> Result<Self> {
        let start = |name: &str, delayed: bool| {
            Reference::start(&arguments.prometheus, &directory.join(name), series, delayed)
                .with_context(|| format!("{}", arguments.prometheus.display()))
        };
        let engine = |delayed: bool| {
            let options = EngineOptions { delayed_name_removal: delayed, ..EngineOptions::default() };
            Engine::new(EngineOptions {
                use_start_timestamps: delayed,
                type_and_unit_labels: delayed,
                ..options
            })
        };
        Ok(Sides {
            storage: data::storage(series),
            engines: [engine(false), engine(true)],
            references: [start("plain", false)?, start("delayed", true)?],
        })
    }

    fn own(&self, query: &Query) -> Answer {
        let engine = &self.engines[usize::from(query.delayed_names)];
        let run = std::panic::AssertUnwindSafe(|| Answer::own(engine, &self.storage, query));
        std::panic::catch_unwind(run).unwrap_or_else(|_| Answer::Failed {
            kind: "panic".to_owned(),
            text: "the engine panicked".to_owned(),
        })
    }

    fn reference(&mut self, query: &Query) -> Result<Answer> {
        self.references[usize::from(query.delayed_names)].ask(query)
    }

    /// All differences of one query.
    fn differences(&mut self, query: &Query, coverage: &mut Coverage) -> Result<Vec<Difference>> {
        let expected = self.reference(query)?;
        let found = self.own(query);
        coverage.see(query, &expected);
        let order = query.order();
        let mut difference = compare::compare(&expected, &found, order);
        if difference.as_ref().is_some_and(|d| d.kind.is_fatal()) {
            // where Prometheus itself answers now so, now so, nothing is to be compared
            for _ in 0..REPEATS {
                let again = self.reference(query)?;
                if compare::compare(&expected, &again, order).is_some_and(|d| d.kind.is_fatal()) {
                    coverage.undecided += 1;
                    difference = None;
                    break;
                }
            }
        }
        if difference.as_ref().is_some_and(|d| d.kind.is_fatal())
            && let Some(reason) = known::reason(query, &expected)
        {
            *coverage.known.entry(reason).or_default() += 1;
            difference = None;
        }
        let mut all: Vec<Difference> = difference.into_iter().collect();
        all.extend(self.texts(query)?);
        Ok(all)
    }

    /// Differences of what `format_query` and `parse_query` say.
    fn texts(&mut self, query: &Query) -> Result<Option<Difference>> {
        let own = parse_with(&query.text, &Features::all());
        let Ok(expr) = own else { return Ok(None) };
        let reference = &mut self.references[0];
        let formatted = reference.text("format_query", &query.text)?;
        let pretty = promql::pretty(&expr);
        if let Ok(expected) = formatted
            && expected.as_str() != Some(pretty.as_str())
        {
            let text = format!("expected {}\n      found {pretty}", expected.as_str().unwrap_or_default());
            return Ok(Some(Difference { kind: Kind::Format, text }));
        }
        if let Ok(expected) = reference.text("parse_query", &query.text)? {
            let tree = promql::to_json(&expr);
            if expected != tree {
                let text = format!("expected {expected}\n      found {tree}");
                return Ok(Some(Difference { kind: Kind::Tree, text }));
            }
        }
        Ok(None)
    }

    fn compare_all(&mut self, arguments: &Arguments) -> Result<()> {
        let mut coverage = Coverage::default();
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut failed = 0;
        for seed in arguments.seed..arguments.seed + arguments.count {
            let query = generate::Generator::new(seed).query();
            let differences =
                self.differences(&query, &mut coverage).with_context(|| format!("seed {seed}: {query}"))?;
            if differences.iter().any(|d| arguments.strict || d.kind.is_fatal()) {
                failed += 1;
            }
            for difference in differences {
                let count = counts.entry(difference.kind).or_default();
                *count += 1;
                if *count <= arguments.show && arguments.kind.is_none_or(|k| k == difference.kind) {
                    self.print(arguments, seed, &query, &difference)?;
                }
            }
        }
        coverage.print();
        println!("differences: {counts:?}");
        println!("{} passed, {failed} failed", arguments.count - failed);
        if failed > 0 {
            bail!("{failed} queries differ");
        }
        Ok(())
    }

    fn print(
        &mut self,
        arguments: &Arguments,
        seed: u64,
        query: &Query,
        difference: &Difference,
    ) -> Result<()> {
        println!("--seed {seed}: {:?}: {query}\n      {}", difference.kind, difference.text);
        if !arguments.shrink {
            return Ok(());
        }
        let mut ignored = Coverage::default();
        let mut last = None;
        let small = shrink::shrink(query, |q| {
            let again = self.differences(q, &mut ignored).unwrap_or_default();
            let same = again.into_iter().find(|d| d.kind == difference.kind);
            let still = same.is_some();
            last = same.or(last.take());
            still
        });
        if small != *query {
            println!("   smaller: {small}\n      {}", last.map_or_else(String::new, |d| d.text));
        }
        Ok(())
    }

    /// Both answers to one query.
    fn show(&mut self, query: &Query, series: &[Series], data: bool) -> Result<()> {
        for s in series.iter().filter(|s| data && query.text.contains(s.labels.metric_name())) {
            let (from, to) = match query.when {
                When::At(t) => (t - 400_000, t + 60_000),
                When::Range { start, end, .. } => (start - 400_000, end),
            };
            println!("{}", s.labels);
            for (t, item) in s.samples.iter().filter(|(t, _)| (from..=to).contains(t)) {
                println!("    {t} {item:?}");
            }
        }
        println!("{query}\nexpected {:?}", self.reference(query)?);
        println!("   found {:?}", self.own(query));
        for difference in self.differences(query, &mut Coverage::default())? {
            println!("{:?}: {}", difference.kind, difference.text);
        }
        Ok(())
    }
}
