//! `tsdb create-blocks-from rules`: blocks of what recording rules would have recorded, asked of a server.

use super::Printing;
use super::import::block_range;
use super::writer::BlocksWriter;
use crate::http::Server;
use crate::progress::Progress;
use crate::query::{self, Value};
use crate::{Failure, Outcome, cli, text};
use clap::Args;
use config::rules::{Parsed, Rule, RuleGroup};
use model::float::format_plain;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};
use promql::Features;
use runtime::clock::SharedClock;
use std::path::PathBuf;

/// Samples newer than this are left to the server's own evaluation: 3 hours.
const DEFAULT_AGE_MS: i64 = 3 * 60 * 60 * 1000;

/// What `create-blocks-from rules` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// File with options of the HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
    /// URL of the server that has the samples.
    #[arg(long, default_value = "http://localhost:9090")]
    url: String,
    /// First time (RFC 3339 or seconds since the epoch).
    #[arg(long, value_parser = cli::time_ms)]
    start: i64,
    /// Last time (RFC 3339 or seconds since the epoch); three hours ago if not given.
    #[arg(long, value_parser = cli::time_ms)]
    end: Option<i64>,
    /// Where the blocks go.
    #[arg(long, default_value = super::DEFAULT_DIR)]
    output_dir: PathBuf,
    /// Time between evaluations of groups that do not say it.
    #[arg(long, default_value = "60s", value_parser = cli::duration)]
    eval_interval: i64,
    /// Longest time that one block may cover.
    #[arg(long, hide = true, default_value = "2h", value_parser = cli::duration)]
    max_block_duration: i64,
    /// Rule files.
    #[arg(value_name = "RULE FILES", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(
    options: &Options,
    printing: Printing,
    features: &Features,
    clock: &SharedClock,
) -> Outcome {
    crate::check::must_exist(&options.files)?;
    let end = options.end.unwrap_or_else(|| clock.now_ms() - DEFAULT_AGE_MS);
    if options.start >= end {
        return Err(Failure::new("start time is not before end time"));
    }
    let groups = read_groups(options, features)?;
    let server = Server::new(&options.url, options.http_config_file.as_deref(), &[])?;
    let range = block_range(options.max_block_duration);
    let mut blocks = BlocksWriter::new(&options.output_dir, range)?;
    let mut progress = Progress::new(clock);
    let recording =
        |g: &RuleGroup| g.rules.iter().filter(|r| !r.record.is_empty()).cloned().collect::<Vec<Rule>>();
    let total: usize = groups.iter().map(|g| recording(g).len()).sum();
    let mut done = 0;
    for group in &groups {
        let interval = group.interval.map_or(options.eval_interval, |i| i.as_ms()).max(1);
        for rule in recording(group) {
            progress.step("rules", done, total as u64);
            let labels = labels_of(group, &rule);
            // a block's time in one request: servers bound how many points an answer may have
            let mut from = round_up(options.start, interval);
            while from <= end {
                let to = (from.div_euclid(range) * range + range - 1).min(end);
                ask(&server, &rule, &labels, (from, to, interval), &mut blocks)?;
                from = round_up(to + 1, interval);
            }
            done += 1;
        }
    }
    progress.clear();
    blocks.finish(printing, clock)
}

fn round_up(t: i64, interval: i64) -> i64 {
    t.div_euclid(interval) * interval + if t.rem_euclid(interval) == 0 { 0 } else { interval }
}

fn read_groups(options: &Options, features: &Features) -> Result<Vec<RuleGroup>, Failure> {
    let mut groups = Vec::new();
    for file in &options.files {
        let name = file.display().to_string();
        let content = std::fs::read_to_string(file)
            .map_err(|e| Failure::new(format!("open {name}: {}", text::reason(&e))))?;
        let parsed = Parsed::parse(&content, &name, false).map_err(Failure::new)?;
        let mistakes = rules::check::check(&parsed, features);
        if !mistakes.is_empty() {
            let mistakes: Vec<String> = mistakes.iter().map(|m| format!("{name}: {m}")).collect();
            return Err(Failure::new(mistakes.join("\n")));
        }
        groups.extend(parsed.file.groups);
    }
    Ok(groups)
}

/// Labels that the rule sets.
fn labels_of(group: &RuleGroup, rule: &Rule) -> Vec<(String, String)> {
    let mut labels = group.labels.clone();
    labels.extend(rule.labels.clone());
    labels.into_iter().collect()
}

/// Adds a rule's samples of some time.
fn ask(
    server: &Server,
    rule: &Rule,
    labels: &[(String, String)],
    (from, to, interval): (i64, i64, i64),
    blocks: &mut BlocksWriter,
) -> Outcome {
    let seconds = |ms: i64| format_plain(ms as f64 / 1000.0);
    let params = [
        ("query", rule.expr.clone()),
        ("start", seconds(from)),
        ("end", seconds(to)),
        ("step", seconds(interval)),
    ];
    let named = |e: Failure| Failure::new(format!("rule {}: {e}", rule.record));
    let answer = server.post_form("/api/v1/query_range", &params).map_err(named)?;
    match query::data(&answer).and_then(query::value).map_err(named)? {
        Value::Matrix(found) => {
            for one in found {
                if one.has_histograms() {
                    return Err(named(Failure::new("native histograms are not written into blocks yet")));
                }
                let mut builder = LabelsBuilder::new(&Labels::from_pairs(&one.metric));
                builder.set(METRIC_NAME, rule.record.as_str());
                for (name, value) in labels {
                    builder.set(name, value);
                }
                let series = blocks.series(builder.finish())?;
                for (t, v) in &one.values {
                    blocks.add(series, (t * 1000.0).round() as i64, query::number(v)?)?;
                }
            }
            Ok(())
        }
        _ => Err(named(Failure::new("rule result is wrong type"))),
    }
}
