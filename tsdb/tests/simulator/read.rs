//! Reading a database as a query does, and checking the form of what it says.

use model::{Labels, MatchOp, Matcher};
use tsdb::{Db, Error, Querier, SeriesEntry};

use super::model::{Samples, Shown};

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
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    entry.read(mint, maxt, &mut ts, &mut vs)?;
    assert!(ts.windows(2).all(|w| w[0] < w[1]), "times of {}: {ts:?}", entry.labels());
    assert!(ts.iter().all(|t| (mint..=maxt).contains(t)), "times of {}: {ts:?}", entry.labels());
    Ok(ts.into_iter().zip(vs.into_iter().map(f64::to_bits)).collect())
}

/// All that a database shows.
pub(crate) fn all(db: &Db) -> Result<Shown, Error> {
    select(&db.querier(), &everything(), i64::MIN + 1, i64::MAX - 1)
}
