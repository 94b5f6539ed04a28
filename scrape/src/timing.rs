//! When to scrape: each target has a grid of its own, so that load is even and timestamps are equally far apart.

/// Timestamps are moved onto the grid by at most so much where nothing else is asked for, milliseconds.
pub(crate) const DEFAULT_TOLERANCE_MS: i64 = 2;
/// New targets are scraped for the first time within so much for each of them, milliseconds: at once where they are few,
/// without a burst of new series where they are many.
const FIRST_SPREAD_MS: u64 = 5;

/// The times of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    interval: i64,
    offset: i64,
}

impl Grid {
    /// The grid of a target; `spread` is any number that stays the same for it.
    pub(crate) fn new(interval_ms: i64, spread: u64) -> Self {
        let interval = interval_ms.max(1);
        Grid { interval, offset: (spread % interval as u64) as i64 }
    }

    /// How long a target waits for its first scrape where `new` of them came together.
    pub(crate) fn first_wait(&self, spread: u64, new: usize) -> i64 {
        let window = (new as u64).saturating_mul(FIRST_SPREAD_MS).clamp(1, self.interval as u64);
        // not the low bits, which the grid takes: the order here has nothing to do with the order there
        ((spread >> 20) % window) as i64
    }

    /// The first time on the grid after `now`.
    pub(crate) fn after(&self, now: i64) -> i64 {
        let past = (now - self.offset).rem_euclid(self.interval);
        now - past + self.interval
    }

    /// The timestamp of a scrape that was due at `due` and begins at `now`: the former where it is near enough, since equal
    /// distances compress best. Never moved by more than a hundredth of the interval.
    pub(crate) fn align(&self, due: i64, now: i64, tolerance_ms: i64) -> i64 {
        let tolerance = tolerance_ms.min(self.interval / 100);
        if (now - due).abs() <= tolerance { due } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_goes_on_and_is_even() {
        let grid = Grid::new(5000, 12_345);
        assert_eq!(grid.after(0), 2345);
        assert_eq!(grid.after(2345), 7345);
        assert_eq!(grid.after(7344), 7345);
        for (now, tolerance, at) in [
            (7347, 2, 7345),
            (7348, 2, 7348),
            (7344, 2, 7345),
            (7395, 99, 7345),
            (7396, 99, 7396),
            (7346, 0, 7346),
        ] {
            assert_eq!(grid.align(7345, now, tolerance), at);
        }
        assert_eq!(Grid::new(100, 7).align(107, 109, 2), 109);
    }

    #[test]
    fn few_new_targets_are_scraped_at_once() {
        let grid = Grid::new(30_000, 0);
        assert!((0..100).all(|s| grid.first_wait(s << 20, 1) < 5));
        assert!((0..100_000).all(|s| grid.first_wait(s << 20, 100_000) < 30_000));
    }
}
