//! Strict validation of OpenMetrics 1.0: syntax, metadata, grouping, and the rules of each type
//! (<https://github.com/prometheus/OpenMetrics>). Scraping does not use it: it reads what Prometheus reads.

use crate::labels::{Pair, decode_strictly};
use crate::parse::{Cause, Entry, Error, Format, Parser, Series};
use crate::{MetricType, number};
use model::labels::{BUCKET_LE, METRIC_NAME, QUANTILE};
use std::collections::HashSet;

/// Most characters in the names and values of an exemplar's labels together.
const EXEMPLAR_CHARS: usize = 128;

/// Checks a whole exposition.
///
/// # Errors
/// The first broken rule and its line.
pub fn validate(exposition: &[u8]) -> Result<(), Error> {
    let mut parser = Parser::new(exposition, Format::OpenMetrics);
    let mut validator = Validator::default();
    while let Some(entry) = parser.next(&[])? {
        validator.entry(entry).map_err(|cause| parser.error(cause))?;
    }
    validator.end_family().map_err(|cause| parser.error(cause))
}

fn rule<T>(text: impl Into<String>) -> Result<T, Cause> {
    Err(Cause::Rule(text.into()))
}

#[derive(Default)]
struct Validator {
    family: Option<Family>,
    /// Names of finished families, and of all samples that they may have.
    taken: HashSet<String>,
}

/// The metric family under way.
struct Family {
    name: String,
    kind: Option<MetricType>,
    help: bool,
    unit: Option<String>,
    sampled: bool,
    /// Groups (labels without `le`, `quantile`, the state) that are over.
    groups: HashSet<Vec<(String, String)>>,
    group: Option<Group>,
}

/// Samples with the same labels: one metric.
#[derive(Default)]
struct Group {
    key: Vec<(String, String)>,
    timestamp: Option<i64>,
    buckets: Buckets,
}

/// What the samples of a histogram said so far.
#[derive(Default)]
struct Buckets {
    last: Option<(f64, f64)>,
    negative: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Validator {
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), Cause> {
        match entry {
            Entry::Help(name, _) => {
                let family = self.described(&name)?;
                if std::mem::replace(&mut family.help, true) {
                    return rule(format!("second HELP for metric {name:?}"));
                }
            }
            Entry::Type(name, kind) => {
                let family = self.described(&name)?;
                if family.kind.replace(kind).is_some() {
                    return rule(format!("second TYPE for metric {name:?}"));
                }
            }
            Entry::Unit(name, unit) => {
                let family = self.described(&name)?;
                if family.unit.replace(unit.to_owned()).is_some() {
                    return rule(format!("second UNIT for metric {name:?}"));
                }
            }
            Entry::Comment(_) => {}
            Entry::Series(series) => self.sample(&series)?,
        }
        Ok(())
    }

    /// The family that a metadata line is about.
    fn described(&mut self, name: &str) -> Result<&mut Family, Cause> {
        if self.family.as_ref().is_none_or(|f| f.name != name) {
            self.begin(name, None)?;
        }
        let family = self.family.as_mut().ok_or(Cause::NoEof)?;
        if family.sampled {
            return rule(format!("metadata of {name:?} after its samples"));
        }
        Ok(family)
    }

    fn begin(&mut self, name: &str, kind: Option<MetricType>) -> Result<(), Cause> {
        self.end_family()?;
        if self.taken.contains(name) {
            return rule(format!(
                "metric {name:?} clashes with one before it, or its samples are not together"
            ));
        }
        self.family = Some(Family {
            name: name.to_owned(),
            kind,
            help: false,
            unit: None,
            sampled: false,
            groups: HashSet::new(),
            group: None,
        });
        Ok(())
    }

    fn end_family(&mut self) -> Result<(), Cause> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        family.end_group()?;
        let kind = family.kind.unwrap_or(MetricType::Unknown);
        if family.unit.is_some_and(|u| !u.is_empty())
            && matches!(kind, MetricType::Info | MetricType::Stateset)
        {
            return rule(format!("metric {:?} of type {} has a unit", family.name, kind.as_str()));
        }
        for suffix in suffixes(kind).iter().chain(&[""]) {
            let name = format!("{}{suffix}", family.name);
            if !suffix.is_empty() && self.taken.contains(&name) {
                return rule(format!("sample name {name:?} clashes with a metric before it"));
            }
            self.taken.insert(name);
        }
        Ok(())
    }

    fn sample(&mut self, series: &Series<'_>) -> Result<(), Cause> {
        let mut pairs = Vec::new();
        decode_strictly(series.raw, &mut pairs)?;
        let Some(at) = pairs.iter().position(|(n, _)| n == METRIC_NAME) else {
            return rule("sample without a metric name");
        };
        let (_, name) = pairs.remove(at);
        let belongs = self.family.as_ref().is_some_and(|f| f.suffix(&name).is_some());
        if !belongs {
            self.begin(&name, Some(MetricType::Unknown))?;
        }
        let family = self.family.as_mut().ok_or(Cause::NoEof)?;
        let suffix = family.suffix(&name).unwrap_or_default();
        family.sampled = true;
        family.sample(suffix, &pairs, series)
    }
}

/// What may follow a family's name in the names of its samples.
fn suffixes(kind: MetricType) -> &'static [&'static str] {
    match kind {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Summary => &["", "_count", "_sum", "_created"],
        MetricType::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricType::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::Stateset | MetricType::Unknown => &[""],
    }
}

impl Family {
    fn kind(&self) -> MetricType {
        self.kind.unwrap_or(MetricType::Unknown)
    }

    fn suffix(&self, name: &str) -> Option<&'static str> {
        let rest = name.strip_prefix(self.name.as_str())?;
        suffixes(self.kind()).iter().copied().find(|s| *s == rest)
    }

    fn sample(&mut self, suffix: &'static str, pairs: &[Pair<'_>], series: &Series<'_>) -> Result<(), Cause> {
        let kind = self.kind();
        let own = match (kind, suffix) {
            (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => Some(BUCKET_LE),
            (MetricType::Summary, "") => Some(QUANTILE),
            (MetricType::Stateset, _) => Some(self.name.as_str()),
            _ => None,
        };
        let own_value = own.and_then(|own| pairs.iter().find(|(n, _)| n == own)).map(|(_, v)| v.as_ref());
        if let (Some(own), None) = (own, own_value) {
            return rule(format!("{} sample without the label {own:?}", kind.as_str()));
        }
        let key = pairs.iter().filter(|(n, _)| Some(n.as_ref()) != own);
        let key = key.map(|(n, v)| (n.clone().into_owned(), v.clone().into_owned())).collect();
        self.group_of(key, series.timestamp)?;
        check_value(kind, suffix, own_value, series.value)?;
        check_exemplar(kind, suffix, series)?;
        if matches!(kind, MetricType::Histogram | MetricType::GaugeHistogram)
            && let Some(group) = &mut self.group
        {
            group.buckets.sample(suffix, own_value, series.value)?;
        }
        Ok(())
    }

    /// Enters the group of a sample; groups do not interleave, and time does not go back in one.
    fn group_of(&mut self, key: Vec<(String, String)>, timestamp: Option<i64>) -> Result<(), Cause> {
        if let Some(group) = self.group.as_mut().filter(|g| g.key == key) {
            match (group.timestamp, timestamp) {
                (Some(before), Some(now)) if before > now && self.kind != Some(MetricType::Info) => {
                    return rule("timestamps go back within a metric");
                }
                (Some(_), None) | (None, Some(_)) => {
                    return rule("samples with and without timestamps within a metric");
                }
                _ => group.timestamp = timestamp,
            }
            return Ok(());
        }
        self.end_group()?;
        if self.groups.contains(&key) {
            return rule("samples of a metric are not together");
        }
        self.group = Some(Group { key, timestamp, ..Group::default() });
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Cause> {
        let Some(group) = self.group.take() else { return Ok(()) };
        if matches!(self.kind(), MetricType::Histogram | MetricType::GaugeHistogram) {
            group.buckets.end(self.kind())?;
        }
        self.groups.insert(group.key);
        Ok(())
    }
}

impl Buckets {
    fn sample(&mut self, suffix: &str, le: Option<&str>, value: f64) -> Result<(), Cause> {
        match suffix {
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" | "_gsum" => self.sum = Some(value),
            "_bucket" => {
                let bound = le.and_then(|le| number::float(le.as_bytes())).filter(|le| !le.is_nan());
                let Some(bound) = bound else { return rule("bucket whose label le is no number") };
                if let Some((last_bound, last_value)) = self.last {
                    if bound <= last_bound {
                        return rule("buckets out of order");
                    }
                    if value < last_value {
                        return rule("bucket counts less than the bucket below it");
                    }
                }
                self.negative |= bound < 0.0;
                self.last = Some((bound, value));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self, kind: MetricType) -> Result<(), Cause> {
        let Some((f64::INFINITY, all)) = self.last else { return rule("histogram without the bucket +Inf") };
        match (self.count, self.sum) {
            (Some(count), _) if count != all => rule("count differs from the bucket +Inf"),
            (None, Some(_)) => rule("histogram with a sum but no count"),
            (Some(_), None) if !(self.negative && kind == MetricType::Histogram) => {
                rule("histogram with a count but no sum")
            }
            (_, Some(_)) if self.negative && kind == MetricType::Histogram => {
                rule("histogram with a sum and negative buckets")
            }
            (_, Some(sum)) if sum < 0.0 && !self.negative => rule("negative sum without negative buckets"),
            _ => Ok(()),
        }
    }
}

fn check_value(kind: MetricType, suffix: &str, own: Option<&str>, value: f64) -> Result<(), Cause> {
    let counts = matches!(suffix, "_total" | "_bucket" | "_count" | "_sum" | "_gcount");
    if (counts || suffix == "_gsum") && value.is_nan() {
        return rule("counter-like sample is NaN");
    }
    if counts && value < 0.0 {
        return rule("counter-like sample is negative");
    }
    match kind {
        MetricType::Info if value != 1.0 => rule("info sample whose value is not 1"),
        MetricType::Stateset if value != 0.0 && value != 1.0 => {
            rule("state set sample whose value is neither 0 nor 1")
        }
        MetricType::Summary if suffix.is_empty() => {
            let quantile = own.and_then(|q| number::float(q.as_bytes()));
            if !quantile.is_some_and(|q| (0.0..=1.0).contains(&q)) {
                return rule("quantile that is not between 0 and 1");
            }
            if value < 0.0 { rule("negative value of a quantile") } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn check_exemplar(kind: MetricType, suffix: &str, series: &Series<'_>) -> Result<(), Cause> {
    let Some(exemplar) = &series.exemplar else { return Ok(()) };
    let allowed = matches!(
        (kind, suffix),
        (MetricType::Counter, "_total") | (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket")
    );
    if !allowed {
        return rule(format!("exemplar on a {} sample {suffix:?}", kind.as_str()));
    }
    let mut pairs = Vec::new();
    decode_strictly(exemplar.raw, &mut pairs)?;
    let chars: usize = pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if chars > EXEMPLAR_CHARS {
        return rule(format!("exemplar labels of {chars} characters, more than {EXEMPLAR_CHARS}"));
    }
    Ok(())
}
