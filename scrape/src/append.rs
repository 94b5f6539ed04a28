//! Where scraped samples go. Owned here; an adapter in `server` joins it to the database.

use exposition::MetricType;
use model::{FloatHistogram, Labels};

/// A series as the storage knows it: cheaper than its labels. 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesRef(pub u64);

/// Why a sample was refused. The others of the scrape are not harmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Older than the newest of its series, and no out-of-order window allows it.
    #[error("out of order sample")]
    OutOfOrder,
    /// Another value at the same time.
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// Too far from the newest sample of the whole storage.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// A series that the storage does not know, and it takes no further ones now: it says why.
    #[error("new series refused: {0}")]
    Full(String),
    /// The labels are none: a duplicate name, an empty set, …
    #[error("invalid labels: {0}")]
    InvalidLabels(String),
    /// The storage cannot take it now (full disk, …): the whole scrape fails.
    #[error("storage: {0}")]
    Storage(String),
}

/// Makes the labels of a series, for a storage that does not know its reference (any more): a scraper keeps none.
pub type LazyLabels<'a> = &'a dyn Fn() -> Labels;

/// What a target says of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// Its type.
    pub kind: MetricType,
    /// Its unit, or "".
    pub unit: &'a str,
    /// What it means, or "".
    pub help: &'a str,
}

/// A storage that takes samples.
pub trait Appendable: Send + Sync {
    /// Begins a batch: all of it becomes visible at once at the commit, or nothing.
    fn appender(&self) -> Box<dyn Appender>;

    /// The same for a target of so many known series: a storage with little room left may keep it for small ones.
    fn appender_of(&self, series: usize) -> Box<dyn Appender> {
        let _ = series;
        self.appender()
    }
}

/// One batch. Dropped without a commit, nothing happened.
pub trait Appender: Send {
    /// Appends a float sample. `series` (where not 0) spares the look-up by labels; a reference that the storage no longer
    /// knows is looked up by labels. `t` in milliseconds. Returns the reference to use next time.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError>;

    /// Appends a native histogram, as [`Appender::append`] does a float.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append_histogram(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        h: &FloatHistogram,
    ) -> Result<SeriesRef, AppendError>;

    /// Appends a sample about a scrape itself, as [`Appender::append`] does others: taken also where no new series are.
    ///
    /// # Errors
    /// Why this sample was refused.
    fn append_report(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        self.append(series, labels, t, v)
    }

    /// Whether the storage wants to know what series are.
    fn takes_descriptions(&self) -> bool {
        false
    }

    /// Says what a series is of which the batch has a sample: when the series is new to the storage, and when its metric says something else
    /// than before. What cannot be kept of it is no reason to refuse samples.
    fn describe(&mut self, series: SeriesRef, labels: &Labels, description: Description<'_>) {
        let _ = (series, labels, description);
    }

    /// Makes the batch visible and durable against the death of the process.
    ///
    /// # Errors
    /// Where the log could not be written: nothing of the batch is visible then.
    fn commit(self: Box<Self>) -> Result<(), AppendError>;
}
