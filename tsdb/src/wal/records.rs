//! What a record says: series, samples, deletions, exemplars, markers, metadata.

use model::labels::Labels;

use crate::encoding;

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
}

impl RecordType {
    /// The type of a record; none where it is empty or unknown (to be skipped and counted, as newer writers may add types).
    pub fn of(_record: &[u8]) -> Option<Self> {
        todo!()
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
    /// Native histograms, not decoded: the record's bytes say more than this version reads.
    Histograms(RecordType),
    /// A type this version does not know: skip and count.
    Unknown(u8),
}

/// Appends a record of series.
pub fn encode_series(_series: &[SeriesRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of series from borrowed parts.
pub fn encode_series_from<'a>(_series: impl IntoIterator<Item = (u64, &'a Labels)>, _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of samples; nothing for none.
pub fn encode_samples(_samples: &[SampleRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of deleted intervals.
pub fn encode_tombstones(_tombstones: &[TombstoneRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of exemplars.
pub fn encode_exemplars(_exemplars: &[ExemplarRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of metadata.
pub fn encode_metadata(_metadata: &[MetadataRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Appends a record of mmap markers.
pub fn encode_mmap_markers(_markers: &[MmapMarkerRecord], _out: &mut Vec<u8>) {
    todo!()
}
/// Decodes any record.
pub fn decode(_record: &[u8]) -> Result<Record, encoding::Error> {
    todo!()
}
/// Decodes a record of samples without allocating: calls `each(ref, t, v)` in order.
pub fn decode_samples(_record: &[u8], _each: impl FnMut(u64, i64, f64)) -> Result<(), encoding::Error> {
    todo!()
}
/// Decodes a record of series: calls `each(ref, labels)` in order.
pub fn decode_series(_record: &[u8], _each: impl FnMut(u64, Labels)) -> Result<(), encoding::Error> {
    todo!()
}
