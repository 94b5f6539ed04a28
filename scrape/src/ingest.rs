//! From the bytes of an answer to samples in a batch.

use crate::append::{AppendError, Appender, Description, SeriesRef};
use crate::cache::{Cache, Id};
use crate::job::Job;
use crate::labels;
use crate::metadata::Metadata;
use exposition::{Entry, Format, Parser, Series};
use model::Labels;

/// A sample so far in the future is refused, as by the original: it would move the window of what storage takes away from now.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Why nothing of a scrape is stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The exposition breaks the rules of its format.
    #[error(transparent)]
    Parse(#[from] exposition::Error),
    /// The labels of a series cannot be used.
    #[error("line {line}: {source}")]
    Labels {
        /// Where, counted from 1.
        line: usize,
        /// Why.
        source: labels::Error,
    },
    /// More samples than allowed.
    #[error("sample limit exceeded ({samples} samples, limit: {limit})")]
    SampleLimit {
        /// How many there were.
        samples: u64,
        /// How many there may be.
        limit: u64,
    },
    /// A target with names and labels of more than 4 GiB.
    #[error("too much text in names and labels")]
    TooMuchText,
    /// The storage refused the whole.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a scrape had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples in the answer.
    pub(crate) scraped: u64,
    /// Those that relabelling kept.
    pub(crate) kept: u64,
    /// Series that were new.
    pub(crate) added: u64,
    /// Samples refused for their place in time.
    pub(crate) out_of_order: u64,
    pub(crate) duplicate: u64,
    pub(crate) out_of_bounds: u64,
    pub(crate) too_old: u64,
    /// New series that the storage did not take, and why.
    pub(crate) refused: u64,
    pub(crate) why_refused: String,
}

/// What is kept of a target between scrapes.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) cache: Cache,
    pub(crate) metadata: Metadata,
}

/// An answer to be stored.
pub(crate) struct Answer<'a> {
    pub(crate) job: &'a Job,
    pub(crate) target: &'a Labels,
    pub(crate) body: &'a [u8],
    pub(crate) format: Format,
    /// Time of samples that have none, milliseconds.
    pub(crate) at: i64,
}

impl Answer<'_> {
    /// Appends all samples. After an error, `counts` tells how far it went.
    pub(crate) fn append(
        &self,
        known: &mut Known,
        to: &mut dyn Appender,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let mut parser = Parser::new(self.body, self.format);
        let limit = self.job.limits.samples;
        known.cache.begin();
        known.metadata.begin(to.takes_descriptions());
        while let Some(entry) = parser.next(&known.cache)? {
            match entry {
                Entry::Series(series) => {
                    counts.scraped += 1;
                    let within = limit == 0 || counts.kept < limit;
                    let Some(id) = identify(&mut known.cache, &series) else {
                        self.new_series(known, &parser, &series, to, counts, within)?;
                        continue;
                    };
                    if known.cache.slot(id).dropped {
                        continue;
                    }
                    counts.kept += 1;
                    // over the limit only counting goes on: the report says how many there were
                    if within {
                        self.sample(known, id, &series, to, counts)?;
                    }
                }
                // what is refused is not described either
                Entry::Help(metric, _) | Entry::Unit(metric, _) | Entry::Type(metric, _)
                    if counts.refused > 0 && !known.metadata.has(&metric) => {}
                Entry::Help(metric, help) => known.metadata.set_help(&metric, &help),
                Entry::Type(metric, kind) => known.metadata.set_type(&metric, kind),
                Entry::Unit(metric, unit) => known.metadata.set_unit(&metric, unit),
                Entry::Comment(_) => {}
            }
        }
        known.cache.end();
        if limit > 0 && counts.kept > limit {
            return Err(Error::SampleLimit { samples: counts.kept, limit });
        }
        Ok(())
    }

    /// A line whose series is not known. It becomes known where it is stored, and where relabelling drops it; one that is refused costs
    /// no memory.
    #[cold]
    fn new_series(
        &self,
        Known { cache, metadata }: &mut Known,
        parser: &Parser<'_>,
        series: &Series<'_>,
        to: &mut dyn Appender,
        counts: &mut Counts,
        within: bool,
    ) -> Result<(), Error> {
        let mut pairs = Vec::with_capacity(16);
        exposition::decode_pairs(series.raw, self.format, &mut pairs).map_err(|cause| parser.error(cause))?;
        let labels = labels::finish(&pairs, self.target, self.job)
            .map_err(|source| Error::Labels { line: parser.line(), source })?;
        let Some(labels) = labels else {
            return cache.insert(series.raw, true).map(drop).ok_or(Error::TooMuchText);
        };
        counts.kept += 1;
        if !within {
            counts.added += 1;
            return Ok(());
        }
        let time = self.time(series, counts);
        let mut stored = None;
        if let Some(t) = time {
            match to.append(SeriesRef::default(), &|| labels.clone(), t, series.value) {
                Err(AppendError::Full(why)) => {
                    counts.refused += 1;
                    counts.why_refused = why;
                    return Ok(());
                }
                result => stored = judge(result, counts)?,
            }
        }
        counts.added += 1;
        if let Some(series) = stored {
            describe(metadata, series, &labels, to);
        }
        let id = cache.insert(series.raw, false).ok_or(Error::TooMuchText)?;
        let slot = cache.slot(id);
        slot.series = stored.unwrap_or_default();
        slot.live = time.is_some() && self.is_marked(series);
        Ok(())
    }

    #[inline]
    fn sample(
        &self,
        Known { cache, metadata }: &mut Known,
        id: Id,
        series: &Series<'_>,
        to: &mut dyn Appender,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let Some(t) = self.time(series, counts) else { return Ok(()) };
        let slot = cache.slot(id);
        let labels = || labels::of(series.raw, self.target, self.job);
        match to.append(slot.series, &labels, t, series.value) {
            Ok(reference) if reference == slot.series => {
                if metadata.present_changed() {
                    describe(metadata, reference, &labels(), to);
                }
            }
            // it left the storage, and may not come back now: the next scrape asks again
            Err(AppendError::Full(why)) => {
                counts.refused += 1;
                counts.why_refused = why;
            }
            result => {
                if let Some(reference) = judge(result, counts)? {
                    slot.series = reference;
                    // it had left the storage
                    if metadata.is_wanted() {
                        describe(metadata, reference, &labels(), to);
                    }
                }
            }
        }
        let live = self.is_marked(series);
        if slot.live != live {
            slot.live = live;
        }
        Ok(())
    }

    /// The sample's time, milliseconds; none where it is refused for it.
    #[inline]
    fn time(&self, series: &Series<'_>, counts: &mut Counts) -> Option<i64> {
        let own_time = self.own_time(series);
        if own_time.is_some_and(|t| t > self.at.saturating_add(MAX_AHEAD_MS)) {
            counts.out_of_bounds += 1;
            return None;
        }
        Some(own_time.unwrap_or(self.at))
    }

    #[inline]
    fn own_time(&self, series: &Series<'_>) -> Option<i64> {
        series.timestamp.filter(|_| self.job.honor_timestamps)
    }

    /// Whether a mark says that the series ended: one with times of its own ends when its last time is old, without a mark.
    #[inline]
    fn is_marked(&self, series: &Series<'_>) -> bool {
        self.own_time(series).is_none() || self.job.track_timestamps_staleness
    }
}

/// Says what a series is, where the lines before it do.
#[cold]
fn describe(metadata: &Metadata, series: SeriesRef, labels: &Labels, to: &mut dyn Appender) {
    if let Some(meta) = metadata.present_of(labels.metric_name()) {
        to.describe(series, labels, Description { kind: meta.kind, unit: &meta.unit, help: &meta.help });
    }
}

/// The series of a line, where it is known.
#[inline]
fn identify(cache: &mut Cache, series: &Series<'_>) -> Option<Id> {
    if series.expected { Some(cache.hit()) } else { cache.find(series.raw) }
}

/// Counts what was refused for its time; what harms all is an error.
fn judge(
    result: Result<SeriesRef, AppendError>,
    counts: &mut Counts,
) -> Result<Option<SeriesRef>, AppendError> {
    match result {
        Ok(reference) => return Ok(Some(reference)),
        Err(AppendError::OutOfOrder) => counts.out_of_order += 1,
        Err(AppendError::Duplicate) => counts.duplicate += 1,
        Err(AppendError::OutOfBounds) => counts.out_of_bounds += 1,
        Err(AppendError::TooOld) => counts.too_old += 1,
        Err(e @ (AppendError::InvalidLabels(_) | AppendError::Storage(_) | AppendError::Full(_))) => {
            return Err(e);
        }
    }
    Ok(None)
}
