//! The query language: any text is parsed, printed, parsed again and evaluated over a few series, within tight budgets.

use std::sync::{Arc, OnceLock};

use model::histogram::Span;
use model::{FloatHistogram, Labels};
use promql::testing::{Item, MemoryStorage};
use promql::{Engine, EngineOptions, Features, QueryOptions, parse_with};

fn storage() -> &'static MemoryStorage {
    static STORAGE: OnceLock<MemoryStorage> = OnceLock::new();
    STORAGE.get_or_init(|| {
        let mut storage = MemoryStorage::default();
        for t in 0..20 {
            let value = if t == 7 { f64::NAN } else { f64::from(t * t % 13) };
            for (name, label) in [("m", "1"), ("m", "2"), ("b", "1"), ("b", "+Inf"), ("target_info", "x")] {
                let key = if name == "b" { "le" } else { "l" };
                let labels = Labels::from_pairs([("__name__", name), (key, label), ("job", "j")]);
                // some counts begin anew, and say so
                let start = i64::from(t / 4 * 4) * 15_000 - 5_000;
                let start = if label == "2" { start } else { 0 };
                storage.append_started(&labels, i64::from(t) * 15_000, Item::Float(value), start);
            }
            let histogram = FloatHistogram {
                schema: t % 3,
                count: f64::from(t + 3),
                sum: value,
                zero_count: 1.0,
                zero_threshold: 0.01,
                positive_spans: vec![Span { offset: t % 2, length: 2 }],
                positive_buckets: vec![1.0, f64::from(t + 1)],
                ..FloatHistogram::default()
            };
            let labels = Labels::from_pairs([("__name__", "h"), ("job", "j")]);
            storage.append(&labels, i64::from(t) * 15_000, Item::Histogram(Arc::new(histogram)));
        }
        storage
    })
}

/// Parsing, the printed form, and evaluation at an instant and over a range.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(expr) = parse_with(text, &Features::all()) else { return };
    let printed = expr.to_string();
    for form in [printed.clone(), promql::pretty(&expr)] {
        match parse_with(&form, &Features::all()) {
            // infinity is printed with its sign, which before `^` is an operator when it is read again
            Ok(again) if !printed.contains("Inf ^") => {
                assert_eq!(again.to_string(), printed, "printed forms differ");
            }
            Ok(_) => {}
            Err(error) => panic!("{form:?} was printed and does not parse: {error}"),
        }
    }
    let _ = promql::to_json(&expr);
    for all in [false, true] {
        let defaults = EngineOptions { max_samples: 20_000, ..EngineOptions::default() };
        let engine =
            Engine::new(EngineOptions { delayed_name_removal: all, use_start_timestamps: all, ..defaults });
        let asked = QueryOptions { explain: all, per_step_stats: all, ..QueryOptions::default() };
        let options = QueryOptions { text: text.to_owned(), memory_budget: 4 << 20, ..asked };
        // errors are answers too
        let _ = engine.instant(storage(), &expr, 200_000, &options);
        let _ = engine.range(storage(), &expr, 0, 300_000, 30_000, &options);
    }
}

/// A query of each kind.
pub fn query_seeds() -> Vec<Vec<u8>> {
    [
        "sum by (job) (rate(m[5m])) / on (job) group_left (l) m offset -1m @ 100",
        "histogram_quantile(0.9, sum by (le) (rate(b[1m]))) > bool 3",
        "topk(2, -m[1m:15s] @ end())",
        "histogram_count(h </ 3) + fill(0) avg_over_time(h[1m:])",
        "label_replace(m, \"x\", \"$1\", \"l\", \"(.*)\") or info(m, {l=~\".+\"})",
        "rate(m[step() + 2 * 30s] smoothed) and m{l!~\"2\"} unless on () vector(0x1F)",
        "resets(m[2m]) + start_timestamp(m) offset (10s) * 2",
        "max_of(1, time()) ^ 2 # comment\n + scalar(count_values(\"v\", {__name__=\"m\"}))",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
