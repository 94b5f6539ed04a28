//! Series numbers that no earlier run has used, without reading the log first.
//!
//! A new run appends at once, while the log of the run before is still being replayed. Until that has told them theirs, its series need numbers that occur
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
    /// The last segment that was made durable with its name: it must be there at the next start, and all before it that no checkpoint covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<u32>,
    /// Checksum of all of them: one flipped bit makes another number of a digit. (Files of earlier versions have none.)
    #[serde(default)]
    crc32c: Option<u32>,
}

impl Taken {
    fn new(below: u64, segment: u32, cut: Option<i64>, held: Option<u32>) -> Self {
        let mut bytes = below.to_be_bytes().to_vec();
        bytes.extend_from_slice(&segment.to_be_bytes());
        bytes.extend(cut.iter().flat_map(|cut| cut.to_be_bytes()));
        bytes.extend(held.iter().flat_map(|held| held.to_be_bytes()));
        Taken { below, segment, cut, held, crc32c: Some(crc32c(&bytes)) }
    }

    /// What a file says, where it is whole. No run of this program comes near the highest numbers.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let taken: Taken = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let sum = Taken::new(taken.below, taken.segment, taken.cut, taken.held).crc32c;
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
    earlier_held: Option<u32>,
    /// The last segment that earlier runs of this program have written.
    earlier_segment: Option<u32>,
}

/// What the file says; none where there is none, or it cannot be used: it is set aside then.
fn read(disk: &dyn Disk, path: &Path) -> Option<Taken> {
    let error = match disk.read(path) {
        Ok(bytes) => match Taken::parse(&bytes) {
            Ok(taken) => return Some(taken),
            Err(error) => error,
        },
        Err(e) if e.is_not_found() => return None,
        Err(e) => e.to_string(),
    };
    tracing::error!(path = %path.display(), %error, "cannot use the file of series numbers: taking far higher ones");
    match disk::set_aside(disk, path, "corrupt") {
        Ok(aside) => tracing::warn!(aside = %aside.display(), "set the file of series numbers aside"),
        Err(error) => tracing::error!(%error, "cannot set the file of series numbers aside"),
    }
    None
}

impl Refs {
    /// Takes the first run of numbers. `last_segment` is the last one that stands in the log, or that a checkpoint covers; the next one is
    /// this run's. Where the disk refuses, numbers are taken when the first is needed.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, last_segment: Option<u32>) -> Self {
        let known = read(&*disk, &dir.join(FILE));
        let base = match (&known, last_segment) {
            (Some(taken), Some(last)) if taken.segment < last => taken.below + FOREIGN,
            (Some(taken), _) => taken.below,
            (None, Some(_)) => UNKNOWN,
            (None, None) => 1,
        };
        let segment = last_segment.map_or(0, |s| s + 1);
        let earlier_held = known.as_ref().and_then(|taken| taken.held);
        let earlier_segment = known.as_ref().map(|taken| taken.segment);
        // another program that wrote since may have taken samples from before it
        let ours = known.filter(|taken| last_segment.is_some_and(|last| last <= taken.segment));
        let cut = ours.and_then(|taken| taken.cut);
        let held = earlier_held.min(last_segment);
        let taken = Taken::new(base, segment, cut, held);
        let mut refs = Refs { disk, dir: dir.to_owned(), taken, base, earlier_held, earlier_segment };
        if let Err(error) = refs.save(Taken::new(base + RUN, segment, cut, held)) {
            tracing::error!(%error, "cannot take numbers for new series: no sample of such can be accepted until that works");
        }
        refs
    }

    /// The last segment that earlier runs have made durable; none where that is not known.
    pub(crate) fn earlier_held(&self) -> Option<u32> {
        self.earlier_held
    }

    /// Whether this program wrote a segment, and not another one that went on with the log.
    pub(crate) fn is_ours(&self, segment: u32) -> bool {
        self.earlier_segment >= Some(segment)
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
        let Taken { below, segment, cut, held, .. } = self.taken;
        let enough = (self.base + u64::from(id) + 1).max(below);
        self.save(Taken::new(enough + RUN, segment, cut, held))
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
            self.save(Taken::new(self.taken.below, self.taken.segment, Some(cut), self.taken.held))
        }
    }

    /// Notes that the log has gone on to a segment, and that all of it is durable up to there.
    pub(crate) fn note_segment(&mut self, segment: u32) -> Result<(), disk::Error> {
        if segment == self.taken.segment && self.taken.held == Some(segment) {
            Ok(())
        } else {
            self.save(Taken::new(self.taken.below, segment, self.taken.cut, Some(segment)))
        }
    }

    fn save(&mut self, taken: Taken) -> Result<(), disk::Error> {
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
        let open = |last| Refs::open(Arc::new(RealDisk), dir.path(), last);
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
        let open = |last| Refs::open(Arc::new(RealDisk), dir.path(), last);
        let mut first = open(None);
        assert_eq!(first.cut(), None);
        first.note_cut(-5).unwrap();
        first.note_cut(-7).unwrap();
        assert_eq!((open(Some(0)).cut(), open(Some(1)).cut()), (Some(-5), Some(-5)));
        assert_eq!(open(Some(9)).cut(), None, "another program went on");
    }

    #[test]
    fn what_was_durable_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let open = |last| Refs::open(Arc::new(RealDisk), dir.path(), last);
        assert_eq!(open(None).earlier_held(), None);
        let mut second = open(None);
        second.note_segment(3).unwrap();
        second.note_cut(70).unwrap();
        assert_eq!(open(Some(5)).earlier_held(), Some(3));
        assert_eq!(open(Some(1)).earlier_held(), Some(3), "segments are missing");
        assert_eq!(open(Some(1)).earlier_held(), Some(1), "that is said once");
        let file = dir.path().join(FILE);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir_all(file.join("x")).unwrap();
        assert_eq!(open(Some(1)).base(), UNKNOWN);
        assert!(file.is_file() && dir.path().join(format!("{FILE}.corrupt/x")).is_dir());
    }
}
