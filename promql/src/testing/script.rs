//! Scripts: their commands.

use super::series::{parse_series, parse_starts};
use super::storage::Item;
use model::Labels;

/// A command and the line it begins on, from 1.
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

pub(super) struct Load {
    pub(super) step: i64,
    pub(super) with_nhcb: bool,
    pub(super) series: Vec<Loaded>,
}

/// A series to load.
pub(super) struct Loaded {
    pub(super) labels: Labels,
    /// One a step.
    pub(super) values: Vec<Option<Item>>,
    /// How much later than its sample each count began, in milliseconds; as many as values, or none.
    pub(super) starts: Vec<Option<i64>>,
}

/// When a query is evaluated; milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// What a text must be.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Any,
    Exactly(String),
    Matches(regex::Regex),
}

impl Pattern {
    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exactly(expected) => expected == text,
            Pattern::Matches(regex) => regex.is_match(text),
        }
    }
}

/// Expectations of one `eval`.
pub(super) struct Eval {
    pub(super) query: String,
    pub(super) when: When,
    pub(super) ordered: bool,
    pub(super) fail: Option<Pattern>,
    pub(super) warn: Vec<Pattern>,
    pub(super) info: Vec<Pattern>,
    pub(super) no_warn: bool,
    pub(super) no_info: bool,
    pub(super) string: Option<String>,
    pub(super) scalar: Option<f64>,
    /// `expect range vector from … to … step …` of an instant query.
    pub(super) range: Option<(i64, i64)>,
    pub(super) series: Vec<(Labels, Vec<Option<Item>>)>,
}

type Result<T> = std::result::Result<T, (usize, String)>;

/// Reads a script.
pub(super) fn parse(script: &str) -> Result<Vec<Command>> {
    let lines: Vec<&str> =
        script.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let (line, begin) = (lines[at], at);
        at += 1;
        if line.is_empty() {
            continue;
        }
        let body = lines[at..].iter().take_while(|l| !l.is_empty()).count();
        let word = line.split_whitespace().next().unwrap_or("");
        let error = |text: String| (begin + 1, text);
        let kind = match word.to_ascii_lowercase().as_str() {
            "clear" => Kind::Clear,
            "load" | "load_with_nhcb" => {
                let series = parse_load(&lines[at..at + body], at)?;
                let step = time(line[word.len()..].trim()).map_err(error)?;
                at += body;
                Kind::Load(Load { step, with_nhcb: word.len() > 4, series })
            }
            w if w.starts_with("eval") => {
                let eval = parse_eval(line, &lines[at..at + body], at)?;
                at += body;
                Kind::Eval(Box::new(eval))
            }
            other => return Err(error(format!("unknown command {other:?}"))),
        };
        commands.push(Command { line: begin + 1, kind });
    }
    Ok(commands)
}

/// The series of a `load`; a line with start timestamps stands before that of its series.
fn parse_load(body: &[&str], first: usize) -> Result<Vec<Loaded>> {
    let (mut series, mut before) = (Vec::new(), None);
    for (i, line) in body.iter().enumerate() {
        let error = |text: String| (first + i + 1, text);
        if let Some(starts) = parse_starts(line).map_err(|e| error(e.to_string()))? {
            if before.replace(starts).is_some() {
                return Err(error("start timestamps after start timestamps".to_owned()));
            }
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|e| error(e.to_string()))?;
        let starts = match before.take() {
            Some((of, _)) if of != labels => {
                return Err(error(format!("start timestamps of {of} before {labels}")));
            }
            Some((_, starts)) if starts.len() != values.len() => {
                return Err(error(format!("{} start timestamps for {} samples", starts.len(), values.len())));
            }
            Some((_, starts)) => starts,
            None => Vec::new(),
        };
        series.push(Loaded { labels, values, starts });
    }
    match before {
        Some((of, _)) => Err((first + body.len(), format!("start timestamps of {of} without a series"))),
        None => Ok(series),
    }
}

fn time(text: &str) -> std::result::Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ms = match model::duration::parse_ms(digits) {
        Ok(ms) => ms,
        Err(e) => match digits.parse::<f64>() {
            Ok(seconds) => (seconds * 1000.0).round() as i64,
            Err(_) => return Err(e.to_string()),
        },
    };
    Ok(if negative { -ms } else { ms })
}

/// Takes a word off the front.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn header(line: &str) -> std::result::Result<(When, String), String> {
    let (_, rest) = word(line);
    let (mode, rest) = word(rest);
    let expect = |rest: &str, name: &str| -> std::result::Result<(i64, String), String> {
        let (found, rest) = word(rest);
        if found != name {
            return Err(format!("expected {name:?}, found {found:?}"));
        }
        let (value, rest) = word(rest);
        Ok((time(value)?, rest.to_owned()))
    };
    match mode {
        "instant" => {
            let (at, query) = expect(rest, "at")?;
            Ok((When::At(at), query))
        }
        "range" => {
            let (start, rest) = expect(rest, "from")?;
            let (end, rest) = expect(&rest, "to")?;
            let (step, query) = expect(&rest, "step")?;
            Ok((When::Range { start, end, step }, query))
        }
        mode => Err(format!("expected instant or range, found {mode:?}")),
    }
}

fn parse_eval(line: &str, body: &[&str], first: usize) -> Result<Eval> {
    let (when, query) = header(line).map_err(|e| (first, e))?;
    let mode = word(line).0.strip_prefix("eval").unwrap_or("").to_owned();
    let mut eval = Eval {
        query,
        when,
        ordered: mode == "_ordered",
        fail: (mode == "_fail").then_some(Pattern::Any),
        warn: if mode == "_warn" { vec![Pattern::Any] } else { Vec::new() },
        info: if mode == "_info" { vec![Pattern::Any] } else { Vec::new() },
        no_warn: false,
        no_info: false,
        string: None,
        scalar: None,
        range: None,
        series: Vec::new(),
    };
    for (i, line) in body.iter().enumerate() {
        expectation(line, &mut eval).map_err(|e| (first + i + 1, e))?;
    }
    Ok(eval)
}

fn expectation(line: &str, eval: &mut Eval) -> std::result::Result<(), String> {
    let (first, rest) = word(line);
    match first {
        "expected_fail_message" => eval.fail = Some(Pattern::Exactly(rest.to_owned())),
        "expected_fail_regexp" => eval.fail = Some(regex(rest)?),
        "expect" => {
            let (what, rest) = word(rest);
            match what {
                "ordered" => eval.ordered = true,
                "fail" => eval.fail = Some(pattern(rest)?),
                "warn" => eval.warn.push(pattern(rest)?),
                "info" => eval.info.push(pattern(rest)?),
                "no_warn" => eval.no_warn = true,
                "no_info" => eval.no_info = true,
                "string" => eval.string = Some(string(rest)?),
                "range" => eval.range = Some(expected_range(rest)?),
                what => return Err(format!("cannot expect {what:?}")),
            }
        }
        _ => {
            let number = first.strip_prefix(['-', '+']).unwrap_or(first);
            let sign = if first.starts_with('-') { -1.0 } else { 1.0 };
            let value = crate::lexer::parse_number(number);
            if let (Some(v), true) = (value, rest.is_empty()) {
                eval.scalar = Some(sign * v);
                return Ok(());
            }
            eval.series.push(parse_series(line).map_err(|e| e.to_string())?);
        }
    }
    Ok(())
}

fn expected_range(text: &str) -> std::result::Result<(i64, i64), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["vector", "from", start, "to", _, "step", step] => Ok((time(start)?, time(step)?)),
        _ => Err("expected range vector from … to … step …".to_owned()),
    }
}

fn string(text: &str) -> std::result::Result<String, String> {
    match crate::parser::parse(text).map(|e| e.kind) {
        Ok(crate::ast::ExprKind::String(text)) => Ok(text),
        _ => Err(format!("expected a quoted string, found {text}")),
    }
}

fn regex(text: &str) -> std::result::Result<Pattern, String> {
    regex::Regex::new(text).map(Pattern::Matches).map_err(|e| e.to_string())
}

fn pattern(text: &str) -> std::result::Result<Pattern, String> {
    match text.split_once(':') {
        None if text.is_empty() => Ok(Pattern::Any),
        Some(("msg", message)) => Ok(Pattern::Exactly(message.trim().to_owned())),
        Some(("regex", expression)) => regex(expression.trim()),
        _ => Err(format!("expected msg: or regex:, found {text:?}")),
    }
}
