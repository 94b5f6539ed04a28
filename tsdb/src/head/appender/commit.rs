//! What a commit does with a batch: late samples are told apart, all is logged, then appended.

use std::sync::atomic::Ordering::Relaxed;

use model::{NativeHistogram, Value};
use rustc_hash::FxHashMap;

use super::Batch;
use crate::error::AppendError;
use crate::head::ooo::Inserted;
use crate::head::series::Outcome;
use crate::head::{Head, Log};
use crate::wal;
use crate::wal::records::SampleRecord;

impl Head {
    /// Finds the samples of a batch that are older than the newest of their series, or than `mint`.
    pub(super) fn find_late(&self, batch: &mut Batch, mint: i64) {
        let oldest = mint.max(self.min_valid());
        let mut newest: FxHashMap<u64, i64> = FxHashMap::default();
        for i in 0..batch.samples.len() {
            let SampleRecord { ref_, t, .. } = batch.samples[i];
            let of_series = || {
                let state = batch.series(i).map(|s| s.state.lock());
                let last = state.and_then(|s| s.chains().filter_map(|c| c.last()).map(|(t, _)| t).max());
                last.unwrap_or(i64::MIN)
            };
            let newest = newest.entry(ref_).or_insert_with(of_series);
            if t < oldest || t < *newest {
                batch.late.push(i);
            } else {
                *newest = t;
            }
        }
    }

    /// Logs the series that this run's log does not know yet, what series are where that is new, then the samples, with one write.
    pub(super) fn log_batch(&self, log: &mut Log, batch: &Batch) -> Result<(), AppendError> {
        let failed = |e: wal::Error| AppendError::Storage(e.to_string());
        self.prepare_log(log).map_err(failed)?;
        let mut unknown: Vec<u32> = Vec::new();
        for i in 0..batch.samples.len() {
            if batch.series(i).is_some_and(|s| !s.logged.load(Relaxed)) {
                unknown.extend(self.id_of(batch.samples[i].ref_));
            }
        }
        let introductions = self.introductions(unknown, &batch.metadata);
        let records: Vec<&[u8]> = batch.records().collect();
        let (records, late) = records.split_at(records.len() - batch.late_records);
        if introductions.is_empty() {
            log.wal.log(records).map_err(failed)?;
        } else {
            self.take_numbers(introductions.series.iter().copied())
                .map_err(|e| AppendError::Storage(e.to_string()))?;
            let first = self.encode_introductions(&introductions);
            let all: Vec<&[u8]> = first.iter().map(Vec::as_slice).chain(records.iter().copied()).collect();
            log.wal.log(&all).map_err(failed)?;
            self.introduced(&introductions);
        }
        self.log_late(log, late).map_err(failed)
    }

    fn log_late(&self, log: &mut Log, records: &[&[u8]]) -> Result<(), wal::Error> {
        if records.is_empty() {
            return Ok(());
        }
        log.wbl(&self.disk, &self.dir, &self.options, &self.metrics)?.log(records)
    }

    /// Stores a sample that came out of order; true where a chunk is full now.
    #[cold]
    fn apply_late(&self, sample: &SampleRecord, start: i64, histogram: Option<&NativeHistogram>) -> bool {
        let value = histogram.map_or(Value::Float(sample.v), |h| Value::Histogram(h.clone()));
        let id = (sample.ref_ - self.reference(0)) as u32;
        let inserted = self.out_of_order.insert(id, sample.t, start, value);
        if inserted == Inserted::Repeated {
            self.metrics.duplicates.fetch_add(1, Relaxed);
        } else {
            self.metrics.out_of_order_appended.fetch_add(1, Relaxed);
            self.metrics.samples_appended.fetch_add(1, Relaxed);
            if histogram.is_some() {
                self.metrics.histograms.out_of_order_appended.fetch_add(1, Relaxed);
                self.metrics.histograms.appended.fetch_add(1, Relaxed);
            }
        }
        inserted == Inserted::AddedAndCut
    }

    /// Appends the batch's samples to their series; returns those that were appended.
    pub(super) fn apply_batch(&self, batch: &Batch) -> Vec<u32> {
        let mut applied = Vec::with_capacity(batch.samples.len());
        let (mut mint, mut maxt, mut of_histograms) = (i64::MAX, i64::MIN, 0);
        let mut full = Vec::new();
        let oldest = self.min_valid();
        let mut histograms = batch.histograms.iter().peekable();
        let mut late = batch.late.iter().peekable();
        for (i, sample) in batch.samples.iter().enumerate() {
            let histogram = histograms.next_if(|(at, _)| *at == i);
            let Some(series) = batch.series(i) else { continue };
            let mut state = series.state.lock();
            if late.next_if_eq(&&i).is_some() {
                if self.apply_late(sample, batch.start(i), histogram.map(|(_, h)| h)) {
                    full.push((sample.ref_ - self.reference(0)) as u32);
                }
                state.pending -= 1; // stored before: the series must stay
                continue;
            }
            state.pending -= 1;
            if sample.t < oldest {
                self.metrics.out_of_bounds.fetch_add(1, Relaxed);
                continue;
            }
            let outcome = match histogram {
                None => state.chain.append(sample.t, batch.start(i), sample.v, self.cut_rule),
                Some((_, h)) => state.chain.append_histogram(sample.t, batch.start(i), h, self.cut_rule),
            };
            match outcome {
                Outcome::Appended => {}
                Outcome::AppendedAndCut => full.push((sample.ref_ - self.reference(0)) as u32),
                Outcome::Repeated => continue,
                Outcome::Duplicate => {
                    self.metrics.duplicates.fetch_add(1, Relaxed);
                    continue;
                }
                Outcome::OutOfOrder => {
                    self.metrics.out_of_order.fetch_add(1, Relaxed);
                    continue;
                }
            }
            applied.push(i as u32);
            of_histograms += u64::from(histogram.is_some());
            mint = mint.min(sample.t);
            maxt = maxt.max(sample.t);
        }
        if !applied.is_empty() {
            self.note_times(mint, maxt);
            self.metrics.samples_appended.fetch_add(applied.len() as u64, Relaxed);
            self.metrics.histograms.appended.fetch_add(of_histograms, Relaxed);
        }
        self.queue_full(full);
        applied
    }
}
