//! Deleted intervals of a block.
//!
//! ```text
//! ┌─────────────────┬─────────────┐ ┌───────────────────┬───────────────┬───────────────┐   ┌────────────┐
//! │ 0x0130ba30 <4>  │ version <1> │ │ series <uvarint>  │ mint <varint> │ maxt <varint> │ … │ crc32c <4> │
//! └─────────────────┴─────────────┘ └───────────────────┴───────────────┴───────────────┘   └────────────┘
//! ```
//!
//! The checksum is that of the intervals, without the five bytes before them.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Error, SeriesRef};
use crate::disk::Disk;
use crate::encoding::{Reader, crc32c, put_uvarint, put_varint};

const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;

/// A deleted interval, both ends inclusive, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// From.
    pub mint: i64,
    /// To.
    pub maxt: i64,
}

impl Interval {
    /// Whether a time lies in it.
    pub fn contains(&self, t: i64) -> bool {
        self.mint <= t && t <= self.maxt
    }

    /// Whether it covers the whole of another one.
    pub fn covers(&self, mint: i64, maxt: i64) -> bool {
        self.mint <= mint && maxt <= self.maxt
    }

    /// Whether they share a millisecond.
    pub fn overlaps(&self, mint: i64, maxt: i64) -> bool {
        self.mint <= maxt && mint <= self.maxt
    }
}

/// The intervals of each series: sorted, and apart from each other.
pub(super) type Tombstones = BTreeMap<SeriesRef, Vec<Interval>>;

/// Adds an interval, joined with those it touches.
pub(crate) fn add(intervals: &mut Vec<Interval>, new: Interval) {
    let mut joined = new;
    intervals.retain(|old| {
        let apart = old.maxt < joined.mint.saturating_sub(1) || joined.maxt.saturating_add(1) < old.mint;
        if !apart {
            joined.mint = joined.mint.min(old.mint);
            joined.maxt = joined.maxt.max(old.maxt);
        }
        apart
    });
    let at = intervals.partition_point(|old| old.mint < joined.mint);
    intervals.insert(at, joined);
}

/// Reads a block's tombstones; a missing file has none.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Tombstones, Error> {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => return Ok(Tombstones::new()),
        Err(e) => return Err(e.into()),
    };
    let Some((content, sum)) = bytes.split_last_chunk::<4>().filter(|(content, _)| content.len() >= 5) else {
        return Err(Error::corrupt(path, bytes.len() as u64, "too short for tombstones"));
    };
    let mut r = Reader::new(content);
    let bad = |e| Error::decoding(path, 0, e);
    if r.be32("magic number").map_err(bad)? != MAGIC {
        return Err(Error::corrupt(path, 0, "not tombstones: wrong magic number"));
    }
    let version = r.u8("version").map_err(bad)?;
    if version != VERSION {
        return Err(Error::corrupt(path, 4, format!("unknown version {version}")));
    }
    if crc32c(r.rest()) != u32::from_be_bytes(*sum) {
        return Err(Error::corrupt(path, 5, "the checksum does not match"));
    }
    let mut all = Tombstones::new();
    while !r.is_at_end() {
        let too_large = r.invalid("series");
        let ref_ = u32::try_from(r.uvarint("series").map_err(bad)?).map_err(|_| bad(too_large))?;
        let mint = r.varint("begin").map_err(bad)?;
        let maxt = r.varint("end").map_err(bad)?;
        add(all.entry(SeriesRef(ref_)).or_default(), Interval { mint, maxt });
    }
    Ok(all)
}

/// Replaces a block's tombstones as a whole, durably. Returns the file's length in bytes.
pub(super) fn write(disk: &dyn Disk, dir: &Path, all: &Tombstones) -> Result<u64, Error> {
    let mut bytes = MAGIC.to_be_bytes().to_vec();
    bytes.push(VERSION);
    for (ref_, intervals) in all {
        for interval in intervals {
            put_uvarint(&mut bytes, u64::from(ref_.0));
            put_varint(&mut bytes, interval.mint);
            put_varint(&mut bytes, interval.maxt);
        }
    }
    let sum = crc32c(&bytes[5..]);
    bytes.extend_from_slice(&sum.to_be_bytes());
    super::write::replace(disk, dir, "tombstones", &bytes)?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes_and_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        assert!(read(&RealDisk, &path).unwrap().is_empty());
        let all = Tombstones::from([(SeriesRef(300), vec![Interval { mint: -1, maxt: 64 }])]);
        write(&RealDisk, dir.path(), &all).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let stone = [0xac, 0x02, 0x01, 0x80, 0x01];
        let mut expected = vec![0x01, 0x30, 0xba, 0x30, 1];
        expected.extend(stone);
        expected.extend(crc32c(&stone).to_be_bytes());
        assert_eq!(bytes, expected);
        assert_eq!(read(&RealDisk, &path).unwrap(), all);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(read(&RealDisk, &path).is_err(), "byte {at}");
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(read(&RealDisk, &path).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn intervals_stay_sorted_apart_and_complete(added in proptest::collection::vec((0i64..60, 0i64..10), 1..20)) {
            let mut intervals = Vec::new();
            let mut expected = std::collections::BTreeSet::new();
            for (mint, len) in added {
                add(&mut intervals, Interval { mint, maxt: mint + len });
                expected.extend(mint..=mint + len);
            }
            prop_assert!(intervals.windows(2).all(|w| w[0].maxt + 1 < w[1].mint));
            let covered: std::collections::BTreeSet<_> = intervals.iter().flat_map(|i| i.mint..=i.maxt).collect();
            prop_assert_eq!(covered, expected);
        }
    }
}
