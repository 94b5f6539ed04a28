//! The engine over series in memory: one benchmark per class of query.

use bench::memory::{Memory, SCRAPE_MS};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use promql::{Engine, EngineOptions, QueryOptions, parse};
use std::time::Duration;

/// Scrapes of the short history: two hours.
const SHORT: usize = 480;
/// Scrapes of the long one: a day.
const LONG: usize = 5760;

fn memory() -> Memory {
    let mut memory = Memory::default();
    let pod = |i: usize| vec![("pod", format!("pod-{:04}", i / 4)), ("namespace", format!("ns-{}", i / 200))];
    let many = move |i: usize| {
        let code = ["200", "404", "500", "503"][i % 4];
        [pod(i), vec![("code", code.to_owned()), ("instance", format!("10.0.0.{}:80", i / 40))]].concat()
    };
    // every hundredth series begins anew now and then
    let counter =
        |i: usize, k: usize| ((k % if i.is_multiple_of(100) { 97 } else { 1 << 20 }) * (i % 13 + 1)) as f64;
    memory.add("requests_total", 4000, SHORT, many, counter);
    memory.add("memory_bytes", 4000, SHORT, many, |i, k| ((i * 37 + k * 11) % 977) as f64 * 1024.0);
    memory.add("load", 100, SHORT, many, |i, k| ((i * 31 + k * 17) % 1000) as f64 / 7.0);
    memory.add(
        "pod_info",
        1000,
        SHORT,
        move |i| [pod(i * 4), vec![("node", format!("node-{}", i % 50))]].concat(),
        |_, _| 1.0,
    );
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    memory.add(
        "latency_bucket",
        200 * bounds.len(),
        SHORT,
        |i| vec![("le", bounds[i % 12].to_owned()), ("service", format!("service-{:03}", i / 12))],
        |i, k| (k * (i % 12 + 1)) as f64,
    );
    memory.add_native("latency", 100, SHORT, |i| vec![("service", format!("service-{i:03}"))]);
    memory.add(
        "long_total",
        200,
        LONG,
        |i| vec![("instance", format!("10.0.1.{i}:80")), ("job", "long".to_owned())],
        |i, k| k as f64 * (i as f64 + 0.25),
    );
    memory
}

/// Class, query, step in seconds, and range in hours (0: an instant query).
const CLASSES: [(&str, &str, i64, i64); 19] = [
    ("rate", "sum by (instance) (rate(requests_total[5m]))", 15, 1),
    ("rate_plain", "rate(requests_total[5m])", 60, 1),
    ("rate_instant", "sum(rate(requests_total[5m]))", 15, 0),
    ("groups", "sum by (pod) (memory_bytes)", 15, 1),
    ("groups_without", "max without (code) (memory_bytes)", 15, 1),
    ("topk", "topk(10, sum by (pod) (rate(requests_total[5m])))", 60, 1),
    ("quantile", "quantile by (namespace) (0.9, memory_bytes)", 60, 1),
    ("join", "requests_total * on (pod, namespace) group_left (node) pod_info", 60, 1),
    ("join_same", "memory_bytes / requests_total", 60, 1),
    ("classic", "histogram_quantile(0.99, sum by (le, service) (rate(latency_bucket[5m])))", 15, 1),
    ("native", "histogram_quantile(0.99, sum(rate(latency[5m])))", 60, 1),
    ("subquery", "max_over_time(sum by (instance) (rate(requests_total[5m]))[30m:1m])", 60, 1),
    ("long_rate", "sum(rate(long_total[5m]))", 60, 24),
    ("long_window", "max_over_time(long_total[6h])", 300, 24),
    ("avg_window", "avg_over_time(load[1h])", 15, 1),
    ("sum_window", "sum_over_time(memory_bytes{namespace=\"ns-0\"}[1h])", 15, 1),
    ("quantile_window", "quantile_over_time(0.9, load[1h])", 15, 1),
    ("twice", "sum(rate(requests_total[5m])) / (sum(rate(requests_total[5m])) + 1)", 60, 1),
    ("two_windows", "sum(rate(requests_total[5m])) / sum(rate(requests_total[6m]))", 60, 1),
];

fn classes(c: &mut Criterion) {
    let memory = memory();
    let engine = Engine::new(EngineOptions::default());
    let mut group = c.benchmark_group("queries");
    // all classes in some two minutes
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for (class, text, step, hours) in CLASSES {
        let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let samples = if class.starts_with("long") { LONG } else { SHORT };
        let end = (samples as i64 - 1) * SCRAPE_MS;
        let options = QueryOptions { text: text.to_owned(), ..QueryOptions::default() };
        group.throughput(Throughput::Elements((hours * 3600 / step + 1) as u64));
        group.bench_function(class, |b| {
            b.iter(|| {
                let result = if hours == 0 {
                    engine.instant(&memory, &expr, end, &options)
                } else {
                    engine.range(&memory, &expr, end - hours * 3_600_000, end, step * 1000, &options)
                };
                result.unwrap_or_else(|e| panic!("{text}: {e}"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, classes);
criterion_main!(benches);
