//! Functions of numbers over windows that overlap: what can be carried from step to step without changing a bit of the
//! result is; sums that round are added anew for each window, several windows at a time.

use super::Call;
use crate::engine::column::Column;
use crate::engine::kahan::{Kahan, Mean, quantile_of_sorted};
use crate::engine::window::{Grid, Place, Samples};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Buffers that are kept between series.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    sums: Vec<i64>,
    counts: Vec<u32>,
    sorted: Vec<f64>,
    queue: VecDeque<usize>,
}

/// Evaluates a function of numbers at all steps; false where it is none of those that slide.
pub(crate) fn evaluate(
    call: &Call<'_>,
    samples: &Samples,
    grid: &Grid,
    kept: &mut Kept,
    col: &mut Column,
) -> bool {
    match call.func {
        "sum_over_time" => sums(samples, grid, &mut kept.sums, col, false),
        "avg_over_time" => sums(samples, grid, &mut kept.sums, col, true),
        "count_over_time" => each(grid, col, |_, from, to| (to - from) as f64),
        "present_over_time" => each(grid, col, |_, _, _| 1.0),
        "last_over_time" => each(grid, col, |_, _, to| samples.fv[to - 1]),
        "first_over_time" => each(grid, col, |_, from, _| samples.fv[from]),
        "max_over_time" => extreme(true, samples, grid, &mut kept.queue, col),
        "min_over_time" => extreme(false, samples, grid, &mut kept.queue, col),
        "changes" => {
            counted(samples, grid, &mut kept.counts, col, |a, b| a != b && !(a.is_nan() && b.is_nan()))
        }
        // start timestamps say more than the numbers
        "resets" if !samples.fs.is_empty() => return false,
        "resets" => counted(samples, grid, &mut kept.counts, col, |a, b| b < a),
        "quantile_over_time" => {
            let q = &call.params[0];
            let odd = |(place, q): (&Place, &f64)| !place.is_empty() && !(0.0..=1.0).contains(q);
            if grid.places.iter().zip(q).any(odd) {
                call.ctx.noted();
            }
            quantiles(q, samples, grid, &mut kept.sorted, col);
        }
        _ => return false,
    }
    true
}

/// `f(step, from, to)` at each step whose window is not empty.
#[inline]
fn each(grid: &Grid, col: &mut Column, mut f: impl FnMut(usize, usize, usize) -> f64) {
    for (i, (out, place)) in col.values.iter_mut().zip(&grid.places).enumerate() {
        if !place.is_empty() {
            *out = f(i, place.from(), place.to());
        }
    }
}

/// Sums or means.
fn sums(samples: &Samples, grid: &Grid, prefix: &mut Vec<i64>, col: &mut Column, mean: bool) {
    let values = samples.fv.as_slice();
    let overlap = grid.touched.loaded > 2 * values.len() as u64;
    if overlap && whole_prefix_sums(values, prefix) {
        return each(grid, col, |_, from, to| {
            let sum = (prefix[to] - prefix[from]) as f64;
            if mean { sum / (to - from) as f64 } else { sum }
        });
    }
    let filled: Vec<(usize, usize, usize)> = grid
        .places
        .iter()
        .enumerate()
        .filter(|(_, place)| !place.is_empty())
        .map(|(i, place)| (i, place.from(), place.to()))
        .collect();
    let mut lanes = filled.chunks_exact(LANES);
    for windows in lanes.by_ref() {
        let windows: &[(usize, usize, usize); LANES] = match windows.try_into() {
            Ok(windows) => windows,
            Err(_) => continue,
        };
        let sums = compensated(values, windows, mean);
        for ((i, from, to), sum) in windows.iter().zip(sums) {
            col.values[*i] = match mean {
                false => sum.value(),
                // beyond the largest number a mean is computed in another way
                true if sum.sum.is_infinite() => mean_of(&values[*from..*to]),
                true => sum.sum / (to - from) as f64 + sum.c / (to - from) as f64,
            };
        }
    }
    for (i, from, to) in lanes.remainder() {
        let window = &values[*from..*to];
        col.values[*i] = if mean { mean_of(window) } else { sum_of(window) };
    }
}

fn sum_of(window: &[f64]) -> f64 {
    let mut acc = Kahan::default();
    window.iter().for_each(|v| acc.add(*v));
    acc.value()
}

fn mean_of(window: &[f64]) -> f64 {
    let mut acc = Mean::default();
    window.iter().for_each(|v| acc.add(*v));
    acc.value()
}

/// Sums up to each sample, where all values are whole and no sum can round: then differences are exactly what adding each
/// value gives, compensation included.
fn whole_prefix_sums(values: &[f64], prefix: &mut Vec<i64>) -> bool {
    let exact = (1u64 << 53) as f64 / values.len().max(1) as f64;
    // a sum of negative zeros alone is not what whole numbers give
    let whole = |v: f64| v.abs() < exact && (v as i64) as f64 == v && v.to_bits() != (-0.0f64).to_bits();
    if !values.iter().all(|v| whole(*v)) {
        return false;
    }
    prefix.clear();
    prefix.push(0);
    let mut sum = 0;
    prefix.extend(values.iter().map(|v| {
        sum += *v as i64;
        sum
    }));
    true
}

/// Windows whose sums are added up side by side: each addition waits for the one before it, and other windows can use the
/// time.
const LANES: usize = 4;

/// Compensated sums of windows. A mean begins with the first value, a sum with zero.
fn compensated(values: &[f64], windows: &[(usize, usize, usize); LANES], mean: bool) -> [Kahan; LANES] {
    let mut accs = [Kahan::default(); LANES];
    let begin = usize::from(mean);
    if mean {
        for (acc, (_, from, _)) in accs.iter_mut().zip(windows) {
            acc.sum = values[*from];
        }
    }
    let common = windows.iter().map(|(_, from, to)| to - from).min().unwrap_or(0);
    let [a, b, c, d] = windows.map(|(_, from, _)| &values[from..from + common]);
    for k in begin..common {
        accs[0].add(a[k]);
        accs[1].add(b[k]);
        accs[2].add(c[k]);
        accs[3].add(d[k]);
    }
    for (acc, (_, from, to)) in accs.iter_mut().zip(windows) {
        values[from + common.max(begin)..*to].iter().for_each(|v| acc.add(*v));
    }
    accs
}

/// How many pairs of neighbours within the window satisfy `counts`.
fn counted(
    samples: &Samples,
    grid: &Grid,
    prefix: &mut Vec<u32>,
    col: &mut Column,
    counts: impl Fn(f64, f64) -> bool,
) {
    let mut count = 0;
    prefix.clear();
    prefix.push(0);
    prefix.extend(samples.fv.windows(2).map(|w| {
        count += u32::from(counts(w[0], w[1]));
        count
    }));
    each(grid, col, |_, from, to| f64::from(prefix[to - 1] - prefix[from]));
}

/// Maximum or minimum with a queue of candidates: each sample enters and leaves once, however the windows overlap.
fn extreme(max: bool, samples: &Samples, grid: &Grid, queue: &mut VecDeque<usize>, col: &mut Column) {
    queue.clear();
    let mut entered = 0;
    let values = &samples.fv;
    // NaN only wins against NaN; of zeros of both signs the first one stays
    let beats = |a: f64, b: f64| b.is_nan() || if max { a > b } else { a < b };
    each(grid, col, |_, from, to| {
        entered = entered.max(from);
        while entered < to {
            while queue.back().is_some_and(|last| beats(values[entered], values[*last])) {
                queue.pop_back();
            }
            queue.push_back(entered);
            entered += 1;
        }
        while queue.front().is_some_and(|first| *first < from) {
            queue.pop_front();
        }
        values[queue.front().copied().unwrap_or(from)]
    });
}

/// NaN before all, then by value.
fn order(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.total_cmp(b),
    }
}

/// Quantiles of a window that is kept sorted.
fn quantiles(q: &[f64], samples: &Samples, grid: &Grid, sorted: &mut Vec<f64>, col: &mut Column) {
    let values = &samples.fv;
    let mut held = 0..0;
    sorted.clear();
    each(grid, col, |i, from, to| {
        let moved = from.saturating_sub(held.start) + to - held.end;
        if from >= held.end || moved * 4 > to - from {
            sorted.clear();
            sorted.extend_from_slice(&values[from..to]);
            sorted.sort_unstable_by(order);
        } else {
            for v in &values[held.start..from] {
                if let Ok(at) = sorted.binary_search_by(|x| order(x, v)) {
                    sorted.remove(at);
                }
            }
            for v in &values[held.end..to] {
                let at = sorted.partition_point(|x| order(x, v) == Ordering::Less);
                sorted.insert(at, *v);
            }
        }
        held = from..to;
        quantile_of_sorted(q[i], sorted)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::context::{Reference, Steps};
    use crate::engine::kahan::quantile;
    use crate::engine::window::Grids;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let any = prop_oneof![
            8 => (-5i32..40).prop_map(f64::from),
            2 => (-1000i32..1000).prop_map(|v| f64::from(v) / 7.0),
            1 => Just(f64::NAN),
            1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::MAX), Just(1e-300)],
        ];
        let whole = (-100_000i32..100_000).prop_map(f64::from);
        prop_oneof![proptest::collection::vec(any, 0..80), proptest::collection::vec(whole, 0..80)]
    }

    fn direct(func: &str, window: &[f64]) -> f64 {
        match func {
            "sum_over_time" => sum_of(window),
            "avg_over_time" => mean_of(window),
            "changes" => {
                let differ = |p: &[f64]| p[1] != p[0] && !(p[0].is_nan() && p[1].is_nan());
                window.windows(2).filter(|p| differ(p)).count() as f64
            }
            "resets" => window.windows(2).filter(|p| p[1] < p[0]).count() as f64,
            "quantile" => quantile(0.3, &mut window.to_vec()),
            _ => {
                let max = func == "max_over_time";
                let better = |a: f64, b: f64| b.is_nan() || if max { a > b } else { a < b };
                window.iter().copied().reduce(|b, a| if better(a, b) { a } else { b }).unwrap_or(f64::NAN)
            }
        }
    }

    proptest! {
        #[test]
        fn a_sliding_window_gives_what_each_window_gives(
            fv in values(), gaps in proptest::collection::vec(1i64..40, 80), range in 1i64..600, step in 1i64..90,
        ) {
            let mut t = 0;
            let ft: Vec<i64> = gaps.iter().take(fv.len()).map(|gap| { t += gap; t }).collect();
            let mut samples = Samples::default();
            (samples.ft, samples.fv) = (ft, fv);
            let n = (t / step + 8) as usize;
            let reference = Reference::plain(Steps::new(0, step, n));
            let mut grids = Grids::default();
            let grid = grids.at(&samples.ft, &reference, range);
            for func in ["sum_over_time", "avg_over_time", "changes", "resets", "quantile", "max_over_time", "min_over_time"] {
                let mut col = Column::absent(n);
                let mut kept = Kept::default();
                match func {
                    "sum_over_time" => sums(&samples, grid, &mut kept.sums, &mut col, false),
                    "avg_over_time" => sums(&samples, grid, &mut kept.sums, &mut col, true),
                    "changes" => counted(&samples, grid, &mut kept.counts, &mut col, |a, b| a != b && !(a.is_nan() && b.is_nan())),
                    "resets" => counted(&samples, grid, &mut kept.counts, &mut col, |a, b| b < a),
                    "quantile" => quantiles(&vec![0.3; n], &samples, grid, &mut kept.sorted, &mut col),
                    _ => extreme(func == "max_over_time", &samples, grid, &mut kept.queue, &mut col),
                }
                for i in 0..n {
                    let end = reference.time(i);
                    let within = |t: &i64| *t > end - range && *t <= end;
                    let window: Vec<f64> =
                        samples.ft.iter().zip(&samples.fv).filter(|(t, _)| within(t)).map(|(_, v)| *v).collect();
                    prop_assert_eq!(window.is_empty(), !col.is_present(i));
                    if !window.is_empty() {
                        let (found, expected) = (col.values[i], direct(func, &window));
                        let same = found.to_bits() == expected.to_bits()
                            || (found.is_nan() && expected.is_nan())
                            || (func != "sum_over_time" && func != "avg_over_time" && found == expected);
                        prop_assert!(same, "{func} at step {i}: {found} instead of {expected} of {window:?}");
                    }
                }
            }
        }
    }
}
