//! From the labels of a line to those of a stored series: target labels, relabelling, limits.

use crate::job::Job;
use exposition::Format;
use exposition::labels::Pair;
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use model::{Labels, LabelsBuilder, relabel};
use std::borrow::Cow;

/// What stands before a label of the target's own that the server also sets.
const EXPORTED: &str = "exported_";
/// How much of a name an error shows, in bytes.
const EXCERPT: usize = 50;

/// Why a series makes its whole scrape fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no name, or relabelling took it away.
    #[error("missing metric name (__name__ label)")]
    NoName,
    /// A name that the validation scheme refuses.
    #[error("invalid metric name or label names: {0}")]
    InvalidName(String),
    /// More labels than allowed.
    #[error("label_limit exceeded (metric: {metric}, number of labels: {labels}, limit: {limit})")]
    TooMany {
        /// Start of the metric's name.
        metric: String,
        /// How many it has.
        labels: usize,
        /// How many it may have.
        limit: u64,
    },
    /// A name or value longer than allowed.
    #[error(
        "{limit_name} exceeded (metric: {metric}, label: {label}, length: {length} bytes, limit: {limit})"
    )]
    TooLong {
        /// The limit's name in the configuration.
        limit_name: &'static str,
        /// Start of the metric's name.
        metric: String,
        /// Start of the label's name.
        label: String,
        /// Its length, bytes.
        length: usize,
        /// Its longest allowed length, bytes.
        limit: u64,
    },
}

/// The final labels; none where relabelling drops the series. `pairs` are sorted by name.
pub(crate) fn finish(pairs: &[Pair<'_>], target: &Labels, job: &Job) -> Result<Option<Labels>, Error> {
    let plain = job.metric_relabel.is_empty() && !conflicts(pairs, target);
    let labels = if plain {
        merge(pairs, target)
    } else {
        let mut builder = with_target(pairs, target, job.honor_labels);
        if !relabel::process(&job.metric_relabel, &mut builder) {
            return Ok(None);
        }
        builder.finish()
    };
    if labels.is_empty() {
        return Ok(None);
    }
    check(&labels, job)?;
    Ok(Some(labels))
}

/// The final labels of a line that [`finish`] has taken before, for this target and job.
pub(crate) fn of(raw: &[u8], target: &Labels, job: &Job) -> Labels {
    let mut pairs = Vec::with_capacity(16);
    // the text format reads all that OpenMetrics reads, and in the same way
    let decoded = exposition::decode_pairs(raw, Format::Text, &mut pairs);
    // without labels the storage refuses the sample: nothing is stored under a wrong name
    decoded.ok().and_then(|()| finish(&pairs, target, job).ok().flatten()).unwrap_or_default()
}

fn conflicts(pairs: &[Pair<'_>], target: &Labels) -> bool {
    target.iter().any(|(name, _)| pairs.binary_search_by(|(n, _)| n.as_ref().cmp(name)).is_ok())
}

/// Both sorted sets in one, without allocating but for the result.
fn merge(pairs: &[Pair<'_>], target: &Labels) -> Labels {
    let mut own =
        pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_ref(), v.as_ref())).peekable();
    let mut target = target.iter().peekable();
    Labels::from_sorted(std::iter::from_fn(|| match (own.peek(), target.peek()) {
        (Some((a, _)), Some((b, _))) if a < b => own.next(),
        (Some(_), None) => own.next(),
        _ => target.next(),
    }))
}

fn with_target(pairs: &[Pair<'_>], target: &Labels, honor: bool) -> LabelsBuilder {
    let mut builder = LabelsBuilder::default();
    for (name, value) in pairs {
        builder.set(name.as_ref(), value.as_ref());
    }
    let mut displaced: Vec<(&str, String)> = Vec::new();
    for (name, value) in target {
        let own = builder.get(name);
        // an empty label is honoured too: this is how the Pushgateway says "no instance"
        let given = honor && pairs.iter().any(|(n, _)| n == name);
        if own.is_empty() && !given {
            builder.set(name, value);
        } else if !honor {
            displaced.push((name, own.to_owned()));
            builder.set(name, value);
        }
    }
    // the shortest first, so that what is displaced by the renaming of another keeps a free name
    displaced.sort_by_key(|(name, _)| name.len());
    for (name, value) in displaced {
        let mut renamed = Cow::Borrowed(name);
        while !builder.get(&renamed).is_empty() {
            renamed = format!("{EXPORTED}{renamed}").into();
        }
        builder.set(renamed, value);
    }
    builder
}

fn check(labels: &Labels, job: &Job) -> Result<(), Error> {
    let metric = labels.metric_name();
    if metric.is_empty() {
        return Err(Error::NoName);
    }
    let limits = &job.limits;
    if job.legacy_names {
        let label_ok = |name: &str| name == METRIC_NAME || is_legacy_label_name(name);
        if !is_legacy_metric_name(metric) || !labels.iter().all(|(name, _)| label_ok(name)) {
            return Err(Error::InvalidName(labels.to_string()));
        }
    }
    let count = labels.len();
    if limits.labels > 0 && count as u64 > limits.labels {
        return Err(Error::TooMany { metric: excerpt(metric), labels: count, limit: limits.labels });
    }
    if limits.label_name_length == 0 && limits.label_value_length == 0 {
        return Ok(());
    }
    for (name, value) in labels {
        for (limit_name, length, limit) in [
            ("label_name_length_limit", name.len(), limits.label_name_length),
            ("label_value_length_limit", value.len(), limits.label_value_length),
        ] {
            if limit > 0 && length as u64 > limit {
                let (metric, label) = (excerpt(metric), excerpt(name));
                return Err(Error::TooLong { limit_name, metric, label, length, limit });
            }
        }
    }
    Ok(())
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}
