//! Records of a snapshot of the memory, which stands beside the log. See `docs/wal.md`.

use model::{Labels, Value};

use super::histograms::{histogram, put_histogram};
use super::{ExemplarRecord, TombstoneRecord, exemplars, labels, put_base, put_delta, put_labels};
use crate::chunk::Encoding;
use crate::encoding::{self, Reader, put_uvarint, put_varint};

const SERIES: u8 = 1;
const TOMBSTONES: u8 = 2;
const EXEMPLARS: u8 = 3;
/// How the intervals of a series are written.
const TOMBSTONES_VERSION: u8 = 1;
/// Room before a float chunk's last value: three older samples and a time, all zero.
const UNUSED: usize = 56;

/// A record of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum SnapshotRecord<'a> {
    /// A series, with its growing chunk.
    Series(SnapshotSeries<'a>),
    /// Deleted intervals.
    Tombstones(Vec<TombstoneRecord>),
    /// Exemplars, in the order in which they came.
    Exemplars(Vec<ExemplarRecord>),
}

/// A series of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSeries<'a> {
    /// The number by which the log knows it.
    pub ref_: u64,
    /// Its labels.
    pub labels: Labels,
    /// The chunk that grows, where there is one.
    pub open: Option<SnapshotChunk<'a>>,
}

/// A chunk that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotChunk<'a> {
    /// Its first sample, milliseconds.
    pub mint: i64,
    /// Its last sample, milliseconds.
    pub maxt: i64,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its data.
    pub data: &'a [u8],
}

/// Appends a record of a series; `open` is its growing chunk and the value of the sample that ends it.
pub fn encode_snapshot_series(
    ref_: u64,
    labels: &Labels,
    open: Option<(SnapshotChunk<'_>, &Value)>,
    out: &mut Vec<u8>,
) {
    out.push(SERIES);
    out.extend_from_slice(&ref_.to_be_bytes());
    put_labels(out, labels);
    // the range of chunks, which nobody reads any more
    out.extend_from_slice(&[0; 8]);
    let Some((chunk, last)) = open else { return out.push(0) };
    out.push(1);
    out.extend_from_slice(&chunk.mint.to_be_bytes());
    out.extend_from_slice(&chunk.maxt.to_be_bytes());
    out.push(chunk.encoding as u8);
    put_uvarint(out, chunk.data.len() as u64);
    out.extend_from_slice(chunk.data);
    match last {
        Value::Float(v) => {
            out.extend_from_slice(&[0; UNUSED]);
            out.extend_from_slice(&v.to_bits().to_be_bytes());
        }
        Value::Histogram(h) => put_histogram(out, h),
    }
}

/// Appends a record of deleted intervals.
pub fn encode_snapshot_tombstones(all: &[TombstoneRecord], out: &mut Vec<u8>) {
    let mut intervals = vec![TOMBSTONES_VERSION];
    for t in all {
        put_uvarint(&mut intervals, t.ref_);
        put_varint(&mut intervals, t.mint);
        put_varint(&mut intervals, t.maxt);
    }
    out.push(TOMBSTONES);
    put_uvarint(out, intervals.len() as u64);
    out.extend_from_slice(&intervals);
}

/// Appends a record of exemplars.
pub fn encode_snapshot_exemplars(all: &[ExemplarRecord], out: &mut Vec<u8>) {
    out.push(EXEMPLARS);
    let Some(first) = all.first() else { return };
    put_base(out, first.ref_, first.t);
    for e in all {
        put_delta(out, first.ref_, first.t, e.ref_, e.t);
        out.extend_from_slice(&e.v.to_bits().to_be_bytes());
        put_labels(out, &e.labels);
    }
}

/// Decodes a record of a snapshot.
///
/// # Errors
/// Where it is of another kind, or not as a writer leaves it. The chunk's data is not looked into.
pub fn decode_snapshot(record: &[u8]) -> Result<SnapshotRecord<'_>, encoding::Error> {
    let mut r = Reader::new(record);
    let unknown = r.invalid("record type");
    let decoded = match r.u8("record type")? {
        SERIES => SnapshotRecord::Series(series(&mut r)?),
        TOMBSTONES => SnapshotRecord::Tombstones(tombstones(r.uvarint_bytes("deletions")?)?),
        EXEMPLARS => SnapshotRecord::Exemplars(exemplars(&mut r)?),
        _ => return Err(unknown),
    };
    if r.is_at_end() { Ok(decoded) } else { Err(r.invalid("end of the record")) }
}

fn series<'a>(r: &mut Reader<'a>) -> Result<SnapshotSeries<'a>, encoding::Error> {
    let ref_ = r.be64("series")?;
    let labels = labels(r, &mut Vec::new())?;
    r.be64("chunk range")?;
    let invalid = r.invalid("mark of a chunk");
    let open = match r.u8("mark of a chunk")? {
        0 => None,
        1 => Some(open_chunk(r)?),
        _ => return Err(invalid),
    };
    Ok(SnapshotSeries { ref_, labels, open })
}

fn open_chunk<'a>(r: &mut Reader<'a>) -> Result<SnapshotChunk<'a>, encoding::Error> {
    let (mint, maxt) = (r.be64i("first timestamp")?, r.be64i("last timestamp")?);
    let invalid = r.invalid("encoding");
    let encoding = Encoding::from_u8(r.u8("encoding")?).ok_or(invalid)?;
    let data = r.uvarint_bytes("chunk")?;
    match encoding {
        Encoding::Xor | Encoding::Xor2 => drop(r.take(UNUSED + 8, "last value")?),
        Encoding::Histogram | Encoding::HistogramSt => drop(histogram(r, false)?),
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => drop(histogram(r, true)?),
    }
    Ok(SnapshotChunk { mint, maxt, encoding, data })
}

fn tombstones(intervals: &[u8]) -> Result<Vec<TombstoneRecord>, encoding::Error> {
    let mut r = Reader::new(intervals);
    let unknown = r.invalid("version of deletions");
    if r.u8("version of deletions")? != TOMBSTONES_VERSION {
        return Err(unknown);
    }
    let mut all = Vec::new();
    while !r.is_at_end() {
        let ref_ = r.uvarint("series")?;
        all.push(TombstoneRecord { ref_, mint: r.varint("begin")?, maxt: r.varint("end")? });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_records_and_damage() {
        let labels = Labels::from_pairs([("a", "xy")]);
        let data = [9, 8, 7];
        let chunk = SnapshotChunk { mint: 1, maxt: 258, encoding: Encoding::Xor, data: &data };
        let mut out = Vec::new();
        encode_snapshot_series(5, &labels, Some((chunk, &Value::Float(1.0))), &mut out);
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1, b'a', 2, b'x', b'y'];
        expected.extend([0; 8]);
        expected.push(1);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 1, 3, 9, 8, 7]);
        expected.extend([0; 56]);
        expected.extend([0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out, expected);
        let series = SnapshotSeries { ref_: 5, labels: labels.clone(), open: Some(chunk) };
        assert_eq!(decode_snapshot(&out).unwrap(), SnapshotRecord::Series(series));
        for len in 0..out.len() {
            assert!(decode_snapshot(&out[..len]).is_err(), "cut at {len}");
        }
        out.push(0);
        assert!(decode_snapshot(&out).is_err(), "more than a record");

        let stones = [TombstoneRecord { ref_: 300, mint: -1, maxt: 64 }];
        let mut out = Vec::new();
        encode_snapshot_tombstones(&stones, &mut out);
        assert_eq!(out, [2, 6, 1, 0xac, 0x02, 0x01, 0x80, 0x01]);
        assert_eq!(decode_snapshot(&out).unwrap(), SnapshotRecord::Tombstones(stones.to_vec()));

        let exemplars = [ExemplarRecord { ref_: 2, t: 5, v: 0.5, labels }];
        let mut out = Vec::new();
        encode_snapshot_exemplars(&exemplars, &mut out);
        assert_eq!(out[..17], [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(decode_snapshot(&out).unwrap(), SnapshotRecord::Exemplars(exemplars.to_vec()));
        assert!(decode_snapshot(&[4]).is_err());
    }
}
