//! Reading a database as a query does, and checking the form of what it says.

use std::collections::BTreeSet;
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

/// When the counting of the sample at a time began, in milliseconds; 0: not known.
pub(crate) fn start_of(t: i64) -> i64 {
    if t % 3 == 0 { 0 } else { t / 100_000 * 100_000 - 7 }
}

/// The exemplars of a database: series, id, time.
pub(crate) fn exemplars(db: &Db) -> BTreeSet<(Labels, String, i64)> {
    let all = db.exemplars(&[everything()], i64::MIN, i64::MAX);
    let of_series = |(series, all): (Labels, Vec<tsdb::Exemplar>)| {
        all.into_iter().map(move |e| (series.clone(), e.labels.get("id").to_owned(), e.t))
    };
    all.into_iter().flat_map(of_series).collect()
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
    for (t, start) in columns.ts.iter().zip(&columns.starts) {
        assert!([0, start_of(*t)].contains(start), "start {start} of {} at {t}", entry.labels());
    }
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
