//! `load_with_nhcb`: classic histograms become native ones with custom buckets beside them.

use super::storage::Item;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
use model::labels::{BUCKET_LE, METRIC_NAME};
use model::{FloatHistogram, Labels, LabelsBuilder};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
struct Parts {
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

/// Native histograms for all series that form classic ones.
pub(super) fn convert(loaded: &[(Labels, Vec<(i64, Item)>)]) -> Vec<(Labels, i64, Item)> {
    let mut parts: BTreeMap<(Labels, i64), Parts> = BTreeMap::new();
    for (labels, samples) in loaded {
        let name = labels.metric_name();
        let found = ["_bucket", "_sum", "_count"].iter().find_map(|s| Some((*s, name.strip_suffix(s)?)));
        let Some((suffix, base)) = found else { continue };
        let mut b = LabelsBuilder::new(labels);
        b.set(METRIC_NAME, base).del(BUCKET_LE);
        let target = b.finish();
        for (t, item) in samples {
            let Item::Float(v) = item else { continue };
            let part = parts.entry((target.clone(), *t)).or_default();
            match suffix {
                "_sum" => part.sum = Some(*v),
                "_count" => part.count = Some(*v),
                _ => {
                    if let Some(bound) = crate::engine::parse_bound(labels.get(BUCKET_LE)) {
                        part.buckets.push((bound, *v));
                    }
                }
            }
        }
    }
    let made = parts
        .into_iter()
        .filter_map(|((labels, t), part)| part.build().map(|h| (labels, t, Item::Histogram(Arc::new(h)))));
    made.collect()
}

impl Parts {
    fn build(mut self) -> Option<FloatHistogram> {
        if self.buckets.is_empty() {
            return None;
        }
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by_key(|(bound, _)| bound.to_bits());
        let highest = self.buckets.last().map_or(0.0, |(_, v)| *v);
        let count = self.count.unwrap_or(highest);
        if self.buckets.windows(2).any(|w| w[1].1 < w[0].1) {
            return None;
        }
        let mut h = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum.unwrap_or(0.0),
            ..FloatHistogram::default()
        };
        let mut below = 0.0;
        for (bound, cumulative) in &self.buckets {
            if bound.is_finite() {
                h.custom_values.push(*bound);
                h.positive_buckets.push(cumulative - below);
                below = *cumulative;
            }
        }
        h.positive_buckets.push(count - below);
        h.positive_spans = vec![Span { offset: 0, length: h.positive_buckets.len() as u32 }];
        Some(crate::histogram::compact(h))
    }
}
