//! Series numbers that no earlier run has used, without reading the log first.
//!
//! A new run appends at once, while the log of the run before is still being replayed. Its series need numbers that occur
//! nowhere in that log, so that the log stays readable in order, by Prometheus too. The file `head_refs.json` says up to
//! which number all are taken, and which segment was written last. A log with later segments was continued by another
//! program, which counts on from the highest number it saw: then a stretch is left out that no program fills.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{self, Disk};
use crate::encoding::crc32c;

const FILE: &str = "head_refs.json";

/// Numbers are taken from the file in runs of this size: one write for a million new series.
const RUN: u64 = 1 << 20;
/// More series than another program creates before this one comes back.
const FOREIGN: u64 = 1 << 32;
/// More series than a log of unknown age has had: 17 billion. Prometheus' head chunk files hold numbers below 2^40.
const UNKNOWN: u64 = 1 << 34;
/// Higher ones are damage.
const HIGHEST: u64 = 1 << 60;

#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    /// Numbers below this one are taken.
    below: u64,
    /// The last segment of the log that this program has written.
    segment: u32,
    /// What retention has removed the blocks of: all before it has left the head. Blocks that are still there say that themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<i64>,
    /// Checksum of all of them: one flipped bit makes another number of a digit. (Files of earlier versions have none.)
    #[serde(default)]
    crc32c: Option<u32>,
}

impl Taken {
    fn new(below: u64, segment: u32, cut: Option<i64>) -> Self {
        let mut bytes = below.to_be_bytes().to_vec();
        bytes.extend_from_slice(&segment.to_be_bytes());
        bytes.extend(cut.iter().flat_map(|cut| cut.to_be_bytes()));
        Taken { below, segment, cut, crc32c: Some(crc32c(&bytes)) }
    }

    /// What a file says, where it is whole. No run of this program comes near the highest numbers.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let taken: Taken = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let sum = Taken::new(taken.below, taken.segment, taken.cut).crc32c;
        match taken.crc32c {
            Some(_) if taken.crc32c != sum => Err("the checksum does not match".to_owned()),
            _ if taken.below > HIGHEST => Err(format!("{} is no number of a series", taken.below)),
            _ => Ok(taken),
        }
    }
}

/// Hands out series numbers.
#[derive(Debug)]
pub(crate) struct Refs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    taken: Taken,
    /// The first number of this run: the number of series 0.
    base: u64,
}

impl Refs {
    /// Takes the first run of numbers. `last_segment` is the last one that stands in the log; the next one is this run's.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        last_segment: Option<u32>,
    ) -> Result<Self, disk::Error> {
        let path = dir.join(FILE);
        let known = match disk.read(&path) {
            Ok(bytes) => match Taken::parse(&bytes) {
                Ok(taken) => Some(taken),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "damaged file of series numbers: taking far higher ones");
                    None
                }
            },
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        };
        let base = match (&known, last_segment) {
            (Some(taken), Some(last)) if taken.segment < last => taken.below + FOREIGN,
            (Some(taken), _) => taken.below,
            (None, Some(_)) => UNKNOWN,
            (None, None) => 1,
        };
        let segment = last_segment.map_or(0, |s| s + 1);
        // another program that wrote since may have taken samples from before it
        let ours = known.filter(|taken| last_segment.is_some_and(|last| last <= taken.segment));
        let cut = ours.and_then(|taken| taken.cut);
        let mut refs = Refs { disk, dir: dir.to_owned(), taken: Taken::new(base, segment, cut), base };
        refs.save(base + RUN, segment, cut)?;
        Ok(refs)
    }

    /// The number of the series with number 0 in this run.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Makes sure that the number of series `id` is taken.
    pub(crate) fn take(&mut self, id: u32) -> Result<(), disk::Error> {
        if self.base + u64::from(id) < self.taken.below {
            return Ok(());
        }
        self.save(self.taken.below + RUN, self.taken.segment, self.taken.cut)
    }

    /// All before it has left the head, as far as the blocks do not say so.
    pub(crate) fn cut(&self) -> Option<i64> {
        self.taken.cut
    }

    /// Notes how far the head has been cut, before the blocks go that would say so.
    pub(crate) fn note_cut(&mut self, cut: i64) -> Result<(), disk::Error> {
        if self.taken.cut >= Some(cut) {
            Ok(())
        } else {
            self.save(self.taken.below, self.taken.segment, Some(cut))
        }
    }

    /// Notes that the log has gone on to a segment.
    pub(crate) fn note_segment(&mut self, segment: u32) -> Result<(), disk::Error> {
        if segment == self.taken.segment {
            Ok(())
        } else {
            self.save(self.taken.below, segment, self.taken.cut)
        }
    }

    fn save(&mut self, below: u64, segment: u32, cut: Option<i64>) -> Result<(), disk::Error> {
        let taken = Taken::new(below, segment, cut);
        let text = serde_json::to_string(&taken).unwrap_or_default() + "\n";
        let temporary = self.dir.join(format!("{FILE}.tmp"));
        let mut file = self.disk.create(&temporary)?;
        file.write(text.as_bytes())?;
        file.sync()?;
        self.disk.rename(&temporary, &self.dir.join(FILE))?;
        self.disk.sync_dir(&self.dir)?;
        self.taken = taken;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn numbers_never_come_twice() {
        let dir = tempfile::tempdir().unwrap();
        let open = |last| Refs::open(Arc::new(RealDisk), dir.path(), last).unwrap();
        let mut first = open(None);
        assert_eq!(first.base(), 1);
        first.take(RUN as u32 + 5).unwrap();
        // killed within segment 0, which is all there is
        assert!(open(Some(0)).base() > RUN + 6);
        // that one wrote segment 1; then another program wrote 2 and 3
        let foreign = open(Some(3)).base();
        assert!(foreign > FOREIGN);
        assert!((foreign + RUN..FOREIGN * 2).contains(&open(Some(4)).base()));
        for damaged in [
            "x",
            "{\"below\":3,\"segment\":5,\"crc32c\":1}",
            "{\"below\":18446744073709551615,\"segment\":5}",
        ] {
            std::fs::write(dir.path().join(FILE), damaged).unwrap();
            assert_eq!(open(Some(5)).base(), UNKNOWN, "{damaged}");
        }
        std::fs::write(dir.path().join(FILE), "{\"below\":70,\"segment\":5}").unwrap();
        assert_eq!(open(Some(5)).base(), 70, "a file of an earlier version");
    }

    #[test]
    fn the_cut_is_remembered_as_long_as_the_log_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let open = |last| Refs::open(Arc::new(RealDisk), dir.path(), last).unwrap();
        let mut first = open(None);
        assert_eq!(first.cut(), None);
        first.note_cut(-5).unwrap();
        first.note_cut(-7).unwrap();
        assert_eq!((open(Some(0)).cut(), open(Some(1)).cut()), (Some(-5), Some(-5)));
        assert_eq!(open(Some(9)).cut(), None, "another program went on");
    }
}
