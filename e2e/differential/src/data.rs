//! The samples that both engines see: one hour from the epoch on, at whole seconds, so that a failing case can be written
//! as a script of the test language as it is.

use crate::histograms;
use crate::random::Random;
use model::Labels;
use model::sample::STALE_NAN;
use promql::testing::{Item, MemoryStorage, with_reset_hints};

/// Last time of any sample, in seconds.
pub(crate) const END: i64 = 3600;

/// One series, its samples in order of time (milliseconds since the epoch).
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, Item)>,
    /// Its histograms are stored with float counts.
    pub(crate) float_counts: bool,
}

/// All series, sorted by labels: both storages then give them in the same order.
pub(crate) fn make(seed: u64) -> Vec<Series> {
    let mut maker = Maker { random: Random::new(seed), series: Vec::new() };
    maker.counters();
    maker.gauges();
    maker.extremes();
    maker.classic();
    maker.native();
    maker.info();
    maker.names();
    let mut series = maker.series;
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

/// The samples as the engine in this process reads them.
pub(crate) fn storage(series: &[Series]) -> MemoryStorage {
    let mut storage = MemoryStorage::default();
    for s in series {
        for (t, item) in with_reset_hints(s.samples.clone()) {
            storage.append(&s.labels, t, item);
        }
    }
    storage
}

/// When a series has samples.
#[derive(Clone, Copy)]
enum Rhythm {
    /// Every 15 seconds.
    Even,
    /// About every 15 seconds.
    Uneven,
    /// Every minute.
    Slow,
    /// With gaps of up to ten minutes.
    Gaps,
    /// Ends with a staleness mark and comes back later.
    Stale,
}

const RHYTHMS: [Rhythm; 5] = [Rhythm::Even, Rhythm::Uneven, Rhythm::Slow, Rhythm::Gaps, Rhythm::Stale];

pub(crate) struct Maker {
    pub(crate) random: Random,
    series: Vec<Series>,
}

impl Maker {
    /// Times in seconds, and whether a staleness mark stands there.
    fn times(&mut self, rhythm: Rhythm) -> Vec<(i64, bool)> {
        let step = if matches!(rhythm, Rhythm::Slow) { 60 } else { 15 };
        let mut t = self.random.between(0, step - 1);
        let mut times = Vec::new();
        while t <= END {
            times.push((t, false));
            t += match rhythm {
                Rhythm::Uneven => self.random.between(12, 18),
                _ => step,
            };
            match rhythm {
                Rhythm::Gaps if self.random.percent(4) => t += self.random.between(60, 600),
                Rhythm::Stale if self.random.percent(3) && t <= END => {
                    times.push((t, true));
                    t += self.random.between(step, 400);
                }
                _ => {}
            }
        }
        times
    }

    fn add(&mut self, labels: &[(&str, &str)], samples: Vec<(i64, Item)>, float_counts: bool) {
        let labels = Labels::from_pairs(labels.iter().copied());
        self.series.push(Series { labels, samples, float_counts });
    }

    /// A series of numbers; `next(random, previous)` makes them.
    fn floats(
        &mut self,
        labels: &[(&str, &str)],
        rhythm: Rhythm,
        first: f64,
        mut next: impl FnMut(&mut Random, f64) -> f64,
    ) {
        let mut v = first;
        let times = self.times(rhythm);
        let mut samples = Vec::with_capacity(times.len());
        for (t, stale) in times {
            samples.push((t * 1000, Item::Float(if stale { STALE_NAN } else { v })));
            v = next(&mut self.random, v);
        }
        self.add(labels, samples, false);
    }

    /// A series of histograms; `next(random, time in seconds)` makes them.
    fn histograms(
        &mut self,
        labels: &[(&str, &str)],
        rhythm: Rhythm,
        float_counts: bool,
        mut next: impl FnMut(&mut Random, i64) -> Item,
    ) {
        let times = self.times(rhythm);
        let mut samples = Vec::with_capacity(times.len());
        for (t, stale) in times {
            let item = next(&mut self.random, t);
            samples.push((t * 1000, if stale { histograms::stale(&item) } else { item }));
        }
        self.add(labels, samples, float_counts);
    }

    fn rhythm(&mut self) -> Rhythm {
        self.random.pick(&RHYTHMS)
    }

    fn counters(&mut self) {
        for job in ["api", "web"] {
            for instance in ["a:80", "b:80"] {
                for code in ["200", "404", "500"] {
                    for method in ["GET", "POST"] {
                        let name = "http_requests_total";
                        let labels = [
                            ("__name__", name),
                            ("job", job),
                            ("instance", instance),
                            ("code", code),
                            ("method", method),
                        ];
                        let rhythm = self.rhythm();
                        let first = self.random.between(0, 50) as f64;
                        self.floats(&labels, rhythm, first, |random, v| {
                            if random.percent(3) {
                                random.between(0, 5) as f64
                            } else {
                                v + random.between(0, 20) as f64
                            }
                        });
                    }
                }
                let labels = [("__name__", "errors_total"), ("job", job), ("instance", instance)];
                let rhythm = self.rhythm();
                self.floats(&labels, rhythm, 0.0, |random, v| {
                    if random.percent(1) { 0.0 } else { v + random.unit() * 3.0 }
                });
                let labels = [
                    ("__name__", "sent_bytes_total"),
                    ("__type__", "counter"),
                    ("__unit__", "bytes"),
                    ("job", job),
                    ("instance", instance),
                ];
                self.floats(&labels, Rhythm::Even, 1e9, |random, v| v + random.between(0, 100_000) as f64);
            }
        }
    }

    fn gauges(&mut self) {
        for job in ["api", "web", "batch"] {
            for instance in ["a:80", "b:80"] {
                let rhythm = self.rhythm();
                let labels = [("__name__", "memory_bytes"), ("job", job), ("instance", instance)];
                self.floats(&labels, rhythm, 1e6, |random, v| (v + (random.unit() - 0.5) * 1e5).round());
                let labels = [("__name__", "up"), ("job", job), ("instance", instance)];
                self.floats(
                    &labels,
                    Rhythm::Even,
                    1.0,
                    |random, v| if random.percent(5) { 1.0 - v } else { v },
                );
            }
        }
        for (room, floor) in [("r1", "1"), ("r2", "1"), ("r10", "2"), ("r20", "2"), ("r3", "")] {
            let rhythm = self.rhythm();
            let labels = [("__name__", "temperature"), ("room", room), ("floor", floor)];
            self.floats(&labels, rhythm, 20.0, |random, v| {
                let base = if v.is_finite() { v } else { 0.0 };
                match random.below(60) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    3 => -0.0,
                    4 => 0.0,
                    5 => -base,
                    _ => base + random.unit() - 0.5,
                }
            });
        }
    }

    fn extremes(&mut self) {
        for (x, v) in
            [("1", 1.0), ("2", 1.0), ("3", 2.0), ("4", 2.0), ("5", f64::NAN), ("6", -0.0), ("7", 0.0)]
        {
            self.floats(&[("__name__", "same"), ("x", x)], Rhythm::Slow, v, |_, v| v);
        }
        for (x, v) in [("1", 1e308), ("2", -1e308), ("3", 3e-308), ("4", 1.7e308), ("5", 9007199254740993.0)]
        {
            self.floats(&[("__name__", "huge"), ("x", x)], Rhythm::Slow, v, |random, v| {
                if random.percent(20) { -v } else { v }
            });
        }
        let starts = [
            ("a", 1.7e9),
            ("b", -1.0),
            ("c", 951_782_400.5),
            ("d", -6.3e10),
            ("e", 4.1e9),
            ("f", 1e17),
            ("g", f64::NAN),
        ];
        for (instance, v) in starts {
            let labels = [("__name__", "boot_time_seconds"), ("instance", instance)];
            self.floats(&labels, Rhythm::Slow, v, |random, v| v + random.between(0, 5_000_000) as f64);
        }
        self.floats(&[("__name__", "lonely")], Rhythm::Even, 3.0, |random, v| {
            v + random.between(-1, 1) as f64
        });
    }

    fn classic(&mut self) {
        let bounds: &[&str] = &["0.1", "0.5", "1", "2.5", "10", "+Inf"];
        for (job, instance) in [("api", "a:80"), ("api", "b:80"), ("web", "a:80"), ("web", "b:80")] {
            self.classic_one("latency_seconds", &[("job", job), ("instance", instance)], bounds, 0);
        }
        self.classic_one("odd_seconds", &[("kind", "no +Inf")], &["1", "2"], 0);
        self.classic_one("odd_seconds", &[("kind", "falls")], &["1", "2", "4", "8", "+Inf"], 30);
        self.classic_one("odd_seconds", &[("kind", "words")], &["1", "abc", "3", "+Inf"], 0);
        self.classic_one("odd_seconds", &[("kind", "twice")], &["1", "1.0", "2e0", "+Inf"], 0);
        self.classic_one("odd_seconds", &[("kind", "single")], &["+Inf"], 0);
        self.classic_one("odd_seconds", &[("kind", "negative")], &["-10", "-1", "0", "5", "+Inf"], 0);
        self.classic_one("odd_seconds", &[("kind", "no zero")], &["-10", "-1", "+Inf"], 0);
    }

    /// Buckets, sum and count; each bucket falls below the one before it in `falls` of a hundred steps.
    fn classic_one(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[&str], falls: u64) {
        let times = self.times(Rhythm::Even);
        let mut counts = vec![0.0; bounds.len()];
        let mut columns: Vec<Vec<(i64, Item)>> = vec![Vec::new(); bounds.len()];
        let (mut sums, mut totals, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (t, _) in times {
            if self.random.percent(1) {
                counts.fill(0.0);
                sum = 0.0;
            }
            for _ in 0..self.random.below(8) {
                let at = self.random.below(bounds.len());
                counts[at..].iter_mut().for_each(|c| *c += 1.0);
                sum += at as f64 * self.random.unit();
            }
            for (column, count) in columns.iter_mut().zip(&counts) {
                let fallen: f64 = if self.random.percent(falls) { 3.0 } else { 0.0 };
                column.push((t * 1000, Item::Float(f64::max(count - fallen, 0.0))));
            }
            sums.push((t * 1000, Item::Float(sum)));
            totals.push((t * 1000, Item::Float(counts[bounds.len() - 1])));
        }
        for (suffix, samples) in [("_sum", sums), ("_count", totals)] {
            let full = format!("{name}{suffix}");
            self.add(&[labels, &[("__name__", full.as_str())]].concat(), samples, false);
        }
        let full = format!("{name}_bucket");
        for (bound, samples) in bounds.iter().zip(columns) {
            self.add(&[labels, &[("__name__", full.as_str()), ("le", bound)]].concat(), samples, false);
        }
    }

    fn native(&mut self) {
        for (i, (job, instance)) in
            [("api", "a:80"), ("api", "b:80"), ("web", "a:80"), ("web", "b:80")].into_iter().enumerate()
        {
            let labels = |name: &'static str| [("__name__", name), ("job", job), ("instance", instance)];
            let rhythm = self.rhythm();
            let mut state = histograms::Exponential::new([0, 1, 3, -2][i], [1e-128, 0.001, 0.5, 0.0][i]);
            state.negatives = i != 2;
            self.histograms(&labels("nh_seconds"), rhythm, false, move |r, _| state.counter(r));
            let rhythm = self.rhythm();
            let mut state = histograms::Custom::new(i);
            self.histograms(&labels("nh_custom"), rhythm, false, move |r, t| state.counter(r, t));
        }
        for (i, job) in ["api", "web"].into_iter().enumerate() {
            let labels = |name: &'static str| [("__name__", name), ("job", job)];
            let mut state = histograms::Exponential::new(2, 0.01);
            self.histograms(&labels("nh_float"), Rhythm::Even, true, move |r, t| {
                // the resolution falls and comes back
                state.schema = if i == 1 && (1200..2400).contains(&t) { 0 } else { 2 };
                state.float_counter(r)
            });
            let mut state = histograms::Exponential::new(i as i32, 0.1);
            state.negatives = i == 0;
            self.histograms(&labels("nh_gauge"), Rhythm::Stale, i == 0, move |r, _| state.gauge(r));
            let mut state = histograms::Exponential::new(0, 0.001);
            let mut v = 0.0;
            self.histograms(&labels("mixed"), Rhythm::Gaps, false, move |r, t| {
                v += r.between(0, 9) as f64;
                if (t / 300) % 2 == i as i64 { Item::Float(v) } else { state.counter(r) }
            });
        }
        let mut state = histograms::Exponential::new(0, 0.001);
        state.nan_percent = 20;
        self.histograms(&[("__name__", "nh_nan")], Rhythm::Even, false, move |r, _| state.counter(r));
        let mut state = histograms::Custom::new(9);
        self.histograms(&[("__name__", "nh_moving")], Rhythm::Even, true, move |r, t| state.moving(r, t));
    }

    fn info(&mut self) {
        for (i, (job, instance)) in
            [("api", "a:80"), ("api", "b:80"), ("web", "a:80"), ("batch", "a:80")].into_iter().enumerate()
        {
            let region = ["eu", "us", "", "eu"][i];
            let change = 900 + 600 * i as i64;
            for (version, from, to) in [("1.0", 0, change), ("1.1", change, END)] {
                let name = ("__name__", "target_info");
                let labels =
                    [name, ("job", job), ("instance", instance), ("version", version), ("region", region)];
                let mut samples: Vec<(i64, Item)> =
                    (from..to).step_by(15).map(|t| (t * 1000, Item::Float(1.0))).collect();
                if to < END && i != 1 {
                    samples.push((to * 1000, Item::Float(STALE_NAN)));
                }
                self.add(&labels, samples, false);
            }
            let labels = [
                ("__name__", "build_info"),
                ("job", job),
                ("instance", instance),
                ("rev", ["r1", "r2"][i % 2]),
            ];
            self.floats(&labels, Rhythm::Slow, 1.0, |_, v| v);
        }
    }

    fn names(&mut self) {
        for (host, v) in
            [("node1", 1.0), ("node2", 2.0), ("node10", 3.0), ("Node3", 4.0), ("node-1", 5.0), ("", 6.0)]
        {
            self.floats(&[("__name__", "natural"), ("host", host), ("z", "1")], Rhythm::Slow, v, |_, v| v);
        }
        for (size, v) in [("ä", 1.0), ("ö", 2.0)] {
            let labels = [("__name__", "räume.temperatur"), ("größe.x", size), ("job", "api")];
            self.floats(&labels, Rhythm::Even, v, |random, v| v + random.unit());
        }
        for (a, b) in [("1", "x"), ("1", "y"), ("2", "x"), ("3", "x")] {
            let rhythm = self.rhythm();
            let labels = [("__name__", "left_side"), ("a", a), ("b", b), ("job", "api")];
            self.floats(&labels, rhythm, 5.0, |random, _| random.between(0, 5) as f64);
        }
        for (a, c) in [("1", "p"), ("2", "q"), ("4", "p")] {
            let rhythm = self.rhythm();
            let labels = [("__name__", "right_side"), ("a", a), ("c", c)];
            self.floats(&labels, rhythm, 2.0, |random, _| random.between(0, 5) as f64);
        }
    }
}
