//! What the engine asks of a storage. Owned here; an adapter in `server` joins it to the database.

use model::{FloatHistogram, Labels, Matcher};
use std::sync::Arc;

/// Says what a selection is for, so that storage can skip work. Times in milliseconds since the epoch, both inclusive.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// First time of interest.
    pub start: i64,
    /// Last time of interest.
    pub end: i64,
    /// Distance of the evaluation steps; 0 for an instant query.
    pub step: i64,
    /// Length of the window; 0 for an instant selector.
    pub range: i64,
    /// The function or aggregation around it, or "".
    pub func: &'static str,
    /// Labels that the aggregation around it groups by.
    pub grouping: Vec<String>,
    /// `by` rather than `without`.
    pub by: bool,
    /// At most so many series; 0 for all.
    pub limit: usize,
    /// Only the last sample of each series at or before `end` is asked for; others may be left out.
    pub latest: bool,
}

/// Why storage could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// A storage, seen over any time.
pub trait Queryable: Send + Sync {
    /// The series that satisfy all matchers and may have samples in `hints.start..=hints.end`, sorted by labels.
    ///
    /// # Errors
    /// Where storage could not be read.
    fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Selection, StorageError>;

    /// The values that a label has among the series that satisfy all matchers, for the hint where a selector finds nothing;
    /// nothing where storage does not say.
    ///
    /// # Errors
    /// Where storage could not be read.
    fn label_values(&self, _name: &str, _matchers: &[Matcher]) -> Result<Option<Vec<String>>, StorageError> {
        Ok(None)
    }
}

/// What a selection found.
#[derive(Default)]
pub struct Selection {
    /// The series, sorted by labels, each label set once.
    pub series: Vec<Arc<dyn Series>>,
    /// What the answer lacks, e.g. while replay goes on: becomes a warning of the query.
    pub warnings: Vec<String>,
}

/// One series; read when needed, from any thread.
pub trait Series: Send + Sync {
    /// Its labels.
    fn labels(&self) -> &Labels;
    /// Appends the samples with `mint <= t <= maxt` to `out`, in order of time, one a timestamp.
    ///
    /// # Errors
    /// Where storage could not be read, or is damaged there.
    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError>;
}

/// Samples of one series as columns. A float's value stands in `values`; where a sample is a histogram, `values` has 0 and
/// `histograms` has an entry with the sample's index.
#[derive(Clone, Debug, Default)]
pub struct SampleBuffer {
    /// Milliseconds since the epoch, ascending.
    pub timestamps: Vec<i64>,
    /// Values, as many as timestamps.
    pub values: Vec<f64>,
    /// (index, histogram), ascending; empty for a series of floats.
    pub histograms: Vec<(usize, Arc<FloatHistogram>)>,
    /// Start timestamps (0: unknown), as many as timestamps, or empty where none is known.
    pub starts: Vec<i64>,
}

/// Bytes that a histogram takes.
pub(crate) fn histogram_bytes(h: &FloatHistogram) -> usize {
    let numbers = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    size_of::<FloatHistogram>() + 8 * (numbers + h.positive_spans.len() + h.negative_spans.len())
}

impl SampleBuffer {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let columns = self.timestamps.capacity() + self.values.capacity() + self.starts.capacity();
        let histograms: usize = self.histograms.iter().map(|(_, h)| 16 + histogram_bytes(h)).sum();
        8 * columns + histograms
    }

    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Appends the samples with `mint <= t <= maxt` to `out`.
    pub(crate) fn copy_to(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) {
        let from = self.timestamps.partition_point(|t| *t < mint);
        let to = self.timestamps.partition_point(|t| *t <= maxt).max(from);
        let before = out.len();
        out.timestamps.extend_from_slice(&self.timestamps[from..to]);
        out.values.extend_from_slice(&self.values[from..to]);
        let first = self.histograms.partition_point(|(at, _)| *at < from);
        let histograms = self.histograms[first..].iter().take_while(|(at, _)| *at < to);
        out.histograms.extend(histograms.map(|(at, h)| (at - from + before, h.clone())));
        let starts = self.starts.get(from..to).unwrap_or(&[]);
        if !out.starts.is_empty() || starts.iter().any(|start| *start != 0) {
            out.starts.resize(before, 0);
            out.starts.extend_from_slice(starts);
            out.starts.resize(out.timestamps.len(), 0);
        }
    }

    /// Appends a float.
    pub fn push_float(&mut self, t: i64, v: f64) {
        self.timestamps.push(t);
        self.values.push(v);
        if !self.starts.is_empty() {
            self.starts.push(0);
        }
    }

    /// Says when the count of the sample that was appended last began, in milliseconds since the epoch; 0: unknown.
    pub fn set_start(&mut self, start: i64) {
        if start != 0 && self.starts.is_empty() {
            self.starts.resize(self.timestamps.len(), 0);
        }
        if let Some(last) = self.starts.last_mut() {
            *last = start;
        }
    }

    /// Appends a histogram.
    pub fn push_histogram(&mut self, t: i64, h: Arc<FloatHistogram>) {
        self.histograms.push((self.timestamps.len(), h));
        self.push_float(t, 0.0);
    }
}
