//! Reading a database as a query does, and checking the form of what it says.

use std::hash::{Hash, Hasher};

use model::{Labels, MatchOp, Matcher, NativeHistogram, histogram::Span};
use tsdb::{Db, Error, Querier, SeriesEntry};

use super::model::{Samples, Shown};

/// What a histogram says, in one number; how its empty buckets are laid out does not matter.
pub(crate) fn fingerprint(h: &NativeHistogram) -> u64 {
    if h.is_stale() {
        return model::STALE_NAN.to_bits();
    }
    let float = h.to_float();
    let mut hasher = rustc_hash::FxHasher::default();
    (float.schema, [float.zero_threshold, float.zero_count, float.count, float.sum].map(f64::to_bits))
        .hash(&mut hasher);
    for (spans, buckets) in
        [(&float.positive_spans, &float.positive_buckets), (&float.negative_spans, &float.negative_buckets)]
    {
        hash_buckets(spans, buckets, &mut hasher);
    }
    hasher.finish()
}

fn hash_buckets(spans: &[Span], buckets: &[f64], hasher: &mut impl Hasher) {
    let mut index = 0i64;
    let mut values = buckets.iter();
    for span in spans {
        index += i64::from(span.offset);
        for value in values.by_ref().take(span.length as usize) {
            if *value != 0.0 {
                (index, value.to_bits()).hash(hasher);
            }
            index += 1;
        }
    }
}

/// All series.
pub(crate) fn everything() -> Vec<Matcher> {
    vec![Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()]
}

/// What a querier shows of `mint..=maxt`.
pub(crate) fn select(querier: &Querier, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<Shown, Error> {
    let mut shown = Shown::new();
    let mut last: Option<Labels> = None;
    for entry in querier.select(matchers, mint, maxt)? {
        assert!(last.as_ref().is_none_or(|l| l < entry.labels()), "order of {last:?}, {:?}", entry.labels());
        last = Some(entry.labels().clone());
        let samples = samples(&entry, mint, maxt)?;
        if !samples.is_empty() {
            shown.insert(entry.labels().clone(), samples);
        }
    }
    Ok(shown)
}

/// The samples of one entry.
pub(crate) fn samples(entry: &SeriesEntry, mint: i64, maxt: i64) -> Result<Samples, Error> {
    let mut columns = tsdb::Samples::default();
    entry.read_columns(mint, maxt, &mut columns)?;
    let ts = columns.ts;
    assert!(ts.windows(2).all(|w| w[0] < w[1]), "times of {}: {ts:?}", entry.labels());
    assert!(ts.iter().all(|t| (mint..=maxt).contains(t)), "times of {}: {ts:?}", entry.labels());
    let mut bits: Vec<u64> = columns.vs.into_iter().map(f64::to_bits).collect();
    for (at, histogram) in &columns.histograms {
        bits[*at] = fingerprint(histogram);
    }
    Ok(ts.into_iter().zip(bits).collect())
}

/// All that a database shows.
pub(crate) fn all(db: &Db) -> Result<Shown, Error> {
    select(&db.querier(), &everything(), i64::MIN + 1, i64::MAX - 1)
}
