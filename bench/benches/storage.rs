//! The database: chunks encoded and decoded, series found by matchers, samples appended and read.

use bench::database::{fill, labels, value};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::histogram::Span;
use model::{Histogram, MatchOp, Matcher, NativeHistogram};
use runtime::clock::ManualClock;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tsdb::block::Block;
use tsdb::chunk::{
    DenseEncoder, HistogramChunk, Xor2Chunk, XorChunk, decode_native, decode_xor, decode_xor2,
};
use tsdb::disk::RealDisk;
use tsdb::{Db, Options};

const START: i64 = 1_700_000_000_000 / 7_200_000 * 7_200_000;
const STEP: i64 = 15_000;
const SERIES: usize = 20_000;

/// The kinds of series that [`value`] makes.
const KINDS: [(&str, usize); 4] = [("whole", 0), ("broken", 1), ("gauge", 2), ("constant", 3)];

fn columns(kind: usize, samples: usize) -> (Vec<i64>, Vec<f64>) {
    (0..samples).map(|k| (START + k as i64 * STEP, value(kind, k))).unzip()
}

fn encode(ts: &[i64], vs: &[f64]) -> XorChunk {
    let mut chunk = XorChunk::new();
    ts.iter().zip(vs).for_each(|(t, v)| chunk.append(*t, *v));
    chunk
}

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk");
    group.throughput(Throughput::Elements(120));
    for (name, kind) in KINDS {
        let (ts, vs) = columns(kind, 120);
        group.bench_function(format!("encode/{name}"), |b| b.iter(|| encode(&ts, &vs)));
        let chunk = encode(&ts, &vs);
        let (mut out_ts, mut out_vs) = (Vec::new(), Vec::new());
        group.bench_function(format!("decode/{name}"), |b| {
            b.iter(|| {
                out_ts.clear();
                out_vs.clear();
                decode_xor(chunk.bytes(), i64::MIN, i64::MAX, &mut out_ts, &mut out_vs)
            });
        });
        let mut dense = DenseEncoder::new();
        group.bench_function(format!("compact/{name}"), |b| {
            b.iter(|| {
                let mut bytes = 0;
                let keep = |_, _, _, data: &[u8]| {
                    bytes += data.len();
                    Ok::<_, Infallible>(())
                };
                dense.encode(&ts, &vs, keep).map(|()| bytes)
            });
        });
    }
    group.finish();
}

fn encode2(ts: &[i64], vs: &[f64]) -> Xor2Chunk {
    let mut chunk = Xor2Chunk::default();
    ts.iter().zip(vs).for_each(|(t, v)| chunk.append(*t, 0, *v));
    chunk
}

fn chunks2(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk2");
    group.throughput(Throughput::Elements(120));
    for (name, kind) in KINDS {
        let (ts, vs) = columns(kind, 120);
        group.bench_function(format!("encode/{name}"), |b| b.iter(|| encode2(&ts, &vs)));
        let chunk = encode2(&ts, &vs);
        group.bench_function(format!("decode/{name}"), |b| {
            b.iter(|| {
                let mut sum = 0.0;
                decode_xor2(chunk.bytes(), i64::MIN, i64::MAX, |_, _, v| sum += v).map(|()| sum)
            });
        });
        let mut dense = DenseEncoder::new();
        group.bench_function(format!("compact/{name}"), |b| {
            b.iter(|| {
                let mut bytes = 0;
                let keep = |_, _, _, data: &[u8]| {
                    bytes += data.len();
                    Ok::<_, Infallible>(())
                };
                dense.encode_xor2(&ts, &vs, &[], keep).map(|()| bytes)
            });
        });
    }
    group.finish();
}

/// A latency's histogram of 20 buckets that grow at different speeds.
fn histogram(n: usize) -> NativeHistogram {
    let counts: Vec<i64> = (0..20).map(|bucket| (n * (1 + bucket * (20 - bucket) / 7)) as i64).collect();
    let deltas = counts.iter().scan(0, |last, &count| Some(count - std::mem::replace(last, count)));
    Histogram {
        schema: 3,
        zero_threshold: 1e-128,
        count: counts.iter().sum::<i64>() as u64,
        sum: n as f64 * 1.37,
        positive_spans: vec![Span { offset: -8, length: 20 }],
        positive_buckets: deltas.collect(),
        ..Histogram::default()
    }
    .into()
}

fn histograms(c: &mut Criterion) {
    let mut group = c.benchmark_group("histogram_chunk");
    let all: Vec<NativeHistogram> = (0..40).map(histogram).collect();
    let encode = |all: &[NativeHistogram]| {
        let mut chunk = HistogramChunk::default();
        for (i, h) in all.iter().enumerate() {
            chunk.append(START + i as i64 * STEP, 0, h);
        }
        chunk
    };
    group.throughput(Throughput::Elements(all.len() as u64));
    group.bench_function("encode", |b| b.iter(|| encode(&all)));
    let chunk = encode(&all);
    group.bench_function("decode", |b| {
        b.iter(|| {
            let mut sum = 0.0;
            let each = |_, _, h: NativeHistogram| sum += h.to_float().sum;
            decode_native(chunk.encoding(), chunk.bytes(), i64::MIN, i64::MAX, each).map(|()| sum)
        });
    });
    group.finish();
}

/// Four hours of history: one block, and a head.
fn history(dir: &tempfile::TempDir) -> Arc<Db> {
    let clock = ManualClock::at(START + 4 * 3_600_000);
    let db = Db::open(dir.path(), Options::default(), clock).unwrap_or_else(|e| panic!("{e}"));
    fill(&db, SERIES, 240, START, 60_000).unwrap_or_else(|e| panic!("{e:#}"));
    db.maintain().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(db.blocks().len(), 1, "what the benchmarks read is a block and a head");
    db
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap_or_else(|e| panic!("{e}"))
}

/// The lists of a block's index, as they lie there.
fn postings(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let db = history(&dir);
    let place = db.dir().join(db.blocks()[0].ulid.to_string());
    let block = Block::open(Arc::new(RealDisk), &place).unwrap_or_else(|e| panic!("{e}"));
    let list = |name: &str, value: &str| block.postings(name, value).unwrap_or_else(|e| panic!("{e}"));
    let mut group = c.benchmark_group("postings");
    group.bench_function("find", |b| b.iter(|| list("__name__", "container_metric_07_total").len()));
    let all = block.all_postings().unwrap_or_else(|e| panic!("{e}"));
    group.throughput(Throughput::Elements(all.len() as u64));
    group.bench_function("walk", |b| b.iter(|| all.map(|series| u64::from(series.0)).sum::<u64>()));
    let short = list("__name__", "container_metric_07_total");
    group.throughput(Throughput::Elements(short.len() as u64));
    group.bench_function("seek", |b| {
        b.iter(|| {
            let mut all = all;
            short
                .filter(|series| {
                    all.seek(*series);
                    all.peek() == Some(*series)
                })
                .count()
        });
    });
    group.throughput(Throughput::Elements(block.num_label_values("pod") as u64));
    group.bench_function("values", |b| {
        b.iter(|| {
            let mut found = Vec::new();
            let matches = |value: &str| value.ends_with('7');
            block.postings_matching("pod", "", matches, &mut found).map(|()| found.len())
        });
    });
    let mut chunks = Vec::new();
    group.throughput(Throughput::Elements(short.len() as u64));
    group.bench_function("series", |b| {
        b.iter(|| short.filter(|series| block.series(*series, &mut chunks).is_ok()).count());
    });
    group.finish();
}

fn selections(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let db = history(&dir);
    let end = START + 4 * 3_600_000;
    let metric = || matcher(MatchOp::Equal, "__name__", "container_metric_07_total");
    let cases = [
        ("metric", vec![metric()]),
        ("intersection", vec![metric(), matcher(MatchOp::Equal, "namespace", "namespace-3")]),
        ("alternatives", vec![metric(), matcher(MatchOp::Regex, "namespace", "namespace-(3|5|7)")]),
        ("prefix", vec![metric(), matcher(MatchOp::Regex, "pod", "deployment-1.+")]),
        ("suffix", vec![metric(), matcher(MatchOp::Regex, "pod", ".*-(00001|00002)")]),
        ("not", vec![metric(), matcher(MatchOp::NotEqual, "container", "container-1")]),
        ("not_regex", vec![metric(), matcher(MatchOp::NotRegex, "pod", ".+-000.+")]),
        ("names", vec![matcher(MatchOp::Regex, "__name__", "container_metric_0.+")]),
    ];
    for (place, from, to) in
        [("head", end - 300_000, end), ("block", START, START + 300_000), ("both", START, end)]
    {
        let mut group = c.benchmark_group(format!("select/{place}"));
        group.sample_size(20);
        for (name, matchers) in &cases {
            group.bench_function(*name, |b| b.iter(|| db.querier().select(matchers, from, to)));
        }
        group.finish();
        let found = db.querier().select(&[metric()], from, to).unwrap_or_else(|e| panic!("{e}"));
        let mut group = c.benchmark_group("read");
        group.throughput(Throughput::Elements(found.len() as u64));
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        group.bench_function(place, |b| {
            b.iter(|| {
                for entry in &found {
                    ts.clear();
                    vs.clear();
                    entry.read(from, to, &mut ts, &mut vs).unwrap_or_else(|e| panic!("{e}"));
                }
            });
        });
        group.finish();
    }
}

fn appends(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let clock = ManualClock::at(START);
    let db = Db::open(dir.path(), Options::default(), clock).unwrap_or_else(|e| panic!("{e}"));
    let sets: Vec<_> = (0..1000).map(labels).collect();
    let (mut refs, mut round) = (vec![0u64; sets.len()], 0);
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(sets.len() as u64));
    group.sample_size(50);
    group.bench_function("known", |b| {
        b.iter(|| {
            let mut appender = db.appender();
            for (i, set) in sets.iter().enumerate() {
                let t = START + round as i64 * 100;
                refs[i] = appender.append(refs[i], set, t, value(i, round)).unwrap_or_else(|e| panic!("{e}"));
            }
            round += 1;
            appender.commit()
        });
    });
    let mut generation = 0;
    group.bench_function("new", |b| {
        b.iter_batched(
            || {
                generation += 1;
                (0..1000).map(|i| labels(1_000_000 + generation * 1000 + i)).collect::<Vec<_>>()
            },
            |sets| {
                let mut appender = db.appender();
                for set in &sets {
                    appender.append(0, set, START, 1.0).unwrap_or_else(|e| panic!("{e}"));
                }
                appender.commit()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Short runs: all of them take under four minutes.
fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30)
}

criterion_group! {
    name = benches;
    config = config();
    targets = chunks, chunks2, histograms, postings, selections, appends
}
criterion_main!(benches);
