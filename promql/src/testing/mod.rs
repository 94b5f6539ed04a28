//! The test language: scripts that load series, evaluate queries and say what must come out.
//!
//! ```text
//! load 1m
//!   http_requests_total{code="200"} 0+10x10
//!
//! eval instant at 10m rate(http_requests_total[5m])
//!   {code="200"} 0.16666666666666666
//! ```

mod compare;
mod nhcb;
mod script;
mod series;
mod storage;

pub use series::{SeriesError, parse_series, parse_values};
pub use storage::{Item, MemoryStorage};

use crate::engine::{Engine, EngineOptions, QueryError, QueryOptions, QueryResult, Sample, Value};
use crate::parser::{Features, parse_with};
use model::Labels;
use model::histogram::CounterReset;
use script::{Eval, Kind, Load, Loaded, Pattern, When};
use std::sync::Arc;

/// What came of a script.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many `eval`s gave what they should.
    pub passed: usize,
    /// The others.
    pub failures: Vec<Failure>,
}

/// An `eval` that did not give what it should.
#[derive(Debug)]
pub struct Failure {
    /// Its line, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// The difference.
    pub message: String,
}

/// The engine that scripts are written for: everything that is optional is on.
pub fn script_engine() -> Engine {
    let options = EngineOptions::default();
    Engine::new(EngineOptions { delayed_name_removal: true, use_start_timestamps: true, ..options })
}

/// Runs a script with an engine.
///
/// # Errors
/// Where the text is no script: line and cause.
pub fn run(text: &str, engine: &Engine) -> Result<Outcome, (usize, String)> {
    let mut storage = MemoryStorage::default();
    let mut outcome = Outcome::default();
    for command in script::parse(text)? {
        match command.kind {
            Kind::Clear => storage.clear(),
            Kind::Load(load) => fill(&mut storage, load),
            Kind::Eval(eval) => match check(engine, &storage, &eval) {
                Ok(()) => outcome.passed += 1,
                Err(message) => {
                    outcome.failures.push(Failure { line: command.line, query: eval.query, message });
                }
            },
        }
    }
    Ok(outcome)
}

fn fill(storage: &mut MemoryStorage, load: Load) {
    let mut begun: Vec<Vec<i64>> = Vec::new();
    let mut loaded: Vec<(Labels, Vec<(i64, Item)>)> = Vec::new();
    for Loaded { labels, values, starts } in load.series {
        let values = values.into_iter().enumerate();
        let samples: Vec<(i64, Item)> =
            values.filter_map(|(i, v)| Some((load.step * i as i64, v?))).collect();
        let start =
            |t: i64| starts.get((t / load.step.max(1)) as usize).copied().flatten().map_or(0, |s| t + s);
        begun.push(samples.iter().map(|(t, _)| start(*t)).collect());
        loaded.push((labels, with_reset_hints(samples)));
    }
    if load.with_nhcb {
        for (labels, t, item) in nhcb::convert(&loaded) {
            storage.append(&labels, t, item);
        }
    }
    for ((labels, samples), begun) in loaded.into_iter().zip(begun) {
        for ((t, item), start) in samples.into_iter().zip(begun) {
            storage.append_started(&labels, t, item, start);
        }
    }
}

/// The samples of one series as a database gives them back: of each histogram it knows whether its counter began anew, found by
/// looking at the one before.
pub fn with_reset_hints(mut samples: Vec<(i64, Item)>) -> Vec<(i64, Item)> {
    for i in 1..samples.len() {
        let (before, rest) = samples.split_at_mut(i);
        let ((_, Item::Histogram(prev)), (_, Item::Histogram(h))) = (&before[i - 1], &mut rest[0]) else {
            continue;
        };
        let unsaid = h.counter_reset == CounterReset::Unknown && prev.counter_reset != CounterReset::Gauge;
        // a found reset begins a new chunk, of whose first sample nothing is said
        if unsaid && !crate::histogram::detect_reset(h, prev) {
            Arc::make_mut(h).counter_reset = CounterReset::NotReset;
        }
    }
    samples
}

fn check(engine: &Engine, storage: &MemoryStorage, eval: &Eval) -> Result<(), String> {
    let result = evaluate(engine, storage, eval, eval.when);
    if let Some(pattern) = &eval.fail {
        return match result {
            Ok(_) => Err("expected a failure, there was none".to_owned()),
            Err(e) if pattern.accepts(&e.to_string()) => Ok(()),
            Err(e) => Err(format!("expected failure {pattern:?}, found: {e}")),
        };
    }
    let result = result.map_err(|e| format!("failed: {e}"))?;
    annotations("warning", &eval.warn, eval.no_warn, &result.warnings)?;
    annotations("info", &eval.info, eval.no_info, &result.infos)?;
    value(eval, &result.value)?;
    also_as_range(engine, storage, eval, &result.value)
}

fn evaluate(
    engine: &Engine,
    storage: &MemoryStorage,
    eval: &Eval,
    when: When,
) -> Result<QueryResult, QueryError> {
    let expr = parse_with(&eval.query, &Features::all())?;
    let options = QueryOptions { text: eval.query.clone(), ..QueryOptions::default() };
    match when {
        When::At(at) => engine.instant(storage, &expr, at, &options),
        When::Range { start, end, step } => engine.range(storage, &expr, start, end, step, &options),
    }
}

fn annotations(what: &str, expected: &[Pattern], none: bool, found: &[String]) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("expected no {what}, found {found:?}"));
    }
    if !expected.is_empty() {
        if let Some(missing) = expected.iter().find(|p| !found.iter().any(|f| p.accepts(f))) {
            return Err(format!("expected {what} {missing:?}, found {found:?}"));
        }
        if let Some(extra) = found.iter().find(|f| !expected.iter().any(|p| p.accepts(f))) {
            return Err(format!("unexpected {what} {extra:?}"));
        }
    }
    Ok(())
}

fn value(eval: &Eval, found: &Value) -> Result<(), String> {
    match found {
        Value::Scalar { v, .. } => match eval.scalar {
            Some(expected) if compare::floats(expected, *v) => Ok(()),
            expected => Err(format!("expected {expected:?}, found scalar {v}")),
        },
        Value::String { v, .. } => match &eval.string {
            Some(expected) if expected == v => Ok(()),
            expected => Err(format!("expected {expected:?}, found string {v:?}")),
        },
        Value::Vector(samples) => vector(eval, samples),
        Value::Matrix(series) => {
            let (start, step) = match (eval.when, eval.range) {
                (When::Range { start, step, .. }, _) => (start, step),
                (When::At(_), Some(range)) => range,
                (When::At(_), None) => return Err("found a range vector".to_owned()),
            };
            let scalar: Vec<(Labels, Vec<Option<Item>>)>;
            let mut expected = &eval.series;
            if let (Some(v), When::Range { start, end, step }) = (eval.scalar, eval.when) {
                let n = ((end - start) / step + 1) as usize;
                scalar = vec![(Labels::empty(), vec![Some(Item::Float(v)); n])];
                expected = &scalar;
            }
            for (labels, _) in series {
                if !expected.iter().any(|(l, _)| l == labels) {
                    return Err(format!("unexpected series {labels}"));
                }
            }
            for (labels, values) in expected {
                let Some((_, points)) = series.iter().find(|(l, _)| l == labels) else {
                    return Err(format!("missing series {labels}"));
                };
                compare::points(values, points, start, step).map_err(|e| format!("series {labels}: {e}"))?;
            }
            Ok(())
        }
    }
}

fn vector(eval: &Eval, samples: &[(Labels, i64, Sample)]) -> Result<(), String> {
    if let Some(v) = eval.scalar {
        return Err(format!("expected scalar {v}, found a vector"));
    }
    for (i, (labels, values)) in eval.series.iter().enumerate() {
        let Some(at) = samples.iter().position(|(l, _, _)| l == labels) else {
            let found: Vec<String> = samples.iter().map(|(l, _, s)| format!("{l} {s:?}")).collect();
            return Err(format!("missing series {labels}, found {}", found.join("; ")));
        };
        if eval.ordered && at != i {
            return Err(format!("series {labels} expected at place {i}, found at {at}"));
        }
        match values.as_slice() {
            [Some(expected)] if compare::sample(expected, &samples[at].2) => {}
            expected => {
                return Err(format!("series {labels}: expected {expected:?}, found {:?}", samples[at].2));
            }
        }
    }
    match samples.iter().find(|(l, _, _)| !eval.series.iter().any(|(e, _)| e == l)) {
        Some((labels, _, sample)) => Err(format!("unexpected series {labels} {sample:?}")),
        None => Ok(()),
    }
}

/// A query must give the same at an instant and as the middle step of a range.
fn also_as_range(engine: &Engine, storage: &MemoryStorage, eval: &Eval, found: &Value) -> Result<(), String> {
    let (When::At(at), Value::Vector(samples)) = (eval.when, found) else { return Ok(()) };
    // start(), end(), step() and range() say something else there
    let own = ["start()", "end()", "step()", "range()"];
    let query = eval.query.to_ascii_lowercase();
    if eval.ordered || own.iter().any(|f| query.contains(f)) {
        return Ok(());
    }
    const MINUTE: i64 = 60_000;
    let when = When::Range { start: at - MINUTE, end: at + MINUTE, step: MINUTE };
    // around the instant a query may fail, as where labels coincide only there
    let Ok(result) = evaluate(engine, storage, eval, when) else { return Ok(()) };
    let Value::Matrix(series) = result.value else {
        return Err("as a range: no matrix".to_owned());
    };
    let mut there = 0;
    for (labels, points) in &series {
        let float = points.timestamps.binary_search(&at).ok().map(|k| Item::Float(points.values[k]));
        let hist = points.histograms.iter().find(|(t, _)| *t == at).map(|(_, h)| Item::Histogram(h.clone()));
        let Some(item) = float.or(hist) else { continue };
        there += 1;
        let same = samples.iter().any(|(l, _, s)| l == labels && compare::sample(&item, s));
        if !same {
            return Err(format!("as a range: {labels} {item:?} differs"));
        }
    }
    if there == samples.len() {
        Ok(())
    } else {
        Err(format!("as a range: {there} series of {}", samples.len()))
    }
}
