//! Batches of samples: checked as they come, logged with one write, visible all at once.

mod commit;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::{Labels, NativeHistogram};
use rustc_hash::FxHashMap;

use super::Head;
use super::exemplars::Exemplar;
use super::index::Index;
use super::series::{Outcome, PAGE_SLOTS, Page, Series};
use crate::error::AppendError;
use crate::metadata::Metadata;
use crate::options::WalSync;
use crate::wal::records::{
    ExemplarRecord, RecordType, SampleRecord, encode_exemplars, encode_histograms, encode_histograms_v2,
    encode_samples, encode_samples_v2,
};

/// Batches kept for reuse: one a thread that commits, on the machines this runs on.
pub(super) const POOL_CAPACITY: usize = 16;
/// A batch that held more samples than this gives its memory back (28 bytes a sample).
const POOLED_SAMPLES: usize = 1 << 15;

/// The memory of an appender.
#[derive(Debug, Default)]
pub(super) struct Batch {
    samples: Vec<SampleRecord>,
    /// Their starts (0: unknown): as many, or nothing where none is known or none is stored.
    starts: Vec<i64>,
    /// Histograms by the index of their sample, whose value is 0 then.
    histograms: Vec<(usize, NativeHistogram)>,
    /// Exemplars, each with its series' handle and labels.
    exemplars: Vec<(u64, Labels, Exemplar)>,
    /// What series are, where that is new.
    metadata: Vec<(u32, Arc<Metadata>)>,
    /// Indices of the samples that come out of order.
    late: Vec<usize>,
    /// Where each sample's series is: index into `pages`, slot in the lower five bits.
    places: Vec<u32>,
    pages: Vec<Arc<Page>>,
    /// Encoded records, one after another, and where each ends.
    record: Vec<u8>,
    ends: Vec<usize>,
    /// The version of the numbers that the records have.
    numbered: u32,
    /// How many of the records go into the log of samples that came out of order: the last ones.
    late_records: usize,
}

impl Batch {
    fn series(&self, i: usize) -> Option<&Series> {
        let place = self.places[i] as usize;
        self.pages[place / PAGE_SLOTS].series(place % PAGE_SLOTS)
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().map(move |&end| &self.record[std::mem::replace(&mut begin, end)..end])
    }

    fn start(&self, i: usize) -> i64 {
        self.starts.get(i).copied().unwrap_or(0)
    }

    /// Encodes the samples: a record of floats, and one of each kind of histograms. Only where a series has samples of several kinds, they
    /// are written in the order in which they came, in as many records as that takes. Those that come out of order follow in records of
    /// their own. Records `with_starts` have room for start timestamps.
    fn encode(&mut self, with_starts: bool, head: &Head) {
        self.numbered = head.numbers.version();
        let (mut record, mut ends) = (std::mem::take(&mut self.record), std::mem::take(&mut self.ends));
        record.clear();
        ends.clear();
        if !self.exemplars.is_empty() {
            let all = self.exemplars.iter().map(|(ref_, _, e)| ExemplarRecord {
                ref_: head.number_of(*ref_),
                t: e.t,
                v: e.v,
                labels: e.labels.clone(),
            });
            encode_exemplars(&all.collect::<Vec<_>>(), &mut record);
            ends.push(record.len());
        }
        self.late_records = 0;
        if self.histograms.is_empty() && self.late.is_empty() {
            if !self.samples.is_empty() {
                match with_starts {
                    true => encode_samples_v2(self.with_starts(0..self.samples.len(), head), &mut record),
                    false => encode_samples(self.numbered(0..self.samples.len(), head), &mut record),
                }
                ends.push(record.len());
            }
        } else {
            let mut late = self.late.iter().peekable();
            let in_order = (0..self.samples.len()).filter(|i| late.next_if_eq(&i).is_none()).collect();
            self.encode_some(in_order, with_starts, head, &mut record, &mut ends);
            let before = ends.len();
            self.encode_some(self.late.clone(), with_starts, head, &mut record, &mut ends);
            self.late_records = ends.len() - before;
        }
        (self.record, self.ends) = (record, ends);
    }

    /// The samples with these indices, under the numbers of the log.
    fn numbered(
        &self,
        indices: impl IntoIterator<Item = usize>,
        head: &Head,
    ) -> impl Iterator<Item = SampleRecord> {
        indices.into_iter().map(|i| {
            let SampleRecord { ref_, t, v } = self.samples[i];
            SampleRecord { ref_: head.number_of(ref_), t, v }
        })
    }

    /// Series, time, start and value of the samples with these indices.
    fn with_starts(
        &self,
        indices: impl IntoIterator<Item = usize>,
        head: &Head,
    ) -> impl Iterator<Item = (u64, i64, i64, f64)> {
        indices.into_iter().map(|i| {
            let SampleRecord { ref_, t, v } = self.samples[i];
            (head.number_of(ref_), t, self.start(i), v)
        })
    }

    /// Encodes the samples with these indices.
    fn encode_some(
        &self,
        mut order: Vec<usize>,
        with_starts: bool,
        head: &Head,
        record: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) {
        let mut histograms = self.histograms.iter().peekable();
        let kinds: Vec<_> = (0..self.samples.len())
            .map(|i| histograms.next_if(|(at, _)| *at == i).map(|(_, h)| (type_of_record(h, with_starts), h)))
            .collect();
        let type_of = |i: usize| kinds[i].map_or(RecordType::Samples, |(type_, _)| type_);
        let mut of_series: FxHashMap<u64, RecordType> = FxHashMap::default();
        let is_mixed =
            order.iter().any(|&i| *of_series.entry(self.samples[i].ref_).or_insert(type_of(i)) != type_of(i));
        if !is_mixed {
            order.sort_by_key(|&i| type_of(i) as u8);
        }
        for run in order.chunk_by(|&a, &b| type_of(a) == type_of(b)) {
            if type_of(run[0]) == RecordType::Samples && with_starts {
                encode_samples_v2(self.with_starts(run.iter().copied(), head), record);
            } else if type_of(run[0]) == RecordType::Samples {
                encode_samples(self.numbered(run.iter().copied(), head), record);
            } else {
                let all = run.iter().filter_map(|&i| Some((i, kinds[i]?.1)));
                let all = all.map(|(i, h)| {
                    (head.number_of(self.samples[i].ref_), self.samples[i].t, self.start(i), h)
                });
                match type_of(run[0]) {
                    RecordType::HistogramSamplesV2 => encode_histograms_v2(false, all, record),
                    RecordType::FloatHistogramSamplesV2 => encode_histograms_v2(true, all, record),
                    type_ => encode_histograms(type_, all.map(|(ref_, t, _, h)| (ref_, t, h)), record),
                }
            }
            ends.push(record.len());
        }
    }

    fn clear(&mut self) {
        self.samples.clear();
        self.starts.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata = Vec::new(); // rarely any
        self.late.clear();
        self.ends.clear();
        self.places.clear();
        self.pages.clear();
        self.record.clear();
    }
}

/// The type of record that a histogram goes into.
fn type_of_record(h: &NativeHistogram, with_starts: bool) -> RecordType {
    match (h, with_starts) {
        (_, false) => RecordType::of_histogram(h),
        (NativeHistogram::Integer(_), true) => RecordType::HistogramSamplesV2,
        (NativeHistogram::Float(_), true) => RecordType::FloatHistogramSamplesV2,
    }
}

/// A sample's value, as it was given.
#[derive(Clone, Copy)]
enum Given<'a> {
    Float(f64),
    Histogram(&'a NativeHistogram),
}

/// A batch of samples. Dropped without [`Appender::commit`], nothing happened.
#[derive(Debug)]
pub struct Appender {
    head: Arc<Head>,
    batch: Batch,
    /// The page of the last sample: its number, and its index in the batch.
    last_page: Option<(u32, usize)>,
    /// Samples before this are refused, or come out of order.
    mint: i64,
    /// Samples from this time on may come out of order; `i64::MAX` where none may.
    late_from: i64,
    /// The start of the sample that is being appended; 0: unknown.
    start: i64,
}

impl Appender {
    pub(crate) fn new(head: Arc<Head>) -> Self {
        let batch = head.batches.lock().pop().unwrap_or_default();
        head.metrics.active_appenders.fetch_add(1, Relaxed);
        let mint = head.appendable_from();
        // An empty head says nothing of the time; the blocks do.
        let newest = head.max_time.load(Relaxed).max(head.min_valid());
        let late_from = head.out_of_order.taken_from(newest);
        Appender { head, batch, last_page: None, mint, late_from, start: 0 }
    }

    /// Appends a sample, `t` in milliseconds. `reference` (where not 0) spares the look-up by labels; one that is not known
    /// any more is looked up by labels. Returns the reference to use next time.
    ///
    /// # Errors
    /// Why this sample was refused; the others of the batch are not harmed.
    pub fn append(&mut self, reference: u64, labels: &Labels, t: i64, v: f64) -> Result<u64, AppendError> {
        self.append_value(reference, labels, t, Given::Float(v))
    }

    /// Appends a sample of a count that began at `start` (milliseconds; 0: unknown). Without [`crate::Options::start_timestamps`] that is not
    /// stored.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_since(
        &mut self,
        reference: u64,
        labels: &Labels,
        start: i64,
        t: i64,
        v: f64,
    ) -> Result<u64, AppendError> {
        self.start = start;
        let appended = self.append(reference, labels, t, v);
        self.start = 0;
        appended
    }

    /// Appends a native histogram of a count that began at `start`, as [`Appender::append_since`] does a float.
    ///
    /// # Errors
    /// As [`Appender::append_histogram`].
    pub fn append_histogram_since(
        &mut self,
        reference: u64,
        labels: &Labels,
        start: i64,
        t: i64,
        h: &NativeHistogram,
    ) -> Result<u64, AppendError> {
        self.start = start;
        let appended = self.append_histogram(reference, labels, t, h);
        self.start = 0;
        appended
    }

    /// Appends a native histogram, as [`Appender::append`] does a float.
    ///
    /// # Errors
    /// Why this sample was refused; the others of the batch are not harmed.
    pub fn append_histogram(
        &mut self,
        reference: u64,
        labels: &Labels,
        t: i64,
        h: &NativeHistogram,
    ) -> Result<u64, AppendError> {
        if !h.is_stale() {
            h.validate()?;
        }
        self.append_value(reference, labels, t, Given::Histogram(h))
    }

    #[inline]
    fn append_value(
        &mut self,
        reference: u64,
        labels: &Labels,
        t: i64,
        given: Given<'_>,
    ) -> Result<u64, AppendError> {
        if let Some(result) = self.append_value_known(reference, t, given) {
            return result.map(|()| reference);
        }
        loop {
            let id = self.head.get_or_create(labels)?;
            // none: removed between the two steps; the next round creates it anew
            if let Some(result) = self.append_to(id, t, given) {
                return result.map(|()| self.head.reference(id));
            }
        }
    }

    /// The reference of the series with these labels; none where appending would make it.
    pub fn reference_of(&self, labels: &Labels) -> Option<u64> {
        self.head.index.read().find(labels).map(|id| self.head.reference(id))
    }

    /// Appends a sample to the series of a reference; none where it is not known (any more): then [`Appender::append`] needs
    /// the labels. Refusals are as there.
    #[inline]
    pub fn append_known(&mut self, reference: u64, t: i64, v: f64) -> Option<Result<(), AppendError>> {
        self.append_value_known(reference, t, Given::Float(v))
    }

    #[inline]
    fn append_value_known(
        &mut self,
        reference: u64,
        t: i64,
        given: Given<'_>,
    ) -> Option<Result<(), AppendError>> {
        if t < self.mint && t < self.late_from {
            if self.late_from < i64::MAX {
                self.note_late(t);
            }
            return Some(Err(self.refused(AppendError::OutOfBounds, given)));
        }
        self.append_to(self.head.id_of(reference)?, t, given)
    }

    /// Notes how late a sample is that comes out of order.
    #[cold]
    fn note_late(&self, t: i64) {
        let by = self.head.max_time.load(Relaxed).saturating_sub(t);
        if by > 0 {
            self.head.metrics.spreads.late_seconds.observe(by as f64 / 1000.0);
        }
    }

    /// Counts a refusal. Where there is a window, whatever lies before it is too old, and nothing else.
    #[cold]
    fn refused(&self, error: AppendError, given: Given<'_>) -> AppendError {
        let metrics = &self.head.metrics;
        let of_histograms = &metrics.histograms;
        let (all, histograms, error) = match error {
            AppendError::Duplicate => (&metrics.duplicates, None, error),
            _ if self.late_from < i64::MAX => {
                (&metrics.too_old, Some(&of_histograms.too_old), AppendError::TooOld)
            }
            AppendError::OutOfBounds => (&metrics.out_of_bounds, Some(&of_histograms.out_of_bounds), error),
            _ => (&metrics.out_of_order, Some(&of_histograms.out_of_order), error),
        };
        all.fetch_add(1, Relaxed);
        if let (Some(histograms), Given::Histogram(_)) = (histograms, given) {
            histograms.fetch_add(1, Relaxed);
        }
        error
    }

    /// Appends an exemplar to a series that has samples, which must have been appended before. One that is there already is not
    /// stored twice. Returns the reference to use next time.
    ///
    /// # Errors
    /// Why it was refused; the rest of the batch is not harmed.
    pub fn append_exemplar(
        &mut self,
        reference: u64,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<u64, AppendError> {
        if self.head.exemplars.limit() == 0 {
            return Ok(reference);
        }
        let (id, series) = {
            let index = self.head.index.read();
            let id = self.find(&index, reference, labels)?;
            (id, index.labels(id))
        };
        let reference = self.head.reference(id);
        match self.head.exemplars.check(&series, exemplar) {
            Ok(true) => self.batch.exemplars.push((reference, series, exemplar.clone())),
            Ok(false) => {}
            Err(error) => {
                if error == AppendError::OutOfOrderExemplar {
                    self.head.metrics.out_of_order_exemplars.fetch_add(1, Relaxed);
                }
                return Err(error);
            }
        }
        Ok(reference)
    }

    /// The series of a reference, or with these labels.
    fn find(&self, index: &Index, reference: u64, labels: &Labels) -> Result<u32, AppendError> {
        let known = self.head.id_of(reference).filter(|&id| index.has(id));
        known.or_else(|| index.find(labels)).ok_or(AppendError::UnknownSeries)
    }

    /// Whether [`Appender::describe`] does anything.
    pub fn takes_metadata(&self) -> bool {
        self.head.options.metadata_records
    }

    /// Says what a series is that has samples, which must have been appended before. With [`crate::Options::metadata_records`] it is
    /// written to the log where it is new or has changed, else nothing happens. Returns the reference to use next time.
    ///
    /// # Errors
    /// Where there is no such series; the rest of the batch is not harmed.
    pub fn describe(
        &mut self,
        reference: u64,
        labels: &Labels,
        metadata: &Metadata,
    ) -> Result<u64, AppendError> {
        if !self.takes_metadata() {
            return Ok(reference);
        }
        let id = self.find(&self.head.index.read(), reference, labels)?;
        let described = self.head.described.read();
        let is_logged = described.get(id).is_some_and(|(known, is_logged)| is_logged && **known == *metadata);
        if !is_logged {
            // series of a metric come one after the other
            let last = self.batch.metadata.last().map(|(_, last)| last).filter(|last| ***last == *metadata);
            let shared = last.cloned().or_else(|| described.shared(metadata));
            let shared = shared.unwrap_or_else(|| Arc::new(metadata.clone()));
            self.batch.metadata.push((id, shared));
        }
        Ok(self.head.reference(id))
    }

    /// None where the series is gone.
    #[inline]
    fn append_to(&mut self, id: u32, t: i64, given: Given<'_>) -> Option<Result<(), AppendError>> {
        let (number, slot) = (id / PAGE_SLOTS as u32, id as usize % PAGE_SLOTS);
        let index = match self.last_page {
            Some((last, index)) if last == number => index,
            _ => {
                let page = self.head.page(number)?;
                self.batch.pages.push(page);
                let index = self.batch.pages.len() - 1;
                self.last_page = Some((number, index));
                index
            }
        };
        let series = self.batch.pages[index].series(slot)?;
        let mut state = series.state.lock();
        if state.dead {
            return None;
        }
        let chain = match &state.replayed {
            Some(older) if state.chain.last().is_none() => older,
            _ => &state.chain,
        };
        let mut histogram = None;
        let (outcome, v) = match given {
            Given::Float(v) if model::is_stale(v) && chain.last_histogram().is_some() => {
                // The mark must not end a chunk of histograms as a float would.
                let stale = chain.last_histogram().map(NativeHistogram::stale_like);
                let outcome = stale.as_ref().map_or(Outcome::Appended, |h| chain.check_histogram(t, h));
                histogram = stale;
                (outcome, 0.0)
            }
            Given::Float(v) => (chain.check(t, v), v),
            Given::Histogram(h) => {
                histogram = Some(h.clone());
                (chain.check_histogram(t, h), 0.0)
            }
        };
        match outcome {
            Outcome::Appended | Outcome::AppendedAndCut => {}
            Outcome::Repeated => return Some(Ok(())),
            Outcome::Duplicate => return Some(Err(self.refused(AppendError::Duplicate, given))),
            Outcome::OutOfOrder if t >= self.late_from => self.note_late(t),
            Outcome::OutOfOrder => {
                self.note_late(t);
                return Some(Err(self.refused(AppendError::OutOfOrder, given)));
            }
        }
        state.pending += 1;
        drop(state);
        if let Some(h) = histogram {
            self.batch.histograms.push((self.batch.samples.len(), h));
        }
        let starts = &mut self.batch.starts;
        if (self.start != 0 && self.head.options.start_timestamps) || !starts.is_empty() {
            starts.resize(self.batch.samples.len(), 0);
            starts.push(self.start);
        }
        self.batch.samples.push(SampleRecord { ref_: self.head.reference(id), t, v });
        self.batch.places.push((index * PAGE_SLOTS + slot) as u32);
        Some(Ok(()))
    }

    /// How many samples are in the batch.
    pub fn len(&self) -> usize {
        self.batch.samples.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.batch.samples.is_empty() && self.batch.exemplars.is_empty() && self.batch.metadata.is_empty()
    }

    /// Writes the batch to the log, then makes it visible at once. What it returned for survives the death of the process,
    /// and with [`WalSync::Always`] a power cut.
    ///
    /// # Errors
    /// Where the log could not be written: nothing of the batch is visible then. Where it could not be synced, with
    /// [`WalSync::Always`]: the batch is visible, and a power cut may lose it.
    pub fn commit(mut self) -> Result<(), AppendError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        let head = self.head.clone();
        let may_be_late = self.late_from < i64::MAX;
        let with_starts = head.options.start_timestamps;
        if !may_be_late {
            batch.encode(with_starts, &head);
        }
        let mut log = head.log.lock();
        if may_be_late {
            // Only commits change what is newest, and none does while the log is locked.
            head.find_late(&mut batch, self.mint);
        }
        if may_be_late || batch.numbered != head.numbers.version() {
            batch.encode(with_starts, &head);
        }
        if let Err(error) = head.log_batch(&mut log, &batch) {
            drop(log);
            head.metrics.wal_writes_failed.fetch_add(1, Relaxed);
            self.batch = batch; // dropping `self` rolls it back
            return Err(error);
        }
        // The log stays locked: commits become visible in the order in which they are logged.
        let applying = head.isolation.apply();
        let base = head.reference(0);
        let applied = head.apply_batch(&batch);
        applying.finish(applied.into_iter().map(|i| (batch.samples[i as usize].ref_ - base) as u32));
        drop(log);
        if !batch.exemplars.is_empty() {
            let all = std::mem::take(&mut batch.exemplars);
            head.metrics.exemplars_appended.fetch_add(all.len() as u64, Relaxed);
            head.exemplars.add(all.into_iter().map(|(_, series, e)| (series, e)));
        }
        self.batch = batch;
        self.recycle();
        match head.options.wal_sync {
            WalSync::EverySecond => Ok(()),
            WalSync::Always => head.sync_shared().map_err(|e| AppendError::Storage(e.to_string())),
        }
    }

    /// Forgets the batch.
    pub fn rollback(self) {
        drop(self);
    }

    fn recycle(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        if batch.samples.capacity() > POOLED_SAMPLES {
            return;
        }
        batch.clear();
        let mut pool = self.head.batches.lock();
        if pool.len() < POOL_CAPACITY {
            pool.push(batch);
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.head.metrics.active_appenders.fetch_sub(1, Relaxed);
        for i in 0..self.batch.samples.len() {
            if let Some(series) = self.batch.series(i) {
                series.state.lock().pending -= 1;
            }
        }
        if self.batch.samples.capacity() > 0 {
            self.recycle();
        }
    }
}
