//! From the bytes of an answer to samples in a batch.

use crate::append::{AppendError, Appender};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        known.metadata.begin();
        while let Some(entry) = parser.next(&known.cache)? {
            match entry {
                Entry::Series(series) => {
                    counts.scraped += 1;
                    let (id, labels) = self.identify(&mut known.cache, &parser, &series)?;
                    if known.cache.slot(id).dropped {
                        continue;
                    }
                    counts.added += u64::from(labels.is_some());
                    counts.kept += 1;
                    // over the limit only counting goes on: the report says how many there were
                    if limit == 0 || counts.kept <= limit {
                        self.sample(&mut known.cache, (id, labels), &series, to, counts)?;
                    }
                }
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

    /// The series of a line; of a new one the labels too.
    #[inline]
    fn identify(
        &self,
        cache: &mut Cache,
        parser: &Parser<'_>,
        series: &Series<'_>,
    ) -> Result<(Id, Option<Labels>), Error> {
        if series.expected {
            return Ok((cache.hit(), None));
        }
        if let Some(id) = cache.find(series.raw) {
            return Ok((id, None));
        }
        let mut pairs = Vec::with_capacity(16);
        exposition::decode_pairs(series.raw, self.format, &mut pairs).map_err(|cause| parser.error(cause))?;
        let labels = labels::finish(&pairs, self.target, self.job)
            .map_err(|source| Error::Labels { line: parser.line(), source })?;
        let id = cache.insert(series.raw, labels.is_none()).ok_or(Error::TooMuchText)?;
        Ok((id, labels))
    }

    #[inline]
    fn sample(
        &self,
        cache: &mut Cache,
        (id, labels): (Id, Option<Labels>),
        series: &Series<'_>,
        to: &mut dyn Appender,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let own_time = series.timestamp.filter(|_| self.job.honor_timestamps);
        if own_time.is_some_and(|t| t > self.at.saturating_add(MAX_AHEAD_MS)) {
            counts.out_of_bounds += 1;
            return Ok(());
        }
        let slot = cache.slot(id);
        let labels = || labels.clone().unwrap_or_else(|| labels::of(series.raw, self.target, self.job));
        match to.append(slot.series, &labels, own_time.unwrap_or(self.at), series.value) {
            Ok(reference) if reference == slot.series => {}
            Ok(reference) => slot.series = reference,
            Err(AppendError::OutOfOrder) => counts.out_of_order += 1,
            Err(AppendError::Duplicate) => counts.duplicate += 1,
            Err(AppendError::OutOfBounds) => counts.out_of_bounds += 1,
            Err(AppendError::TooOld) => counts.too_old += 1,
            Err(e @ (AppendError::InvalidLabels(_) | AppendError::Storage(_))) => return Err(e.into()),
        }
        // a series with times of its own ends when its last time is old, without a mark
        let live = own_time.is_none() || self.job.track_timestamps_staleness;
        if slot.live != live {
            slot.live = live;
        }
        Ok(())
    }
}
