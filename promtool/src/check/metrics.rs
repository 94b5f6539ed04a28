//! `check metrics`: whether an exposition follows the conventions, and how many series each metric has.

use super::LINT_ERROR;
use crate::{Failure, Outcome, text};
use clap::Args;
use exposition::{Entry, Format, MetricType, Parser, decode_labels};
use model::labels::METRIC_NAME;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

/// What `check metrics` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Also tell how many series each metric has.
    #[arg(long)]
    extended: bool,
    /// Lints to apply: all, none.
    #[arg(long, default_value = "all")]
    lint: String,
}

/// Units that names should have, and by which of them others should be replaced.
const UNITS: [(&str, &str); 24] = [
    ("amperes", "amperes"),
    ("bits", "bytes"),
    ("bytes", "bytes"),
    ("calories", "joules"),
    ("celsius", "celsius"),
    ("days", "seconds"),
    ("fahrenheit", "celsius"),
    ("grams", "grams"),
    ("hours", "seconds"),
    ("inches", "meters"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("kelvins", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("miles", "meters"),
    ("minutes", "seconds"),
    ("ounces", "grams"),
    ("pounds", "grams"),
    ("rankine", "celsius"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("weeks", "seconds"),
    ("yards", "meters"),
];
/// What may stand before a unit.
const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi",
    "giga", "gibi", "tera", "tebi", "peta", "pebi",
];
/// Short forms of units that say too little.
const ABBREVIATIONS: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];
/// Words for types.
const TYPES: [&str; 4] = ["counter", "gauge", "histogram", "summary"];

/// A metric with all its series.
#[derive(Default)]
struct Family {
    help: bool,
    kind: Option<MetricType>,
    series: u64,
    labels: BTreeSet<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if options.lint == "none" && !options.extended {
        return Err(Failure::new(
            "error: at least one of --extended or linting must be enabled\n\
             Use --extended for cardinality analysis, or remove --lint=none to enable linting",
        ));
    }
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let families = read(&input).map_err(|e| Failure::new(format!("error while linting: {e}")))?;
    let mut problems = BTreeSet::new();
    match options.lint.as_str() {
        "none" => {}
        lint => {
            if lint != "all" {
                eprintln!("WARNING: unknown lint option: {lint:?}");
            }
            for (name, family) in &families {
                problems.extend(family.problems(name).into_iter().map(|p| format!("{name} {p}")));
            }
        }
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    if options.extended {
        print!("{}", cardinality(&families));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Said(LINT_ERROR)) }
}

fn read(input: &[u8]) -> Result<BTreeMap<String, Family>, exposition::Error> {
    let mut parser = Parser::new(input, Format::Text);
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    while let Some(entry) = parser.next(&[])? {
        match entry {
            Entry::Help(name, help) => {
                families.entry(name.into_owned()).or_default().help |= !help.is_empty();
            }
            Entry::Type(name, kind) => families.entry(name.into_owned()).or_default().kind = Some(kind),
            Entry::Unit(..) | Entry::Comment(_) => {}
            Entry::Series(series) => {
                let labels = decode_labels(series.raw, Format::Text).map_err(|cause| parser.error(cause))?;
                let name = family_of(labels.get(METRIC_NAME), &families).to_owned();
                let family = families.entry(name).or_default();
                family.series += 1;
                let own: &[&str] = match family.kind {
                    Some(MetricType::Histogram) => &["le"],
                    Some(MetricType::Summary) => &["quantile"],
                    _ => &[],
                };
                let names =
                    labels.iter().map(|(name, _)| name).filter(|n| *n != METRIC_NAME && !own.contains(n));
                family.labels.extend(names.map(str::to_owned));
            }
        }
    }
    // what was only described has no series to complain of
    families.retain(|_, family| family.series > 0);
    Ok(families)
}

/// The metric that a sample's name belongs to.
fn family_of<'a>(name: &'a str, families: &BTreeMap<String, Family>) -> &'a str {
    for suffix in ["_bucket", "_sum", "_count"] {
        let Some(base) = name.strip_suffix(suffix) else { continue };
        match families.get(base).and_then(|f| f.kind) {
            Some(MetricType::Histogram) => return base,
            Some(MetricType::Summary) if suffix != "_bucket" => return base,
            _ => {}
        }
    }
    name
}

impl Family {
    fn problems(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |text: &str| found.push(text.to_owned());
        if !self.help {
            say("no help text");
        }
        let kind = self.kind.unwrap_or(MetricType::Unknown);
        let untyped = matches!(kind, MetricType::Unknown);
        let (histogram, summary) =
            (matches!(kind, MetricType::Histogram), matches!(kind, MetricType::Summary));
        match (matches!(kind, MetricType::Counter), name.ends_with("_total")) {
            (true, false) => say(r#"counter metrics should have "_total" suffix"#),
            (false, true) if !untyped => say(r#"non-counter metrics should not have "_total" suffix"#),
            _ => {}
        }
        if !untyped {
            if !histogram && name.ends_with("_bucket") {
                say(r#"non-histogram metrics should not have "_bucket" suffix"#);
            }
            for suffix in ["_count", "_sum"] {
                if !histogram && !summary && name.ends_with(suffix) {
                    say(&format!("non-histogram and non-summary metrics should not have {suffix:?} suffix"));
                }
            }
            if !histogram && self.labels.contains("le") {
                say(r#"non-histogram metrics should not have "le" label"#);
            }
            if !summary && self.labels.contains("quantile") {
                say(r#"non-summary metrics should not have "quantile" label"#);
            }
        }
        let lower = name.to_lowercase();
        for kind in TYPES {
            if lower.contains(&format!("_{kind}_")) || lower.ends_with(&format!("_{kind}")) {
                say(&format!("metric name should not include type '{kind}'"));
            }
        }
        if let Some((unit, base)) = unit(name)
            && unit != base
        {
            say(&format!("use base unit {base:?} instead of {unit:?}"));
        }
        if name.contains(':') {
            say("metric names should not contain ':'");
        }
        if is_camel(name) {
            say("metric names should be written in 'snake_case' not 'camelCase'");
        }
        if self.labels.iter().any(|l| is_camel(l)) {
            say("label names should be written in 'snake_case' not 'camelCase'");
        }
        if ABBREVIATIONS
            .iter()
            .any(|a| lower.contains(&format!("_{a}_")) || lower.ends_with(&format!("_{a}")))
        {
            say("metric names should not contain abbreviated units");
        }
        found
    }
}

/// A unit in a name, and the one that it should be.
fn unit(name: &str) -> Option<(&str, &'static str)> {
    let base = |word: &str| UNITS.iter().find(|(unit, _)| *unit == word).map(|(_, base)| *base);
    name.split('_').find_map(|word| {
        let prefixed = || PREFIXES.iter().filter_map(|p| word.strip_prefix(p)).find_map(base);
        base(word).or_else(prefixed).map(|base| (word, base))
    })
}

/// Whether a small letter is followed by a capital.
fn is_camel(name: &str) -> bool {
    name.as_bytes().windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase())
}

/// A table of metrics, those with the most series first.
fn cardinality(families: &BTreeMap<String, Family>) -> String {
    let total: u64 = families.values().map(|f| f.series).sum();
    let mut sorted: Vec<(&str, u64)> = families.iter().map(|(n, f)| (n.as_str(), f.series)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let line = |cells: [String; 3]| {
        let mut cells = cells.to_vec();
        cells.push(String::new()); // so that the last one too is followed by a gap
        cells
    };
    let mut lines = vec![line(["Metric", "Cardinality", "Percentage"].map(str::to_owned))];
    for (name, series) in sorted {
        let percent = format!("{:.2}%", series as f64 / total as f64 * 100.0);
        lines.push(line([name.to_owned(), series.to_string(), percent]));
    }
    lines.push(line(["Total".to_owned(), total.to_string(), "100%".to_owned()]));
    text::table(&lines, 4, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let families = read(text.as_bytes()).unwrap();
        families
            .iter()
            .flat_map(|(n, f)| f.problems(n).into_iter().map(move |p| format!("{n} {p}")))
            .collect()
    }

    #[test]
    fn conventions() {
        let typed = |name: &str, kind: &str, labels: &str| {
            format!("# HELP {name} h\n# TYPE {name} {kind}\n{name}{labels} 1\n")
        };
        for (name, kind, labels, expected) in [
            ("a_total", "gauge", "", r#"a_total non-counter metrics should not have "_total" suffix"#),
            ("a", "counter", "", r#"a counter metrics should have "_total" suffix"#),
            (
                "a_count",
                "gauge",
                "",
                r#"a_count non-histogram and non-summary metrics should not have "_count" suffix"#,
            ),
            ("a", "gauge", "{le=\"1\"}", r#"a non-histogram metrics should not have "le" label"#),
            (
                "a_milliseconds",
                "gauge",
                "",
                r#"a_milliseconds use base unit "seconds" instead of "milliseconds""#,
            ),
            ("a_days", "gauge", "", r#"a_days use base unit "seconds" instead of "days""#),
            ("aB", "gauge", "", "aB metric names should be written in 'snake_case' not 'camelCase'"),
            ("a:b", "gauge", "", "a:b metric names should not contain ':'"),
            ("a_ms_b", "gauge", "", "a_ms_b metric names should not contain abbreviated units"),
            ("a_gauge", "gauge", "", "a_gauge metric name should not include type 'gauge'"),
        ] {
            assert_eq!(problems(&typed(name, kind, labels)), [expected]);
        }
        assert_eq!(problems("a 1\n"), ["a no help text"]);
        assert!(problems(&typed("a_bytes_total", "counter", "{x=\"1\"}")).is_empty());
        let histogram = "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
        assert!(problems(histogram).is_empty());
        let families = read(histogram.as_bytes()).unwrap();
        assert_eq!(
            cardinality(&families),
            "Metric    Cardinality    Percentage    \nh         3              100.00%       \nTotal     3              100%          \n"
        );
    }
}
