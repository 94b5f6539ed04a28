//! The engine, through scripts of the test language and through its own door.

use model::Labels;
use promql::engine::{Sample, StepStats};
use promql::testing::{Item, MemoryStorage, run, script_engine};
use promql::{
    Engine, EngineOptions, Features, QueryError, QueryOptions, Stopwatch, Value, parse, parse_with,
};
use std::sync::atomic::{AtomicU64, Ordering};

#[track_caller]
fn check_script(text: &str) {
    let outcome = run(text, &script_engine()).unwrap_or_else(|(line, cause)| panic!("line {line}: {cause}"));
    assert!(outcome.passed > 0 || !outcome.failures.is_empty(), "a script without evaluations");
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
}

#[test]
fn selectors() {
    check_script(include_str!("scripts/selectors.test"));
}

#[test]
fn rates() {
    check_script(include_str!("scripts/rates.test"));
}

#[test]
fn operators() {
    check_script(include_str!("scripts/operators.test"));
}

/// What a Prometheus with `use-start-timestamps` answers over the same samples.
#[test]
fn start_timestamps() {
    check_script(include_str!("scripts/start_timestamps.test"));
}

/// Without the option they change nothing.
#[test]
fn start_timestamps_count_only_where_asked_for() {
    let mut storage = MemoryStorage::default();
    let labels = Labels::from_pairs([("__name__", "m_total")]);
    for (t, v, start) in [(0, 10.0, -5), (15_000, 20.0, 14_000), (30_000, 30.0, 29_000)] {
        storage.append_started(&labels, t, Item::Float(v), start);
    }
    let run = |use_start_timestamps: bool, query: &str| {
        let engine = Engine::new(EngineOptions { use_start_timestamps, ..EngineOptions::default() });
        let expr = parse_with(query, &Features::all()).unwrap();
        match engine.instant(&storage, &expr, 30_000, &QueryOptions::default()).unwrap().value {
            Value::Vector(v) => v.into_iter().map(|(_, _, s)| s).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    for (query, with, without) in [
        ("resets(m_total[1m])", Some(2.0), Some(0.0)),
        ("irate(m_total[1m])", Some(2.0), Some(10.0 / 15.0)),
        ("start_timestamp(m_total)", Some(29.0), None),
    ] {
        let sample = |v: Option<f64>| v.map(Sample::Float).into_iter().collect::<Vec<_>>();
        assert_eq!((run(true, query), run(false, query)), (sample(with), sample(without)), "{query}");
    }
}

/// What differed from Prometheus once.
#[test]
fn found_by_comparison() {
    check_script(include_str!("scripts/differential/histograms.test"));
    check_script(include_str!("scripts/differential/classic.test"));
    check_script(include_str!("scripts/differential/operators.test"));
    check_script(include_str!("scripts/differential/lengths.test"));
    check_script(include_str!("scripts/differential/buckets.test"));
}

/// The runner itself must see what is wrong.
#[test]
fn wrong_expectations_fail() {
    let load = "load 1m\n  a 1\n\n";
    for eval in [
        "eval instant at 0 a\n  a 2",
        "eval instant at 0 a",
        "eval instant at 0 a\n  a 1\n  b 1",
        "eval instant at 0 a\n  expect fail",
        "eval instant at 0 a\n  expect warn\n  a 1",
        "eval instant at 0 1 +",
        "eval range from 0 to 1m step 1m a\n  a 1 _",
    ] {
        let outcome = run(&format!("{load}{eval}\n"), &script_engine()).unwrap();
        assert_eq!((outcome.passed, outcome.failures.len()), (0, 1), "{eval}");
    }
    assert!(run("load 1m\n  a 1+\n", &script_engine()).is_err());
    assert!(run("evil\n", &script_engine()).is_err());
}

fn storage(series: usize, samples: i64) -> MemoryStorage {
    let mut storage = MemoryStorage::default();
    for i in 0..series {
        let labels = Labels::from_pairs([
            ("__name__", "m_total".to_owned()),
            ("i", format!("{i:04}")),
            ("g", (i % 7).to_string()),
        ]);
        for t in 0..samples {
            storage.append(&labels, t * 15_000, Item::Float((t * (i as i64 + 1)) as f64));
        }
    }
    storage
}

fn matrix(engine: &Engine, storage: &MemoryStorage, query: &str) -> Vec<(Labels, Vec<i64>, Vec<f64>)> {
    let expr = parse_with(query, &Features::all()).unwrap_or_else(|e| panic!("{query}: {e}"));
    let end = 99 * 15_000;
    match engine.range(storage, &expr, 0, end, 15_000, &QueryOptions::default()).map(|r| r.value) {
        Ok(Value::Matrix(m)) => m.into_iter().map(|(l, p)| (l, p.timestamps, p.values)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Adding columns as they come gives bit for bit what adding whole series gives, whatever the cores do.
#[test]
fn fused_and_plain_aggregations_agree() {
    let (engine, storage) = (Engine::default(), storage(500, 100));
    for op in ["sum", "avg", "min", "max", "count", "stddev", "group"] {
        let fused = matrix(&engine, &storage, &format!("{op} by (g) (rate(m_total[5m]))"));
        let plain = matrix(&engine, &storage, &format!("{op} by (g) (sort(rate(m_total[5m])))"));
        assert_eq!(fused.len(), 7);
        assert_eq!(fused, plain, "{op}");
    }
}

#[test]
fn budgets_and_cancellation_end_a_query() {
    let storage = storage(100, 100);
    let expr = parse("m_total").unwrap();
    let run = |engine: &Engine, options: &QueryOptions| {
        engine.range(&storage, &expr, 0, 1_485_000, 15_000, options).map(|r| r.stats.peak_samples)
    };
    let small = Engine::new(EngineOptions { max_samples: 1000, ..EngineOptions::default() });
    assert!(matches!(run(&small, &QueryOptions::default()), Err(QueryError::TooManySamples)));
    let tight = QueryOptions { memory_budget: 1000, ..QueryOptions::default() };
    assert!(matches!(run(&Engine::default(), &tight), Err(QueryError::OverBudget { .. })));
    let gone = QueryOptions::default();
    gone.cancel.cancel();
    assert!(matches!(run(&Engine::default(), &gone), Err(QueryError::Cancelled)));
    let late = QueryOptions::default();
    late.cancel.time_out();
    assert!(matches!(run(&Engine::default(), &late), Err(QueryError::Timeout)));
    assert!(run(&Engine::default(), &QueryOptions::default()).is_ok_and(|peak| peak >= 10_000));
}

#[test]
fn deep_queries_evaluate() {
    let storage = storage(1, 10);
    for query in
        ["m_total".to_owned() + &" + m_total".repeat(900), "abs(".repeat(100) + "m_total" + &")".repeat(100)]
    {
        let expr = parse(&query).unwrap();
        let result = Engine::default().instant(&storage, &expr, 0, &QueryOptions::default());
        assert!(matches!(result.unwrap().value, Value::Vector(v) if v.len() == 1));
    }
}

#[test]
fn names_drop_at_once_unless_delayed() {
    let mut storage = MemoryStorage::default();
    for name in ["a_total", "b_total"] {
        for t in 0..5 {
            storage.append(&Labels::from_pairs([("__name__", name)]), t * 60_000, Item::Float(t as f64));
        }
    }
    let expr = parse(
        "label_replace(rate({__name__=~\".+\"}[5m]), \"__name__\", \"${1}_rate\", \"__name__\", \"(.+)\")",
    );
    let expr = expr.unwrap();
    let eval = |delayed_name_removal| {
        let engine = Engine::new(EngineOptions { delayed_name_removal, ..EngineOptions::default() });
        engine.instant(&storage, &expr, 240_000, &QueryOptions::default())
    };
    assert!(eval(false).is_err_and(|e| e.to_string().contains("same labelset")));
    assert!(matches!(eval(true).unwrap().value, Value::Vector(v) if v.len() == 2));
}

#[test]
fn a_limit_cuts_and_says_so() {
    let options = QueryOptions { limit: 3, ..QueryOptions::default() };
    let result = Engine::default().instant(&storage(5, 1), &parse("m_total").unwrap(), 0, &options).unwrap();
    assert!(matches!(result.value, Value::Vector(v) if v.len() == 3));
    assert_eq!(result.warnings, ["results truncated due to limit"]);
}

/// Times and lengths at the ends of what can be written give a result or an error.
#[test]
fn extremes_do_not_overflow() {
    let storage = storage(2, 10);
    for query in [
        "m_total @ 9e15",
        "m_total @ -9e15 offset 290y",
        "rate(m_total[290y])",
        "rate(m_total[290y] offset -290y)",
        "m_total[1ms:1ms] @ 1e10",
        "sum_over_time(m_total[290y:1ms])",
        "year(vector(1e300)) + day_of_year(vector(-1e300)) + month(vector(NaN))",
        "topk(1e18, m_total) or bottomk(-1e18, m_total)",
        "m_total % 0 + m_total ^ 1e308",
        "quantile(NaN, m_total) or histogram_quantile(NaN, m_total)",
        "predict_linear(m_total[1h], 1e308) + vector(Inf)",
        "round(m_total, 0)",
        "label_replace(m_total, \"a\", \"$9$x${\", \"i\", \"(.*)\")",
    ] {
        let expr = parse_with(query, &Features::all()).unwrap_or_else(|e| panic!("{query}: {e}"));
        for at in [0, 100_000, i64::MAX, i64::MIN, 4_000_000_000_000_000_000] {
            let _ = Engine::default().instant(&storage, &expr, at, &QueryOptions::default());
            let _ = Engine::default().range(&storage, &expr, 0, at, 15_000, &QueryOptions::default());
            let _ = Engine::default().range(&storage, &expr, at, i64::MAX, 1, &QueryOptions::default());
        }
    }
}

/// What stands in a query twice is read once; values, samples counted and annotations are as if it had been read twice.
#[test]
fn repeated_parts_give_the_same() {
    let storage = storage(8, 40);
    let run = |query: &str| {
        let expr = parse(query).unwrap();
        let options = QueryOptions { text: query.to_owned(), ..QueryOptions::default() };
        Engine::default().range(&storage, &expr, 60_000, 500_000, 30_000, &options).unwrap()
    };
    for (twice, once) in [
        ("sum(rate(m_total[2m])) + sum(rate(m_total[2m]))", "2 * sum(rate(m_total[2m]))"),
        ("(m_total + m_total) - m_total", "m_total * 1"),
        ("m_total > 10 and m_total > 10", "m_total > 10"),
        (
            "max_over_time(sum(m_total)[2m:30s]) / sum(m_total)",
            "max_over_time(sum(m_total)[2m:30s]) / sum(m_total * 1)",
        ),
    ] {
        let (a, b) = (run(twice), run(once));
        assert_eq!(format!("{:?}", a.value), format!("{:?}", b.value), "{twice}");
    }
    let (one, two) = (run("sum(m_total)"), run("sum(m_total) + sum(m_total)"));
    assert_eq!(two.stats.total_samples, 2 * one.stats.total_samples);
    assert_eq!(two.stats.series, 2 * one.stats.series);
    let warned =
        run("sum(rate(m_total[2m])) + histogram_quantile(2, m_total) + histogram_quantile(2, m_total)");
    // of the same text at several places the last one is told
    let told: Vec<_> = warned.warnings.iter().filter(|w| w.contains("quantile value")).collect();
    assert_eq!(told, ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:78)"]);
}

#[test]
fn explain_says_what_was_found_and_meant() {
    let storage = storage(30, 10);
    let engine = Engine::new(EngineOptions::default());
    let explained = |query: &str| {
        // each reading of the watch is a microsecond later than the one before
        let now = AtomicU64::new(0);
        let stopwatch = Stopwatch::new(move || now.fetch_add(1000, Ordering::Relaxed));
        let options = QueryOptions { explain: true, stopwatch, ..QueryOptions::default() };
        engine.instant(&storage, &parse(query).unwrap(), 60_000, &options).unwrap().explain
    };
    let all = explained("sum by (g) (rate(m_total[1m])) + m_totl");
    let tree: Vec<(usize, &str)> = all.iter().map(|e| (e.depth, e.node.as_str())).collect();
    assert_eq!(tree, [(0, "+"), (1, "sum by (g)"), (2, "rate"), (3, "m_total[1m]"), (1, "m_totl")]);
    let counts: Vec<(u64, u64)> = all.iter().map(|e| (e.series, e.samples)).collect();
    assert_eq!(counts, [(0, 0), (7, 7), (30, 30), (30, 120), (0, 0)]);
    assert!(all.iter().all(|e| e.nanos > 0) && all[0].nanos > all[1].nanos && all[1].nanos > all[3].nanos);
    assert!(all[1].bytes > 0 && all[3].bytes > 0);
    let hints = explained("m_total + m_totl + m_total{g=\"33\"} + m_total{g=\"qwertyuiop\"}");
    let hints: Vec<Option<&str>> =
        hints.iter().filter(|e| e.node.starts_with("m_")).map(|e| e.hint.as_deref()).collect();
    assert_eq!(
        hints,
        [
            None,
            Some("no metric __name__=\"m_totl\"; the nearest is \"m_total\""),
            Some("no g g=\"33\"; the nearest is \"3\""),
            Some("no g g=\"qwertyuiop\", and none like it"),
        ]
    );
    assert!(
        engine
            .instant(&storage, &parse("1").unwrap(), 0, &QueryOptions::default())
            .unwrap()
            .explain
            .is_empty()
    );
}

/// The counts of a real Prometheus over the same samples: windows, what of them is new, subqueries, and fixed times.
#[test]
fn samples_are_counted_step_by_step() {
    let mut storage = MemoryStorage::default();
    for t in 0..6 {
        storage.append(&Labels::from_pairs([("__name__", "m")]), 7_000 + t * 15_000, Item::Float(t as f64));
    }
    let counted = |query: &str| {
        let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
        let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        let stats =
            Engine::default().range(&storage, &expr, -23_000, 97_000, 30_000, &options).unwrap().stats;
        let times: Vec<i64> = stats.per_step.iter().map(|s| s.t).collect();
        assert_eq!(times, [-23_000, 7_000, 37_000, 67_000, 97_000]);
        let column = |of: fn(&StepStats) -> u64| stats.per_step.iter().map(of).collect::<Vec<_>>();
        let (loaded, read) = (column(|s| s.total_samples), column(|s| s.samples_read));
        assert_eq!(loaded.iter().sum::<u64>(), stats.total_samples, "{query}");
        assert_eq!(read.iter().sum::<u64>(), stats.samples_read, "{query}");
        (loaded, read)
    };
    for (query, loaded, read) in [
        ("m", [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]),
        ("sum(m) + sum(m)", [0, 2, 2, 2, 2], [0, 2, 2, 2, 2]),
        ("rate(m[1m])", [0, 1, 3, 4, 3], [0, 1, 2, 2, 1]),
        ("sum(rate(m[20s]))", [0, 1, 2, 2, 1], [0, 1, 2, 2, 1]),
        ("sum_over_time(m[7s])", [0, 1, 1, 1, 0], [0, 1, 1, 1, 0]),
        ("m @ 30", [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]),
        ("rate(m[1m] @ 67)", [4, 4, 4, 4, 4], [4, 0, 0, 0, 0]),
        ("sum_over_time(m[60s:15s])", [0, 0, 2, 4, 4], [0, 0, 2, 2, 2]),
        ("sum_over_time(rate(m[30s])[60s:15s])", [0, 0, 1, 3, 4], [0, 0, 2, 2, 2]),
        ("sum_over_time(vector(1)[60s:15s])", [4, 4, 4, 4, 4], [0, 0, 0, 0, 0]),
        ("max_over_time(sum(m)[1m:10s] offset 10s)", [0, 0, 2, 5, 6], [0, 0, 2, 3, 3]),
        ("sum_over_time(m[60s:15s] @ 67)", [4, 4, 4, 4, 4], [4, 0, 0, 0, 0]),
        ("vector(scalar(rate(m[1m] @ 67))) + m", [4, 5, 5, 5, 5], [4, 1, 1, 1, 1]),
        ("time()", [0; 5], [0; 5]),
    ] {
        assert_eq!(counted(query), (loaded.to_vec(), read.to_vec()), "{query}");
    }
}

/// At the greatest depth that the parser takes, all that walks a tree stays within a small stack.
#[test]
fn the_deepest_trees_fit_a_small_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("{}m_total{}", open.repeat(n), close.repeat(n));
    let queries = [
        "m_total".to_owned() + &" + m_total".repeat(999),
        "m_total".to_owned() + &" or m_total".repeat(999),
        deep("(", ")", 249),
        deep("-", "", 249),
        deep("abs(", ")", 249),
        deep("sum by (i) (", ")", 249),
        deep("max_over_time(", "[1m:30s])", 20),
        format!("m_total[{}1m{}:1m]", "(".repeat(200), ")".repeat(200)),
        format!("m_total[1m{}]", " + 1s".repeat(249)),
        "2".to_owned() + &" ^ 2".repeat(240),
    ];
    let run = move || {
        let storage = storage(1, 10);
        for query in &queries {
            let expr = parse(query).unwrap_or_else(|e| panic!("{e}: {query:.60}"));
            let _ = (expr.to_string(), promql::pretty(&expr), promql::to_json(&expr), expr.value_type());
            let copy = expr.clone();
            assert!(copy == expr);
            for explain in [false, true] {
                let options = QueryOptions { explain, per_step_stats: explain, ..QueryOptions::default() };
                let engine = Engine::default();
                engine
                    .instant(&storage, &copy, 90_000, &options)
                    .unwrap_or_else(|e| panic!("{e}: {query:.60}"));
                let _ = engine.range(&storage, &copy, 0, 90_000, 30_000, &options);
            }
        }
    };
    // as small as the stacks of the threads that answer requests
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
    for query in [
        "m_total".to_owned() + &" + m_total".repeat(100_000),
        deep("(", "", 100_000),
        deep("-", "", 100_000),
        deep("abs(", ")", 100_000),
        format!("m[{}", "(".repeat(100_000)),
        "m offset ".to_owned() + &"(".repeat(100_000),
        "{".repeat(100_000),
    ] {
        assert!(parse(&query).is_err(), "{query:.20}");
    }
}

/// The part that grows is named, whichever it is.
#[test]
fn the_part_that_grows_is_named() {
    let storage = storage(50, 400);
    let failed = |query: &str, budget: usize| {
        let options = QueryOptions { memory_budget: budget, ..QueryOptions::default() };
        let expr = parse_with(query, &Features::all()).unwrap();
        let result = Engine::default().range(&storage, &expr, 0, 399 * 15_000, 15_000, &options);
        result
            .err()
            .map(|e| e.to_string().rsplit_once(" in ").map_or_else(String::new, |(_, part)| part.to_owned()))
    };
    for (query, budget, part) in [
        ("m_total", 4_000, "the list of selected series"),
        ("m_total", 100_000, "a selector"),
        ("count_values(\"v\", m_total)", 1_000_000, "the values that count_values counts"),
        ("topk(49, m_total)", 250_000, "the series that a choice keeps"),
        ("m_total + on (i) m_total", 450_000, "the results of a match of vectors"),
        ("stddev by (i) (m_total)", 300_000, "the groups of an aggregation"),
        ("m_total * 1", 280_000, "the result"),
    ] {
        assert_eq!(failed(query, budget).as_deref(), Some(part), "{query}");
        assert_eq!(failed(query, 1 << 30), None, "{query}");
    }
}

/// Buffers count, and what all queries hold together; the error names the part.
#[test]
fn budgets_in_bytes() {
    let storage = storage(3, 20_000);
    let query = parse("sum(rate(m_total[1h]))").unwrap();
    let end = 20_000 * 15_000;
    let run = |engine: &Engine, budget: usize| {
        let options = QueryOptions { memory_budget: budget, ..QueryOptions::default() };
        engine.range(&storage, &query, 0, end, end / 10, &options).map(|_| ())
    };
    let free = Engine::new(EngineOptions::default());
    assert!(run(&free, 0).is_ok() && run(&free, 256 << 20).is_ok());
    let error = run(&free, 100_000).unwrap_err().to_string();
    assert_eq!(error, "query needs more than its memory budget of 100000 bytes in the samples of a series");
    let shared = Engine::new(EngineOptions { memory_budget: 100_000, ..EngineOptions::default() });
    for _ in 0..3 {
        assert!(matches!(run(&shared, 0), Err(QueryError::OverGlobalBudget { budget: 100_000, .. })));
    }
    // what has failed holds nothing any more
    let small = parse("1 + 1").unwrap();
    assert!(shared.instant(&storage, &small, 0, &QueryOptions::default()).is_ok());
}
