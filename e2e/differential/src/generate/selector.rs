//! Selectors, ranges, subqueries and their modifiers.

use super::Generator;
use crate::data::END;
use crate::random::Random;

/// What kind of series a place in a query likes best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Any,
    Counter,
    Histogram,
    /// Buckets of classic histograms.
    Classic,
    /// Values that are times.
    Time,
    /// With `job` and `instance`.
    Job,
    /// With texts that sort by the numbers in them.
    Natural,
}

const COUNTERS: [&str; 5] = [
    "http_requests_total",
    "errors_total",
    "sent_bytes_total",
    "latency_seconds_count",
    "latency_seconds_sum",
];
const HISTOGRAMS: [&str; 8] = [
    "nh_seconds",
    "nh_custom",
    "nh_float",
    "nh_gauge",
    "mixed",
    "nh_nan",
    "nh_moving",
    "{__name__=~\"nh_.*\"}",
];
const CLASSIC: [&str; 3] = ["latency_seconds_bucket", "odd_seconds_bucket", "{__name__=~\".*_bucket\"}"];
const WITH_JOB: [&str; 5] = ["memory_bytes", "up", "errors_total", "target_info", "build_info"];
const OTHERS: [&str; 12] = [
    "temperature",
    "same",
    "huge",
    "boot_time_seconds",
    "lonely",
    "natural",
    "{\"räume.temperatur\"}",
    "left_side",
    "right_side",
    "missing_metric",
    "target_info",
    "{__name__=~\"up|left_.*|same\"}",
];

const LABELS: [&str; 16] = [
    "job",
    "instance",
    "code",
    "method",
    "le",
    "room",
    "floor",
    "x",
    "a",
    "b",
    "c",
    "host",
    "\"größe.x\"",
    "__name__",
    "version",
    "region",
];

const MATCHERS: [&str; 18] = [
    "job=\"api\"",
    "job!=\"api\"",
    "job=~\"a.*|web\"",
    "instance=\"a:80\"",
    "instance=~\"b.+\"",
    "code=\"200\"",
    "code=~\"4..|5..\"",
    "code!~\"2..\"",
    "method=\"GET\"",
    "room=~\"r1.*\"",
    "floor=\"\"",
    "floor!=\"\"",
    "x=~\"[1-4]\"",
    "le!=\"+Inf\"",
    "le=~\"1|2.5\"",
    "nothing=\"\"",
    "\"größe.x\"=\"ä\"",
    "kind=\"falls\"",
];

/// `(a, b)`
pub(super) fn label_list(random: &mut Random) -> String {
    let chosen: Vec<&str> = (0..random.below(4)).map(|_| random.pick(&LABELS)).collect();
    format!("({})", chosen.join(", "))
}

impl Generator {
    fn metric(&mut self, wish: Wish) -> &'static str {
        let random = &mut self.random;
        match wish {
            _ if random.percent(8) => random.pick(&OTHERS),
            Wish::Counter => random.pick(&COUNTERS),
            Wish::Histogram => random.pick(&HISTOGRAMS),
            Wish::Classic => random.pick(&CLASSIC),
            Wish::Time => "boot_time_seconds",
            Wish::Job => random.pick(&WITH_JOB),
            Wish::Natural => "natural",
            Wish::Any => match random.below(10) {
                0 | 1 => random.pick(&COUNTERS),
                2 | 3 => random.pick(&HISTOGRAMS),
                4 => random.pick(&CLASSIC),
                5 | 6 => random.pick(&WITH_JOB),
                _ => random.pick(&OTHERS),
            },
        }
    }

    /// A selector without modifiers.
    fn bare(&mut self, wish: Wish) -> String {
        let metric = self.metric(wish);
        let chosen: Vec<&str> = match self.random.below(5) {
            0 | 1 => vec![self.random.pick(&MATCHERS)],
            2 if self.random.percent(30) => vec![self.random.pick(&MATCHERS), self.random.pick(&MATCHERS)],
            _ => Vec::new(),
        };
        if chosen.is_empty() {
            return metric.to_owned();
        }
        match metric.strip_suffix('}') {
            Some(open) => format!("{open}, {}}}", chosen.join(", ")),
            None => format!("{metric}{{{}}}", chosen.join(",")),
        }
    }

    /// An instant selector.
    pub(super) fn selector(&mut self, wish: Wish) -> String {
        let mut text = self.bare(wish);
        if self.random.percent(4) {
            text += if self.random.percent(self.wrong) { " anchored" } else { " smoothed" };
        }
        text + &self.modifiers()
    }

    /// A range vector.
    pub(super) fn matrix(&mut self, wish: Wish) -> String {
        if self.subqueries < 2 && self.depth > 0 && self.random.percent(25) {
            return self.subquery(wish);
        }
        let mut text = format!("{}[{}]", self.bare(wish), self.duration(true));
        if self.random.percent(12) {
            text += self.random.pick(&[" anchored", " smoothed"]);
        }
        text + &self.modifiers()
    }

    fn subquery(&mut self, wish: Wish) -> String {
        self.subqueries += 1;
        self.depth -= 1;
        let inner = self.vector(wish);
        self.subqueries -= 1;
        let inner = if self.random.percent(60) { format!("({inner})") } else { inner };
        let range =
            self.random.pick(&["1m", "5m", "10m", "90s", "30s", "17s", "5m + 3s", "step() * 2", "600"]);
        let step = self.random.pick(&["", "1m", "30s", "15s", "7s", "step()", "45"]);
        let text = format!("{inner}[{range}:{step}]");
        text + &self.modifiers()
    }

    fn duration(&mut self, positive: bool) -> String {
        let plain = ["15s", "30s", "1m", "5m", "10m", "1h", "90s", "1m30s", "2m500ms", "20", "61.5", "1s"];
        let odd = [
            "step()",
            "range()",
            "2 * step()",
            "1m + 30s",
            "max_of(1m, step())",
            "min_of(5m, range())",
            "(1m + step()) / 2",
            "5m % 2m",
            "2 ^ 5",
            "-1m + 3m",
            "10m / 0",
            "1m - 5m",
        ];
        if self.random.percent(15) && positive {
            return (self.random.pick(&odd)).to_owned();
        }
        (self.random.pick(&plain)).to_owned()
    }

    fn modifiers(&mut self) -> String {
        let mut out = String::new();
        if !self.random.percent(22) {
            return out;
        }
        let at_first = self.random.percent(50);
        let offset = if self.random.percent(60) { self.offset() } else { String::new() };
        let at = if self.random.percent(50) || offset.is_empty() { self.at() } else { String::new() };
        if at_first {
            out += &at;
            out += &offset;
        } else {
            out += &offset;
            out += &at;
        }
        if self.random.percent(self.wrong) {
            out += &self.offset();
        }
        out
    }

    fn offset(&mut self) -> String {
        match self.random.below(8) {
            0 => format!(" offset -{}", self.duration(false)),
            1 => {
                let odd = [
                    "step()",
                    "(1m + step())",
                    "-(30s * 2)",
                    "range()",
                    "min_of(1m, step())",
                    "-step()",
                    "+1m",
                ];
                format!(" offset {}", self.random.pick(&odd))
            }
            _ => format!(" offset {}", self.duration(false)),
        }
    }

    fn at(&mut self) -> String {
        match self.random.below(6) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => format!(" @ {}.{}", self.random.between(0, END), self.random.between(0, 999)),
            3 => format!(" @ -{}", self.random.between(0, 60)),
            _ => format!(" @ {}", self.random.between(0, END)),
        }
    }

    /// The second argument of `info`.
    pub(super) fn info_selector(&mut self) -> String {
        let selectors = [
            "{version=~\".+\"}",
            "{region=\"eu\"}",
            "{__name__=\"build_info\"}",
            "{__name__=~\".+_info\"}",
            "{__name__=~\"target_info|build_info\", rev=~\".+\"}",
            "{__name__!=\"target_info\"}",
            "{version=\"1.0\", region=~\".*\"}",
            "{nothing=\"\"}",
            "{version!=\"1.0\"}",
            "target_info",
            "{__name__=\"nh_seconds\"}",
            "{}",
        ];
        (self.random.pick(&selectors)).to_owned()
    }
}
