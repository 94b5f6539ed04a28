//! Damage at rest: what was damaged may be missing and is reported, all else stays, and the start goes on.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

use testkit::Loss;
use tsdb::disk::Disk;
use tsdb::wal::PAGE_SIZE;

use super::history::{DIR, Run};
use super::model::{Shown, samples};
use super::read;

/// What a damaged file costs at most.
enum Cost {
    /// Samples can be had from elsewhere.
    Nothing,
    /// Samples with `mint <= t < maxt`.
    Block { mint: i64, maxt: i64 },
    /// Samples that were logged in a segment, or whose series were.
    Segment(u32),
    /// Samples that are not in blocks.
    Log,
    /// Samples that came out of order.
    OutOfOrder,
    /// None; where retention has removed all blocks, nothing else says that what was before this time has left the head: the log
    /// may bring it back, deleted or not.
    Cut(i64),
}

impl Run {
    /// Damages one file behind the database's back, then starts it, uses it and starts it again.
    pub(crate) fn damage(&mut self) {
        self.sync();
        let (blocks, cut) = (self.db().blocks(), self.cut_from());
        self.end();
        let files: Vec<(PathBuf, u64)> = self
            .disk
            .files(Path::new(DIR))
            .into_iter()
            .filter(|(path, len)| *len > 0 && is_ours(path))
            .collect();
        let (path, len) = self.random.pick(&files).clone();
        let Some(cost) = cost(&path, &blocks, cut) else { return self.leave_undamaged() };
        let before = self.disk.read(&path).unwrap();
        self.spoil(&path, len as usize);
        let after = self.disk.read(&path).unwrap();
        if path.ends_with("meta.json") && is_json(&after) {
            // The format has no checksum there: a digit that became another one cannot be told from a right one.
            assert!(self.disk.damage(&path, |content| *content = before));
            return self.leave_undamaged();
        }
        self.totals.damaged_files += 1;
        self.model.exemplars.iter_mut().for_each(|e| e.safety = None);
        // What is cut off at the end of a record, nobody can miss; nor what was on a page of which only zeros are left: padding.
        let zeros = |bytes: &[u8]| bytes.chunks(PAGE_SIZE).filter(|p| p.iter().all(|b| *b == 0)).count();
        let noticeable = after.len() == before.len() && zeros(&after) == zeros(&before);
        self.check_damaged(&cost, &path, noticeable);
        for _ in 0..10 {
            self.append();
        }
        self.faulty = true; // a compaction that meets the damage says so
        self.maintain();
        self.faulty = false;
        self.sync();
        self.end();
        self.disk.restart(Loss::Nothing);
        self.check_damaged(&cost, &path, false);
    }

    fn leave_undamaged(&mut self) {
        self.disk.restart(Loss::Nothing);
        self.reopen(Loss::Nothing);
    }

    fn spoil(&mut self, path: &Path, len: usize) {
        let kind = self.random.below(4);
        let (at, bits) = (self.random.index(len), 1 + self.random.below(4));
        let flips: Vec<usize> = (0..bits).map(|_| self.random.index(len * 8)).collect();
        self.say(|_| format!("damage of {}, {len} bytes: kind {kind}, {at}, {flips:?}", path.display()));
        self.disk.damage(path, |content| match kind {
            0 => content.truncate(at),
            1 => content[at / 512 * 512..].iter_mut().take(512).for_each(|b| *b = 0),
            _ => flips.iter().for_each(|bit| content[bit / 8] ^= 1 << (bit % 8)),
        });
    }

    /// How many ends of logs were cut off and kept.
    fn torn(&self) -> usize {
        let files = self.disk.files(Path::new(DIR));
        files.iter().filter(|(path, _)| path.to_string_lossy().contains(".torn")).count()
    }

    /// Starts, and compares what must be there and what may be.
    fn check_damaged(&mut self, cost: &Cost, path: &Path, noticeable: bool) {
        self.disk.restart(Loss::Nothing);
        let dir = Path::new(DIR);
        let disk = std::sync::Arc::new(self.disk.clone());
        let torn = self.torn();
        let db = tsdb::Db::open_on(disk, dir, self.options.clone(), self.clock.clone());
        let db = db.unwrap_or_else(|e| panic!("damage of {} stops the start: {e}", path.display()));
        db.replay();
        self.db = Some(db);
        let must = self.undamaged(cost);
        let ranges = match cost {
            Cost::Block { mint, maxt } => vec![(i64::MIN + 1, mint - 1), (*maxt, i64::MAX - 1)],
            _ => vec![(i64::MIN + 1, i64::MAX - 1)],
        };
        for (mint, maxt) in ranges {
            let shown = read::select(&self.db().querier(), &read::everything(), mint, maxt);
            let shown =
                shown.unwrap_or_else(|e| panic!("damage of {} spoils {mint} to {maxt}: {e}", path.display()));
            let expected: Shown = must
                .iter()
                .map(|(labels, samples)| {
                    (labels.clone(), samples.range(mint..=maxt).map(|(t, v)| (*t, *v)).collect())
                })
                .collect();
            if let Cost::Cut(cut) = cost {
                self.model.take_back(&shown, *cut);
            }
            self.model.compare(&shown, &expected);
            if !matches!(cost, Cost::Block { .. }) {
                let lost = self.model.damaged(&shown);
                let metrics = self.db().metrics();
                let counted = metrics.wal_corruptions.load(SeqCst) + metrics.wal_unknown_samples.load(SeqCst);
                // a last record whose length was damaged looks as a crash leaves one: it is cut off, said and kept
                assert!(
                    lost == 0 || counted > 0 || self.torn() > torn || !noticeable,
                    "damage of {} cost {lost} samples without a word",
                    path.display()
                );
            }
        }
        if let Cost::Block { mint, maxt } = cost {
            match read::select(&self.db().querier(), &read::everything(), *mint, *maxt - 1) {
                Ok(shown) => {
                    // more may be there: what nobody was told of
                    let expected = self.model.expected(*mint, *maxt - 1);
                    let whole = samples(&expected)
                        .all(|(labels, t, _)| shown.get(labels).is_some_and(|s| s.contains_key(&t)));
                    let counted = self.db().metrics().blocks_damaged.load(SeqCst) > 0;
                    let aside = self
                        .disk
                        .files(dir)
                        .iter()
                        .any(|(path, _)| path.to_string_lossy().contains(".corrupt"));
                    assert!(whole || counted || aside, "damage of {} is not reported", path.display());
                    if aside && path.ends_with("tombstones") {
                        self.model.take_back_deleted(&shown);
                    }
                    self.model.compare(&shown, &Shown::new());
                }
                Err(error) => self.say(|_| format!("the damaged block: {error}")),
            }
        }
        self.totals.checks += 1;
    }

    /// What must be there in spite of the damage.
    fn undamaged(&self, cost: &Cost) -> Shown {
        let cut_from = self.cut_from();
        let mut must = Shown::new();
        for (labels, cells) in &self.model.series {
            for (t, cell) in cells.range(self.model.floor..).filter(|(_, cell)| !cell.doubtful) {
                let outside = |segment: u32, (first, last): (u32, u32)| segment < first || last < segment;
                let is_past = self.model.past.contains(&(labels.clone(), *t));
                let stays = match cost {
                    // wherever it was logged, and whether it is in a block yet
                    Cost::Segment(_) | Cost::Log | Cost::OutOfOrder if is_past => false,
                    Cost::Nothing | Cost::Cut(_) => true,
                    Cost::Block { mint, maxt } => !(*mint..*maxt).contains(t),
                    Cost::Segment(segment) => {
                        *t < cut_from
                            || outside(*segment, cell.segments) && outside(*segment, cell.series_segments)
                    }
                    Cost::Log => *t < cut_from,
                    Cost::OutOfOrder => true,
                };
                if stays {
                    must.entry(labels.clone()).or_default().insert(*t, cell.bits);
                }
            }
        }
        must
    }
}

fn is_ours(path: &Path) -> bool {
    let text = path.to_string_lossy();
    !text.contains(".torn") && !text.contains(".corrupt") && !text.contains("snapshots")
}

/// What damage of this file may cost; none where it is not looked at.
fn cost(path: &Path, blocks: &[tsdb::block::BlockMeta], cut: i64) -> Option<Cost> {
    let inside = path.strip_prefix(DIR).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    match first {
        "head_refs.json" => Some(Cost::Cut(cut)),
        "chunks_head" => Some(Cost::Nothing),
        "wal" => {
            let name = inside.components().nth(1)?.as_os_str().to_str()?;
            Some(name.parse().map_or(Cost::Log, Cost::Segment))
        }
        "wbl" => Some(Cost::OutOfOrder),
        _ => {
            let block = blocks.iter().find(|b| b.ulid.to_string() == first)?;
            Some(Cost::Block { mint: block.min_time, maxt: block.max_time })
        }
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<tsdb::block::BlockMeta>(bytes).is_ok()
}
