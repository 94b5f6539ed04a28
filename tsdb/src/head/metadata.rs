//! What the series of the head are, with [`crate::Options::metadata_records`]: said by scrapes, kept in the log.
//!
//! An entry is marked once this run's log has it: what replay finds is older, and checkpoints drop what stands under numbers that go.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use model::Labels;
use rustc_hash::FxHashSet;

use super::series::PAGE_SLOTS;
use super::{Head, Log};
use crate::db::Db;
use crate::metadata::{Metadata, MetricKind};
use crate::wal;
use crate::wal::records::{MetadataRecord, encode_metadata_from, encode_series_from};

/// Series in one record of metadata.
const SERIES_PER_RECORD: usize = 1000;

/// What a batch tells the log before its samples.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Series that the log does not know, rising.
    pub(super) series: Vec<u32>,
    /// What series are, where the log does not say so.
    pub(super) metadata: Vec<(u32, Arc<Metadata>)>,
}

impl Introductions {
    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.metadata.is_empty()
    }
}

impl Head {
    /// Adds to the series that a batch has named those that it only describes, and what is known of them all.
    pub(super) fn introductions(
        &self,
        mut series: Vec<u32>,
        metadata: &[(u32, Arc<Metadata>)],
    ) -> Introductions {
        if !self.options.metadata_records || (series.is_empty() && metadata.is_empty()) {
            series.sort_unstable();
            series.dedup();
            return Introductions { series, metadata: Vec::new() };
        }
        let mut metadata = metadata.to_vec();
        {
            let index = self.index.read();
            metadata.retain(|(id, _)| index.has(*id));
        }
        series.extend(metadata.iter().map(|(id, _)| *id).filter(|&id| !self.is_logged(id)));
        series.sort_unstable();
        series.dedup();
        let told: FxHashSet<u32> = metadata.iter().map(|(id, _)| *id).collect();
        let described = self.described.read();
        for &id in series.iter().filter(|id| !told.contains(id)) {
            if let Some((known, _)) = described.get(id) {
                metadata.push((id, known.clone()));
            }
        }
        Introductions { series, metadata }
    }

    /// Whether this run's log names the series.
    fn is_logged(&self, id: u32) -> bool {
        let page = self.page(id / PAGE_SLOTS as u32);
        page.is_some_and(|p| p.series(id as usize % PAGE_SLOTS).is_some_and(|s| s.logged.load(Relaxed)))
    }

    /// The records: series first.
    pub(super) fn encode_introductions(&self, of: &Introductions) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        if !of.series.is_empty() {
            let labels: Vec<(u64, Labels)> = {
                let index = self.index.read();
                of.series.iter().map(|&id| (self.numbers.of(id), index.labels(id))).collect()
            };
            let mut record = Vec::new();
            encode_series_from(labels.iter().map(|(reference, labels)| (*reference, labels)), &mut record);
            records.push(record);
        }
        for some in of.metadata.chunks(SERIES_PER_RECORD) {
            let mut record = Vec::new();
            encode_metadata_from(some.iter().map(|(id, m)| (self.numbers.of(*id), &**m)), &mut record);
            records.push(record);
        }
        records
    }

    /// Notes what the log has been told.
    pub(super) fn introduced(&self, of: &Introductions) {
        self.with_series(&of.series, |_, page, slot| {
            if let Some(series) = page.series(slot) {
                series.logged.store(true, Relaxed);
            }
        });
        if !of.metadata.is_empty() {
            // none may leave in between: its entry would stay
            let index = self.index.read();
            let mut described = self.described.write();
            for (id, metadata) in of.metadata.iter().filter(|(id, _)| index.has(*id)) {
                described.insert(*id, metadata.clone(), true);
            }
        }
    }

    /// Takes what a log of earlier runs says of a series; what this run was told counts more.
    pub(super) fn describe_replayed(&self, id: u32, record: MetadataRecord) {
        let MetadataRecord { type_, unit, help, .. } = record;
        let metadata = Metadata { kind: MetricKind(type_), unit, help };
        let mut described = self.described.write();
        if described.get(id).is_none_or(|(_, is_of_this_run)| !is_of_this_run) {
            described.put(id, metadata, false);
        }
    }

    /// Tells the log under the numbers of this run what it says under earlier ones, which checkpoints drop some day.
    pub(super) fn carry_metadata(&self, log: &mut Log) -> Result<(), wal::Error> {
        let metadata: Vec<(u32, Arc<Metadata>)> = {
            let described = self.described.read();
            let earlier = described.iter().filter(|(_, _, is_of_this_run)| !is_of_this_run);
            earlier.map(|(id, metadata, _)| (id, metadata.clone())).collect()
        };
        let mut carried = Introductions { series: Vec::new(), metadata };
        carried.metadata.retain(|(id, _)| self.is_logged(*id));
        if carried.is_empty() {
            return Ok(());
        }
        carried.metadata.sort_unstable_by_key(|(id, _)| *id);
        self.prepare_log(log)?;
        let records = self.encode_introductions(&carried);
        log.wal.log(&records.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        self.introduced(&carried);
        Ok(())
    }
}

impl Db {
    /// What the series with exactly these labels is, as far as the head knows ([`crate::Options::metadata_records`]).
    pub fn metadata(&self, labels: &Labels) -> Option<Arc<Metadata>> {
        let head = self.head();
        let id = head.index.read().find(labels)?;
        let described = head.described.read();
        described.get(id).map(|(metadata, _)| metadata.clone())
    }
}
