//! What a record says: series, samples, histograms, deletions, exemplars, markers, metadata. See `docs/wal.md`.

mod histograms;
mod snapshot;

pub use histograms::{HistogramRecord, decode_histograms, encode_histograms, encode_histograms_v2};
pub use snapshot::{
    SnapshotChunk, SnapshotRecord, SnapshotSeries, decode_snapshot, encode_snapshot_exemplars,
    encode_snapshot_series, encode_snapshot_tombstones,
};

use model::labels::Labels;

use crate::encoding::{self, Reader, put_uvarint, put_uvarint_str, put_varint};
use crate::metadata::Metadata;

/// The first byte of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordType {
    /// New series: reference and labels.
    Series = 1,
    /// Float samples.
    Samples = 2,
    /// Deleted intervals.
    Tombstones = 3,
    /// Exemplars.
    Exemplars = 4,
    /// Where in the head chunk files a series' chunks begin (WBL).
    MmapMarkers = 5,
    /// Type, unit and help of series.
    Metadata = 6,
    /// Native histograms of integers.
    HistogramSamples = 7,
    /// Native histograms of floats.
    FloatHistogramSamples = 8,
    /// Native histograms of integers, with custom buckets.
    CustomBucketsHistogramSamples = 9,
    /// Native histograms of floats, with custom buckets.
    CustomBucketsFloatHistogramSamples = 10,
    /// Float samples with start timestamps.
    SamplesV2 = 11,
    /// Native histograms of integers, with start timestamps.
    HistogramSamplesV2 = 12,
    /// Native histograms of floats, with start timestamps.
    FloatHistogramSamplesV2 = 13,
}

impl RecordType {
    /// The type of a record; none where it is empty or unknown (to be skipped and counted, as newer writers may add types).
    pub fn of(record: &[u8]) -> Option<Self> {
        Some(match record.first()? {
            1 => RecordType::Series,
            2 => RecordType::Samples,
            3 => RecordType::Tombstones,
            4 => RecordType::Exemplars,
            5 => RecordType::MmapMarkers,
            6 => RecordType::Metadata,
            7 => RecordType::HistogramSamples,
            8 => RecordType::FloatHistogramSamples,
            9 => RecordType::CustomBucketsHistogramSamples,
            10 => RecordType::CustomBucketsFloatHistogramSamples,
            11 => RecordType::SamplesV2,
            12 => RecordType::HistogramSamplesV2,
            13 => RecordType::FloatHistogramSamplesV2,
            _ => return None,
        })
    }
}

/// A series and the number by which later records name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRecord {
    /// The series' number.
    pub ref_: u64,
    /// Its labels.
    pub labels: Labels,
}

/// A float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRecord {
    /// The series' number.
    pub ref_: u64,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
}

/// A deleted interval of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TombstoneRecord {
    /// The series' number.
    pub ref_: u64,
    /// From, in milliseconds, inclusive.
    pub mint: i64,
    /// To, in milliseconds, inclusive.
    pub maxt: i64,
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarRecord {
    /// The series' number.
    pub ref_: u64,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
    /// The exemplar's own labels.
    pub labels: Labels,
}

/// Metadata of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRecord {
    /// The series' number.
    pub ref_: u64,
    /// 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state set.
    pub type_: u8,
    /// The unit.
    pub unit: String,
    /// The help text.
    pub help: String,
}

/// Where a series' memory-mapped chunks begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmapMarkerRecord {
    /// The series' number.
    pub ref_: u64,
    /// Reference into the head chunk files.
    pub mmap_ref: u64,
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// New series.
    Series(Vec<SeriesRecord>),
    /// Float samples.
    Samples(Vec<SampleRecord>),
    /// Deleted intervals.
    Tombstones(Vec<TombstoneRecord>),
    /// Exemplars.
    Exemplars(Vec<ExemplarRecord>),
    /// Mmap markers.
    MmapMarkers(Vec<MmapMarkerRecord>),
    /// Metadata.
    Metadata(Vec<MetadataRecord>),
    /// Native histograms.
    Histograms(Vec<HistogramRecord>),
    /// A type this version does not know: skip and count.
    Unknown(u8),
}

/// Appends a record of series.
pub fn encode_series(series: &[SeriesRecord], out: &mut Vec<u8>) {
    encode_series_from(series.iter().map(|s| (s.ref_, &s.labels)), out);
}

/// Appends a record of series from borrowed parts.
pub fn encode_series_from<'a>(series: impl IntoIterator<Item = (u64, &'a Labels)>, out: &mut Vec<u8>) {
    out.push(RecordType::Series as u8);
    for (ref_, labels) in series {
        out.extend_from_slice(&ref_.to_be_bytes());
        put_labels(out, labels);
    }
}

fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels {
        put_uvarint_str(out, name);
        put_uvarint_str(out, value);
    }
}

/// Appends a record of samples. References and times are written as differences to those of the first sample.
pub fn encode_samples(samples: impl IntoIterator<Item = SampleRecord>, out: &mut Vec<u8>) {
    out.push(RecordType::Samples as u8);
    let mut samples = samples.into_iter().peekable();
    let Some(&first) = samples.peek() else { return };
    out.reserve(16 + samples.size_hint().0 * 12);
    put_base(out, first.ref_, first.t);
    for s in samples {
        put_delta(out, first.ref_, first.t, s.ref_, s.t);
        out.extend_from_slice(&s.v.to_bits().to_be_bytes());
    }
}

/// Appends a record of samples with start timestamps, `(series, time, start, value)`; a start of 0 is unknown.
pub fn encode_samples_v2(samples: impl IntoIterator<Item = (u64, i64, i64, f64)>, out: &mut Vec<u8>) {
    out.push(RecordType::SamplesV2 as u8);
    let mut base = None;
    for (ref_, t, st, v) in samples {
        V2Base::put(&mut base, out, ref_, t, st);
        out.extend_from_slice(&v.to_bits().to_be_bytes());
    }
}

fn put_base(out: &mut Vec<u8>, ref_: u64, t: i64) {
    out.extend_from_slice(&ref_.to_be_bytes());
    out.extend_from_slice(&t.to_be_bytes());
}

#[inline]
fn put_delta(out: &mut Vec<u8>, base_ref: u64, base_t: i64, ref_: u64, t: i64) {
    put_varint(out, ref_.wrapping_sub(base_ref) as i64);
    put_varint(out, t.wrapping_sub(base_t));
}

/// Appends a record of deleted intervals.
pub fn encode_tombstones(tombstones: &[TombstoneRecord], out: &mut Vec<u8>) {
    out.push(RecordType::Tombstones as u8);
    for t in tombstones {
        out.extend_from_slice(&t.ref_.to_be_bytes());
        put_varint(out, t.mint);
        put_varint(out, t.maxt);
    }
}

/// Appends a record of exemplars.
pub fn encode_exemplars(exemplars: &[ExemplarRecord], out: &mut Vec<u8>) {
    out.push(RecordType::Exemplars as u8);
    let Some(first) = exemplars.first() else { return };
    put_base(out, first.ref_, first.t);
    for e in exemplars {
        put_delta(out, first.ref_, first.t, e.ref_, e.t);
        out.extend_from_slice(&e.v.to_bits().to_be_bytes());
        put_labels(out, &e.labels);
    }
}

/// Appends a record of metadata.
pub fn encode_metadata(metadata: &[MetadataRecord], out: &mut Vec<u8>) {
    out.push(RecordType::Metadata as u8);
    for m in metadata {
        put_metadata(out, m.ref_, m.type_, &m.unit, &m.help);
    }
}

/// The same from borrowed parts.
pub(crate) fn encode_metadata_from<'a>(
    metadata: impl IntoIterator<Item = (u64, &'a Metadata)>,
    out: &mut Vec<u8>,
) {
    out.push(RecordType::Metadata as u8);
    for (ref_, m) in metadata {
        put_metadata(out, ref_, m.kind.0, &m.unit, &m.help);
    }
}

fn put_metadata(out: &mut Vec<u8>, ref_: u64, type_: u8, unit: &str, help: &str) {
    put_uvarint(out, ref_);
    out.push(type_);
    put_uvarint(out, 2);
    for (name, value) in [("UNIT", unit), ("HELP", help)] {
        put_uvarint_str(out, name);
        put_uvarint_str(out, value);
    }
}

/// Appends a record of mmap markers.
pub fn encode_mmap_markers(markers: &[MmapMarkerRecord], out: &mut Vec<u8>) {
    out.push(RecordType::MmapMarkers as u8);
    for m in markers {
        out.extend_from_slice(&m.ref_.to_be_bytes());
        out.extend_from_slice(&m.mmap_ref.to_be_bytes());
    }
}

/// Decodes any record.
pub fn decode(record: &[u8]) -> Result<Record, encoding::Error> {
    let mut r = Reader::new(record);
    let first = r.u8("record type")?;
    Ok(match RecordType::of(record) {
        Some(RecordType::Series) => {
            let mut all = Vec::new();
            decode_series(record, |ref_, labels| all.push(SeriesRecord { ref_, labels }))?;
            Record::Series(all)
        }
        Some(RecordType::Samples | RecordType::SamplesV2) => {
            let mut all = Vec::new();
            decode_samples(record, |ref_, t, _, v| all.push(SampleRecord { ref_, t, v }))?;
            Record::Samples(all)
        }
        Some(RecordType::Tombstones) => Record::Tombstones(tombstones(&mut r)?),
        Some(RecordType::Exemplars) => Record::Exemplars(exemplars(&mut r)?),
        Some(RecordType::MmapMarkers) => Record::MmapMarkers(mmap_markers(&mut r)?),
        Some(RecordType::Metadata) => Record::Metadata(metadata(&mut r)?),
        Some(_) => {
            let mut all = Vec::new();
            decode_histograms(record, |ref_, t, _, h| all.push(HistogramRecord { ref_, t, h }))?;
            Record::Histograms(all)
        }
        None => Record::Unknown(first),
    })
}

fn expect_type(r: &mut Reader<'_>, expected: RecordType) -> Result<(), encoding::Error> {
    let error = r.invalid("record type");
    if r.u8("record type")? == expected as u8 { Ok(()) } else { Err(error) }
}

/// Decodes a record of samples without allocating: calls `each(ref, t, start, v)` in order; a start of 0 is unknown. Samples before damage
/// are delivered.
pub fn decode_samples(
    record: &[u8],
    mut each: impl FnMut(u64, i64, i64, f64),
) -> Result<(), encoding::Error> {
    if RecordType::of(record) == Some(RecordType::SamplesV2) {
        return decode_samples_v2(record, each);
    }
    let mut r = Reader::new(record);
    expect_type(&mut r, RecordType::Samples)?;
    if r.is_at_end() {
        return Ok(());
    }
    let (base_ref, base_t) = (r.be64("first series")?, r.be64i("first timestamp")?);
    while !r.is_at_end() {
        let ref_ = base_ref.wrapping_add(r.varint("series")? as u64);
        let t = base_t.wrapping_add(r.varint("timestamp")?);
        each(ref_, t, 0, r.f64("value")?);
    }
    Ok(())
}

fn decode_samples_v2(record: &[u8], mut each: impl FnMut(u64, i64, i64, f64)) -> Result<(), encoding::Error> {
    let mut r = Reader::new(record);
    expect_type(&mut r, RecordType::SamplesV2)?;
    if r.is_at_end() {
        return Ok(());
    }
    let mut base = V2Base::read(&mut r)?;
    each(base.ref_, base.first_t, base.st, r.f64("value")?);
    while !r.is_at_end() {
        let t = base.next(&mut r)?;
        each(base.ref_, t, base.st, r.f64("value")?);
    }
    Ok(())
}

/// What the samples of a record of the second version are relative to.
struct V2Base {
    /// The series of the sample before.
    ref_: u64,
    first_t: i64,
    first_st: i64,
    /// The start of the sample before.
    st: i64,
}

const START_UNKNOWN: u8 = 0;
const START_AS_BEFORE: u8 = 1;
const START_GIVEN: u8 = 2;

/// How a start timestamp is written.
enum StartMark {
    Unknown,
    AsBefore,
    /// Its difference to the first one.
    Given(i64),
}

impl StartMark {
    fn read(r: &mut Reader<'_>) -> Result<Self, encoding::Error> {
        let invalid = r.invalid("start mark");
        match r.u8("start mark")? {
            START_UNKNOWN => Ok(StartMark::Unknown),
            START_AS_BEFORE => Ok(StartMark::AsBefore),
            START_GIVEN => Ok(StartMark::Given(r.varint("start timestamp")?)),
            _ => Err(invalid),
        }
    }
}

impl V2Base {
    /// Writes the begin of a sample; `base` is none before the first.
    fn put(base: &mut Option<Self>, out: &mut Vec<u8>, ref_: u64, t: i64, st: i64) {
        let Some(base) = base else {
            put_varint(out, ref_ as i64);
            put_varint(out, t);
            put_varint(out, st);
            *base = Some(V2Base { ref_, first_t: t, first_st: st, st });
            return;
        };
        put_varint(out, ref_.wrapping_sub(base.ref_) as i64);
        put_varint(out, t.wrapping_sub(base.first_t));
        match st {
            0 => out.push(START_UNKNOWN),
            st if st == base.st => out.push(START_AS_BEFORE),
            st => {
                out.push(START_GIVEN);
                put_varint(out, st.wrapping_sub(base.first_st));
            }
        }
        (base.ref_, base.st) = (ref_, st);
    }

    /// Reads the begin of the first sample.
    fn read(r: &mut Reader<'_>) -> Result<Self, encoding::Error> {
        let ref_ = r.varint("first series")? as u64;
        let (first_t, first_st) = (r.varint("first timestamp")?, r.varint("first start timestamp")?);
        Ok(V2Base { ref_, first_t, first_st, st: first_st })
    }

    /// Reads the begin of a further sample; returns its time.
    fn next(&mut self, r: &mut Reader<'_>) -> Result<i64, encoding::Error> {
        self.ref_ = self.ref_.wrapping_add(r.varint("series")? as u64);
        let t = self.first_t.wrapping_add(r.varint("timestamp")?);
        self.st = match StartMark::read(r)? {
            StartMark::Unknown => 0,
            StartMark::AsBefore => self.st,
            StartMark::Given(delta) => self.first_st.wrapping_add(delta),
        };
        Ok(t)
    }
}

/// Decodes a record of series: calls `each(ref, labels)` in order.
pub fn decode_series(record: &[u8], mut each: impl FnMut(u64, Labels)) -> Result<(), encoding::Error> {
    let mut pairs = Vec::new();
    let mut r = Reader::new(record);
    expect_type(&mut r, RecordType::Series)?;
    while !r.is_at_end() {
        let ref_ = r.be64("series")?;
        let labels = labels(&mut r, &mut pairs)?;
        each(ref_, labels);
    }
    Ok(())
}

/// The most bytes of a label's name or value: what a label set can hold.
const MAX_LABEL_LEN: usize = 1 << 28;

/// A label set: as it stands if it is sorted (as all writers do), else put in order.
fn labels<'a>(r: &mut Reader<'a>, pairs: &mut Vec<(&'a str, &'a str)>) -> Result<Labels, encoding::Error> {
    pairs.clear();
    let count = r.uvarint("number of labels")?;
    // A pair takes two bytes at least.
    for _ in 0..r.check_count(count, 2, "number of labels")? {
        let too_long = r.invalid("length of a label");
        let pair = (r.uvarint_str("label name")?, r.uvarint_str("label value")?);
        if pair.0.len() >= MAX_LABEL_LEN || pair.1.len() >= MAX_LABEL_LEN {
            return Err(too_long);
        }
        pairs.push(pair);
    }
    let is_sorted = pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, v)| !v.is_empty());
    Ok(if is_sorted {
        Labels::from_sorted(pairs.iter().copied())
    } else {
        Labels::from_pairs(pairs.iter().copied())
    })
}

fn tombstones(r: &mut Reader<'_>) -> Result<Vec<TombstoneRecord>, encoding::Error> {
    let mut all = Vec::new();
    while !r.is_at_end() {
        let ref_ = r.be64("series")?;
        let (mint, maxt) = (r.varint("begin")?, r.varint("end")?);
        all.push(TombstoneRecord { ref_, mint, maxt });
    }
    Ok(all)
}

fn exemplars(r: &mut Reader<'_>) -> Result<Vec<ExemplarRecord>, encoding::Error> {
    let (mut all, mut pairs) = (Vec::new(), Vec::new());
    if r.is_at_end() {
        return Ok(all);
    }
    let (base_ref, base_t) = (r.be64("first series")?, r.be64i("first timestamp")?);
    while !r.is_at_end() {
        let ref_ = base_ref.wrapping_add(r.varint("series")? as u64);
        let t = base_t.wrapping_add(r.varint("timestamp")?);
        let v = r.f64("value")?;
        all.push(ExemplarRecord { ref_, t, v, labels: labels(r, &mut pairs)? });
    }
    Ok(all)
}

fn mmap_markers(r: &mut Reader<'_>) -> Result<Vec<MmapMarkerRecord>, encoding::Error> {
    let mut all = Vec::new();
    while !r.is_at_end() {
        let ref_ = r.be64("series")?;
        all.push(MmapMarkerRecord { ref_, mmap_ref: r.be64("chunk")? });
    }
    Ok(all)
}

fn metadata(r: &mut Reader<'_>) -> Result<Vec<MetadataRecord>, encoding::Error> {
    let mut all = Vec::new();
    while !r.is_at_end() {
        let ref_ = r.uvarint("series")?;
        let type_ = r.u8("metric type")?;
        let mut record = MetadataRecord { ref_, type_, unit: String::new(), help: String::new() };
        let count = r.uvarint("number of fields")?;
        for _ in 0..r.check_count(count, 2, "number of fields")? {
            let name = r.uvarint_str("field name")?;
            let value = r.uvarint_str("field value")?;
            match name {
                "UNIT" => record.unit = value.to_owned(),
                "HELP" => record.help = value.to_owned(),
                // Fields of newer writers.
                _ => {}
            }
        }
        all.push(record);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels_of(text: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(text.iter().copied())
    }

    #[test]
    fn golden_records() {
        let mut out = Vec::new();
        encode_series(&[SeriesRecord { ref_: 258, labels: labels_of(&[("a", "xy")]) }], &mut out);
        assert_eq!(out, [1, 0, 0, 0, 0, 0, 0, 1, 2, 1, 1, b'a', 2, b'x', b'y']);
        out.clear();
        let samples = [SampleRecord { ref_: 7, t: 1000, v: 1.0 }, SampleRecord { ref_: 5, t: 1001, v: -0.0 }];
        encode_samples(samples.iter().copied(), &mut out);
        #[rustfmt::skip]
        assert_eq!(out, [
            2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x03, 0xe8,
            0, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0,
            3, 2, 0x80, 0, 0, 0, 0, 0, 0, 0,
        ]);
        out.clear();
        encode_tombstones(&[TombstoneRecord { ref_: 1, mint: -1, maxt: 64 }], &mut out);
        assert_eq!(out, [3, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x80, 1]);
        out.clear();
        let meta = MetadataRecord { ref_: 200, type_: 1, unit: String::new(), help: "h".into() };
        encode_metadata(&[meta], &mut out);
        assert_eq!(out, b"\x06\xc8\x01\x01\x02\x04UNIT\x00\x04HELP\x01h");
    }

    #[test]
    fn every_kind_comes_back() {
        let l = labels_of(&[("__name__", "up"), ("job", "ü")]);
        let check = |encode: &dyn Fn(&mut Vec<u8>), expected: Record| {
            let mut out = Vec::new();
            encode(&mut out);
            assert_eq!(decode(&out), Ok(expected));
            for len in 1..out.len() {
                // A cut at a boundary reads as a shorter record; elsewhere it is an error.
                let _ = decode(&out[..len]);
            }
        };
        let series = vec![
            SeriesRecord { ref_: 1, labels: l.clone() },
            SeriesRecord { ref_: u64::MAX, labels: Labels::empty() },
        ];
        check(&|out| encode_series(&series, out), Record::Series(series.clone()));
        let exemplars = vec![ExemplarRecord { ref_: 3, t: -5, v: 0.5, labels: l.clone() }; 2];
        check(&|out| encode_exemplars(&exemplars, out), Record::Exemplars(exemplars.clone()));
        let markers = vec![MmapMarkerRecord { ref_: 9, mmap_ref: 1 << 33 }];
        check(&|out| encode_mmap_markers(&markers, out), Record::MmapMarkers(markers.clone()));
        let metadata =
            vec![MetadataRecord { ref_: 9, type_: 5, unit: "s".into(), help: "Some help.".into() }];
        check(&|out| encode_metadata(&metadata, out), Record::Metadata(metadata.clone()));
        check(&|out| encode_samples([], out), Record::Samples(vec![]));
        assert_eq!(decode(&[99, 1, 2]), Ok(Record::Unknown(99)));
        assert!(decode(&[]).is_err());
    }

    #[test]
    fn samples_of_the_second_version() {
        let mut record = vec![11];
        for (head, v) in [
            (&[10, 4, 2][..], 1.0f64), // series 5, t 2, start 1
            (&[2, 6, 1], 2.0),         // series 6, t 5, the same start
            (&[1, 6, 0], 3.0),         // series 5, t 5, no start
            (&[0, 8, 2, 6], 4.0),      // series 5, t 6, start 1 + 3
        ] {
            record.extend_from_slice(head);
            record.extend_from_slice(&v.to_bits().to_be_bytes());
        }
        let mut found = Vec::new();
        decode_samples_v2(&record, |ref_, t, st, v| found.push((ref_, t, st, v))).unwrap();
        assert_eq!(found, [(5, 2, 1, 1.0), (6, 5, 1, 2.0), (5, 5, 0, 3.0), (5, 6, 4, 4.0)]);
        let mut written = Vec::new();
        encode_samples_v2(found.iter().copied(), &mut written);
        assert_eq!(written, record);
        record.extend_from_slice(&[0, 0, 3]);
        assert!(decode_samples_v2(&record, |_, _, _, _| ()).is_err());
    }

    #[test]
    fn unsorted_labels_are_put_in_order() {
        let mut record = vec![1, 0, 0, 0, 0, 0, 0, 0, 1, 3];
        for text in ["b", "2", "a", "1", "c", ""] {
            put_uvarint_str(&mut record, text);
        }
        let expected = vec![SeriesRecord { ref_: 1, labels: labels_of(&[("a", "1"), ("b", "2")]) }];
        assert_eq!(decode(&record), Ok(Record::Series(expected)));
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i32>()), 0..50)) {
            let samples: Vec<_> = samples.iter().map(|&(ref_, t, v)| SampleRecord { ref_, t, v: f64::from(v) }).collect();
            let mut out = Vec::new();
            encode_samples(samples.iter().copied(), &mut out);
            prop_assert_eq!(decode(&out), Ok(Record::Samples(samples)));
        }

        #[test]
        fn samples_with_starts_come_back(
            samples in proptest::collection::vec((any::<u64>(), any::<i64>(), prop_oneof![Just(0i64), Just(9), any::<i64>()], any::<i32>()), 0..50),
        ) {
            let samples: Vec<_> = samples.iter().map(|&(ref_, t, st, v)| (ref_, t, st, f64::from(v))).collect();
            let (mut out, mut found) = (Vec::new(), Vec::new());
            encode_samples_v2(samples.iter().copied(), &mut out);
            decode_samples_v2(&out, |ref_, t, st, v| found.push((ref_, t, st, v))).unwrap();
            prop_assert_eq!(found, samples);
        }

        #[test]
        fn any_bytes_never_panic(type_ in 0u8..15, mut record in proptest::collection::vec(any::<u8>(), 0..200)) {
            record.insert(0, type_);
            let _ = decode(&record);
        }
    }
}
