//! Which blocks are compacted next: the same choice as Prometheus', so that both find on one directory the same work to do.

use ulid::Ulid;

use super::{HINT_SELECTED_SERIES, HINT_STALE_SERIES};
use crate::block::BlockMeta;

/// Each level's range is this many times the one before.
const STEP: i64 = 3;
/// A block is rewritten when so large a share of its series has something deleted.
const TOMBSTONE_SHARE: f64 = 0.05;

/// The ranges of the levels in milliseconds: `min` (two hours), and each three times the one before, as far as `max`.
pub fn ranges(min: i64, max: i64) -> Vec<i64> {
    let larger = std::iter::successors(Some(min), |range| range.checked_mul(STEP));
    let mut ranges: Vec<i64> = larger.take_while(|&range| range <= max).collect();
    if ranges.is_empty() {
        ranges.push(min);
    }
    ranges
}

/// Which blocks should be compacted next, oldest first: overlapping ones (if allowed), else the oldest that fill a range together, else one with much
/// deleted. Empty where there is nothing to do. The newest block is left in peace, so that there is time to copy it elsewhere. Blocks cut
/// early from the head (their hints say so) are only compacted among themselves. The blocks need no order.
pub fn plan(blocks: &[&BlockMeta], ranges: &[i64], allow_overlapping: bool) -> Vec<Ulid> {
    let is = |b: &BlockMeta, hint: &str| b.compaction.hints.iter().any(|h| h == hint);
    let class = |b: &BlockMeta| match () {
        () if is(b, HINT_STALE_SERIES) => 1,
        () if is(b, HINT_SELECTED_SERIES) => 2,
        () => 0,
    };
    for wanted in 0..3 {
        let mut some: Vec<&BlockMeta> = blocks.iter().copied().filter(|b| class(b) == wanted).collect();
        some.sort_by_key(|b| (b.min_time, b.max_time, b.ulid));
        let chosen = plan_class(&some, ranges, allow_overlapping);
        if !chosen.is_empty() {
            return chosen.iter().map(|b| b.ulid).collect();
        }
    }
    Vec::new()
}

fn plan_class<'a>(blocks: &[&'a BlockMeta], ranges: &[i64], allow_overlapping: bool) -> Vec<&'a BlockMeta> {
    if allow_overlapping {
        let overlapping = first_overlapping(blocks);
        if !overlapping.is_empty() {
            return overlapping.to_vec();
        }
    }
    let Some((_newest, older)) = blocks.split_last() else { return Vec::new() };
    let filled = first_filled_range(older, ranges);
    if !filled.is_empty() {
        return filled.to_vec();
    }
    much_deleted(older, ranges).into_iter().collect()
}

/// The first group of blocks that overlap each other, in time order. A group with a block that failed is passed over: it
/// would fail again.
fn first_overlapping<'b, 'a>(mut blocks: &'b [&'a BlockMeta]) -> &'b [&'a BlockMeta] {
    while let Some(first) = blocks.first() {
        let mut max_time = first.max_time;
        let joined = blocks.iter().skip(1).take_while(|block| {
            let joins = block.min_time < max_time;
            max_time = max_time.max(block.max_time);
            joins
        });
        let (group, rest) = blocks.split_at(1 + joined.count());
        if group.len() > 1 && !group.iter().any(|b| b.compaction.failed) {
            return group;
        }
        blocks = rest;
    }
    &[]
}

/// The first blocks, from the smallest range on, that fill an aligned range, or lie before the last of all and cannot be joined by others.
fn first_filled_range<'b, 'a>(blocks: &'b [&'a BlockMeta], ranges: &[i64]) -> &'b [&'a BlockMeta] {
    let Some(last) = blocks.last() else { return &[] };
    for &range in ranges.iter().skip(1) {
        let mut begin = 0;
        while begin < blocks.len() {
            let range_end = blocks[begin].min_time.div_euclid(range) * range + range;
            let fitting = blocks[begin..].iter().take_while(|b| b.max_time <= range_end).count();
            let group = &blocks[begin..begin + fitting];
            // One that does not fit the range at all is passed over.
            begin += fitting.max(1);
            let [first, .., end] = group else { continue };
            let is_filled = end.max_time - first.min_time == range || end.max_time <= last.min_time;
            if is_filled && !group.iter().any(|b| b.compaction.failed) {
                return group;
            }
        }
    }
    &[]
}

fn much_deleted<'a>(blocks: &[&'a BlockMeta], ranges: &[i64]) -> Option<&'a BlockMeta> {
    let large = ranges.get(ranges.len() / 2).copied().unwrap_or(i64::MAX);
    for block in blocks.iter().rev() {
        let (deleted, series) = (block.stats.num_tombstones, block.stats.num_series);
        if block.max_time - block.min_time < large {
            // Small ones will be rewritten soon anyway, unless nothing is left of them.
            return (deleted > 0 && deleted >= series).then_some(block);
        }
        if deleted as f64 / (series + 1) as f64 > TOMBSTONE_SHARE {
            return Some(block);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockStats, Compaction};

    const RANGES: [i64; 4] = [20, 60, 180, 540];

    fn block(min_time: i64, max_time: i64) -> BlockMeta {
        let ulid = Ulid::from_parts((min_time + 10_000) as u64, max_time as u128);
        let stats = BlockStats { num_series: 99, ..BlockStats::default() };
        let compaction = Compaction::default();
        BlockMeta { ulid, min_time, max_time, stats, compaction, version: 1, other: Default::default() }
    }

    #[track_caller]
    fn check(blocks: &[BlockMeta], expected: &[(i64, i64)]) {
        let chosen = plan(&blocks.iter().rev().collect::<Vec<_>>(), &RANGES, true);
        let find = |u: &Ulid| blocks.iter().find(|b| b.ulid == *u).map(|b| (b.min_time, b.max_time)).unwrap();
        assert_eq!(chosen.iter().map(find).collect::<Vec<_>>(), expected);
    }

    fn check_times(times: &[(i64, i64)], expected: &[(i64, i64)]) {
        check(&times.iter().map(|&(a, b)| block(a, b)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn levels() {
        assert_eq!(ranges(2, 60), [2, 6, 18, 54]);
        assert_eq!(ranges(2, 1), [2]);
        check_times(&[], &[]);
        check_times(&[(0, 20)], &[]);
        // Three fill 0..60, and a fourth has begun.
        check_times(&[(0, 20), (20, 40), (40, 60)], &[]);
        check_times(&[(0, 20), (20, 40), (40, 60), (60, 80)], &[(0, 20), (20, 40), (40, 60)]);
        // A gap: the range lies behind, nothing can come any more.
        check_times(&[(0, 20), (40, 60), (60, 80), (80, 100)], &[(0, 20), (40, 60)]);
        check_times(&[(20, 40), (40, 60), (60, 80)], &[]);
        check_times(&[(20, 40), (40, 60), (60, 80), (80, 100)], &[(20, 40), (40, 60)]);
        // Not across an aligned boundary.
        check_times(&[(40, 60), (60, 80), (80, 100)], &[]);
        // The next level.
        check_times(&[(0, 60), (60, 120), (120, 180), (180, 200)], &[(0, 60), (60, 120), (120, 180)]);
        check_times(&[(-60, -40), (-40, -20), (-20, 0), (0, 20)], &[(-60, -40), (-40, -20), (-20, 0)]);
    }

    #[test]
    fn overlaps_come_first() {
        check_times(&[(0, 20), (10, 40), (40, 60), (60, 80)], &[(0, 20), (10, 40)]);
        check_times(&[(0, 20), (20, 40), (30, 50), (45, 60)], &[(20, 40), (30, 50), (45, 60)]);
        let mut blocks = [(0, 20), (10, 40), (40, 60), (50, 60)].map(|(a, b)| block(a, b));
        blocks[1].compaction.failed = true;
        check(&blocks, &[(40, 60), (50, 60)]);
    }

    #[test]
    fn failed_deleted_and_early_blocks() {
        let mut blocks = [(0, 20), (20, 40), (40, 60), (60, 80)].map(|(a, b)| block(a, b));
        blocks[1].compaction.failed = true;
        check(&blocks, &[]);
        blocks[1].compaction.failed = false;
        blocks[1].compaction.hints = vec![HINT_STALE_SERIES.into()];
        check(&blocks, &[(0, 20), (40, 60)]);
        let mut blocks = [(0, 180), (180, 200)].map(|(a, b)| block(a, b));
        check(&blocks, &[]);
        blocks[0].stats.num_tombstones = 6;
        check(&blocks, &[(0, 180)]);
        let mut blocks = [(0, 20), (20, 40)].map(|(a, b)| block(a, b));
        blocks[0].stats.num_tombstones = 98;
        check(&blocks, &[]);
        blocks[0].stats.num_tombstones = 99;
        check(&blocks, &[(0, 20)]);
    }
}
