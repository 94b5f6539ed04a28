//! Queries from a seed: every function, operator, aggregation and modifier of the language, over the series of `data`;
//! some of them with errors.

mod selector;

use crate::data::END;
use crate::query::{Query, When};
use crate::random::Random;
use promql::ast::ValueType;
use promql::functions::{FUNCTIONS, Function};
use selector::{Wish, label_list};

/// Makes queries.
pub(crate) struct Generator {
    random: Random,
    /// Levels of operators and functions that may still be opened.
    depth: usize,
    /// How many subqueries are open: their cost multiplies.
    subqueries: usize,
    /// Of a hundred operands, how many have a wrong type.
    wrong: u64,
}

/// Functions of a range vector, by what they take.
const COUNTER_FUNCTIONS: [&str; 4] = ["rate", "increase", "irate", "resets"];

const AGGREGATIONS: [&str; 8] = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
const WITH_PARAMETER: [&str; 6] = ["topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"];
const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const SETS: [&str; 3] = ["and", "or", "unless"];
const TRIMS: [&str; 2] = ["</", ">/"];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Generator { random: Random::new(seed), depth: 0, subqueries: 0, wrong: 0 }
    }

    /// The next query.
    pub(crate) fn query(&mut self) -> Query {
        self.depth = self.random.below(5) + 1;
        self.subqueries = 0;
        self.wrong = if self.random.percent(8) { 15 } else { 0 };
        let range = self.random.percent(45);
        let mut text = match self.random.below(20) {
            0 => self.scalar(),
            1 if !range => self.string(),
            1 | 2 if !range || self.wrong > 0 => self.matrix(Wish::Any),
            _ => self.vector(Wish::Any),
        };
        if self.random.percent(3) {
            text = self.mutated(text);
        }
        let when = if range { self.range() } else { When::At(self.time()) };
        let lookback = self.random.percent(6).then(|| 1000 * self.random.between(1, 1200));
        let delayed_names = self.random.percent(50);
        Query { text, when, lookback, delayed_names }
    }

    /// A time in milliseconds, mostly among the samples.
    fn time(&mut self) -> i64 {
        match self.random.below(10) {
            0 => self.random.between(-600, END + 900) * 1000,
            1 => self.random.between(0, END * 1000),
            2 => self.random.between(0, 12) * 300_000,
            _ => self.random.between(0, END / 5) * 5000,
        }
    }

    fn range(&mut self) -> When {
        let start = self.time();
        let steps = self.random.between(0, 40);
        let step = match self.random.below(8) {
            0 => self.random.between(1, 500),
            1 => self.random.between(1, 90_000),
            _ => self.random.pick(&[5_000, 15_000, 30_000, 60_000, 300_000]),
        };
        When::Range { start, end: start + steps * step + self.random.between(0, step - 1), step }
    }

    /// Whether another level may be opened; counts it.
    fn deeper(&mut self) -> bool {
        if self.depth == 0 || self.random.percent(20) {
            return false;
        }
        self.depth -= 1;
        true
    }

    /// An expression of a type; of another one where an error is wanted.
    fn of_type(&mut self, wanted: ValueType, wish: Wish) -> String {
        let wanted = if self.random.percent(self.wrong) {
            self.random.pick(&[ValueType::Scalar, ValueType::String, ValueType::Vector, ValueType::Matrix])
        } else {
            wanted
        };
        match wanted {
            ValueType::Scalar => self.scalar(),
            ValueType::String => self.string(),
            ValueType::Matrix => self.matrix(wish),
            ValueType::Vector | ValueType::None => self.vector(wish),
        }
    }

    fn vector(&mut self, wish: Wish) -> String {
        if !self.deeper() {
            return self.selector(wish);
        }
        match self.random.below(20) {
            0..=7 => self.call(ValueType::Vector, wish),
            8..=10 => self.aggregation(wish),
            11..=15 => self.binary(wish),
            16 => format!("({})", self.vector(wish)),
            17 => format!("{}{}", self.random.pick(&["-", "+"]).to_owned(), self.vector(wish)),
            _ => self.selector(wish),
        }
    }

    fn scalar(&mut self) -> String {
        if !self.deeper() {
            return self.number();
        }
        match self.random.below(10) {
            0..=3 => self.call(ValueType::Scalar, Wish::Any),
            4 | 5 => {
                let (l, r) = (self.scalar(), self.scalar());
                let op = self.random.pick(&ARITHMETIC);
                format!("{l} {op} {r}")
            }
            6 => {
                let (l, r) = (self.scalar(), self.scalar());
                let bool = if self.random.percent(self.wrong) { "" } else { " bool" };
                format!("{l} {}{bool} {r}", self.random.pick(&COMPARISONS))
            }
            7 => format!("({})", self.scalar()),
            8 => format!("-{}", self.scalar()),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> String {
        match self.random.below(14) {
            0 => "0".to_owned(),
            1 => "Inf".to_owned(),
            2 => "-Inf".to_owned(),
            3 => "NaN".to_owned(),
            4 => (*self
                .random
                .pick(&["0x1F", "1_000", "1e3", ".5", "1.5e-3", "017", "5m", "1h30m", "2d", "1.", "1e400"]))
            .to_owned(),
            5 => format!("-{}", self.random.between(1, 100)),
            6 => format!("{:.3}", self.random.unit() * 10.0),
            7 => (self.random.pick(&["1e308", "3e-308", "0.1", "1e-9", "9007199254740993", "-0"])).to_owned(),
            8 | 9 => format!("{:.2}", self.random.unit()),
            _ => self.random.between(0, 10).to_string(),
        }
    }

    fn string(&mut self) -> String {
        let texts = [
            "\"\"",
            "\"a\"",
            "'it\\'s'",
            "`raw\\d`",
            "\"\\u00e4\\n\"",
            "\"job\"",
            "\"größe.x\"",
            "\"\\xff\"",
        ];
        (self.random.pick(&texts)).to_owned()
    }

    /// A call of any function of that result.
    fn call(&mut self, returns: ValueType, wish: Wish) -> String {
        let fitting: Vec<&Function> = FUNCTIONS.iter().filter(|f| f.returns == returns).collect();
        let func = self.random.pick(&fitting);
        self.call_of(func, wish)
    }

    fn call_of(&mut self, func: &Function, wish: Wish) -> String {
        let name = func.name;
        let wish = match name {
            _ if COUNTER_FUNCTIONS.contains(&name) => {
                self.random.pick(&[Wish::Counter, Wish::Histogram, Wish::Any])
            }
            "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => {
                self.random.pick(&[Wish::Classic, Wish::Histogram])
            }
            _ if name.starts_with("histogram_") => Wish::Histogram,
            "day_of_month" | "day_of_week" | "day_of_year" | "days_in_month" | "hour" | "minute"
            | "month" | "year" => self.random.pick(&[Wish::Time, Wish::Any]),
            "sort_by_label" | "sort_by_label_desc" => self.random.pick(&[Wish::Natural, Wish::Any]),
            "info" => self.random.pick(&[Wish::Counter, Wish::Job, Wish::Any]),
            _ => wish,
        };
        let args = match name {
            "label_replace" => self.label_replace(wish),
            "label_join" => self.label_join(wish),
            "sort_by_label" | "sort_by_label_desc" => {
                let mut args = vec![self.vector(wish)];
                for _ in 0..self.random.below(3) {
                    args.push(self.label_text());
                }
                args
            }
            "info" => {
                let mut args = vec![self.vector(wish)];
                if self.random.percent(60) {
                    args.push(self.info_selector());
                }
                args
            }
            "histogram_quantiles" => {
                let mut args = vec![self.vector(wish), self.label_text()];
                for _ in 0..self.random.below(3) + 1 {
                    args.push(self.fraction());
                }
                args
            }
            "histogram_quantile" => vec![self.fraction(), self.of_type(ValueType::Vector, wish)],
            "quantile_over_time" => vec![self.fraction(), self.of_type(ValueType::Matrix, wish)],
            "double_exponential_smoothing" => {
                vec![self.matrix(wish), format!("{:.2}", self.random.unit()), self.fraction()]
            }
            _ => self.plain_arguments(func, wish),
        };
        let args = if self.random.percent(self.wrong) { self.miscount(args) } else { args };
        format!("{name}({})", args.join(", "))
    }

    fn plain_arguments(&mut self, func: &Function, wish: Wish) -> Vec<String> {
        let n = match func.variadic {
            0 => func.args.len(),
            _ => func.args.len() - usize::from(self.random.percent(50)),
        };
        func.args[..n].iter().map(|t| self.of_type(*t, wish)).collect()
    }

    fn miscount(&mut self, mut args: Vec<String>) -> Vec<String> {
        if self.random.percent(50) {
            args.pop();
        } else {
            args.push(self.number());
        }
        args
    }

    /// Mostly in 0..1.
    fn fraction(&mut self) -> String {
        if self.random.percent(75) {
            (self.random.pick(&["0", "0.01", "0.25", "0.5", "0.9", "0.99", "1"])).to_owned()
        } else {
            self.scalar()
        }
    }

    fn label_text(&mut self) -> String {
        let names =
            ["job", "instance", "host", "le", "code", "room", "quantile", "x", "größe.x", "__name__", ""];
        format!("\"{}\"", self.random.pick(&names))
    }

    fn label_replace(&mut self, wish: Wish) -> Vec<String> {
        let vector = self.of_type(ValueType::Vector, wish);
        let (dst, src) = (self.label_text(), self.label_text());
        let replacement = self
            .random
            .pick(&["$1", "x-$1", "", "${1}y", "$0", "$2", "$$", "${name}", "$name", "const", "$1x"]);
        let pattern = self.random.pick(&[
            "(.*)",
            "(.+):(.*)",
            "a.*",
            ".*",
            "",
            "(?P<name>[a-z]+).*",
            "(",
            "(?i)A.*",
            "[^a]*",
        ]);
        vec![vector, dst, format!("\"{replacement}\""), src, format!("`{pattern}`")]
    }

    fn label_join(&mut self, wish: Wish) -> Vec<String> {
        let mut args = vec![self.of_type(ValueType::Vector, wish), self.label_text()];
        args.push((self.random.pick(&["\"-\"", "\"\"", "\", \""])).to_owned());
        for _ in 0..self.random.below(4) {
            args.push(self.label_text());
        }
        args
    }

    fn aggregation(&mut self, wish: Wish) -> String {
        let with = self.random.percent(40);
        let op = if with { self.random.pick(&WITH_PARAMETER) } else { self.random.pick(&AGGREGATIONS) };
        let inner = self.of_type(ValueType::Vector, wish);
        let mut args = if with { vec![self.parameter(op), inner] } else { vec![inner] };
        if self.random.percent(self.wrong) {
            args = self.miscount(args);
        }
        let args = args.join(", ");
        let grouping = match self.random.below(5) {
            0 | 1 => format!("by {}", label_list(&mut self.random)),
            2 => format!("without {}", label_list(&mut self.random)),
            _ => return format!("{op}({args})"),
        };
        if self.random.percent(50) {
            format!("{op} {grouping} ({args})")
        } else {
            format!("{op}({args}) {grouping}")
        }
    }

    fn parameter(&mut self, op: &str) -> String {
        match op {
            "count_values" => self.label_text(),
            "quantile" => self.fraction(),
            "limit_ratio" => match self.random.below(4) {
                0 => self.scalar(),
                1 => format!("-{:.2}", self.random.unit()),
                _ => format!("{:.2}", self.random.unit()),
            },
            _ if self.random.percent(15) => self.scalar(),
            _ => self.random.between(0, 6).to_string(),
        }
    }

    fn binary(&mut self, wish: Wish) -> String {
        let op = match self.random.below(12) {
            0..=4 => self.random.pick(&ARITHMETIC),
            5..=7 => self.random.pick(&COMPARISONS),
            8..=10 => self.random.pick(&SETS),
            _ => self.random.pick(&TRIMS),
        };
        let trim = TRIMS.contains(&op);
        let set = SETS.contains(&op);
        let scalar_percent = if set {
            self.wrong
        } else if trim {
            90
        } else {
            40
        };
        let wish = if trim { Wish::Histogram } else { wish };
        let (l, r, vectors) = if self.random.percent(scalar_percent) {
            let swapped = !trim && self.random.percent(50);
            let (v, s) = (self.vector(wish), self.scalar());
            if swapped { (s, v, false) } else { (v, s, false) }
        } else {
            let l = self.of_type(ValueType::Vector, wish);
            // the same metric on both sides matches best
            let r = match self.random.below(4) {
                0 => l.clone(),
                1 => self.vector(Wish::Job),
                _ => self.of_type(ValueType::Vector, wish),
            };
            (l, r, true)
        };
        let mut modifiers = String::new();
        if (COMPARISONS.contains(&op) && self.random.percent(40)) || self.random.percent(self.wrong) {
            modifiers += " bool";
        }
        if vectors || self.random.percent(self.wrong) {
            modifiers += &self.matching(set);
        }
        let (l, r) = (self.wrapped(l), self.wrapped(r));
        format!("{l} {op}{modifiers} {r}")
    }

    fn wrapped(&mut self, text: String) -> String {
        if self.random.percent(40) { format!("({text})") } else { text }
    }

    fn matching(&mut self, set: bool) -> String {
        let mut out = String::new();
        if self.random.percent(60) {
            let word = if self.random.percent(60) { "on" } else { "ignoring" };
            out += &format!(" {word} {}", label_list(&mut self.random));
            if (!set && self.random.percent(45)) || self.random.percent(self.wrong) {
                out += if self.random.percent(60) { " group_left" } else { " group_right" };
                if self.random.percent(50) {
                    out += &format!(" {}", label_list(&mut self.random));
                }
            }
        }
        if (!set && self.random.percent(15)) || self.random.percent(self.wrong) {
            let value = self.random.pick(&["0", "1", "-5", "NaN", "Inf", "2.5"]);
            out += &match self.random.below(4) {
                0 => format!(" fill({value})"),
                1 => format!(" fill_left({value})"),
                2 => format!(" fill_right({value})"),
                _ => format!(" fill_left({value}) fill_right(7)"),
            };
        }
        out
    }

    /// Loses, doubles or swaps a word: mostly no query any more.
    fn mutated(&mut self, text: String) -> String {
        let mut words: Vec<&str> = text.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
        let at = self.random.below(words.len());
        match self.random.below(4) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at]),
            2 => {
                let other = self.random.below(words.len());
                words.swap(at, other);
            }
            _ => words.insert(
                at,
                self.random
                    .pick(&["(", ")", "[", "]", "{", "}", "@", " offset ", "'", ":", "!", " by ", "#", "é"]),
            ),
        }
        words.concat()
    }
}
