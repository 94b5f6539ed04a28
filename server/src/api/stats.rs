//! What a query cost, beside its result: `stats` as the original writes it, and `explain`, our own.

use super::encode;
use promql::engine::{Explained, QueryStats, StepStats};
use std::fmt::Write as _;
use std::time::Duration;

/// `,"stats":{…}`: times in seconds, counts of samples; those of each step where they were counted.
pub(super) fn write(out: &mut String, stats: &QueryStats, waited: Duration, took: Duration) {
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
    let (prepare, sort) = (seconds(stats.select_nanos), seconds(stats.sort_nanos));
    let total = took.as_secs_f64();
    let timings = [
        ("evalTotalTime", total),
        ("resultSortTime", sort),
        ("queryPreparationTime", prepare),
        ("innerEvalTime", (total - prepare - sort).max(0.0)),
        ("execQueueTime", waited.as_secs_f64()),
        ("execTotalTime", total),
    ];
    out.push_str(",\"stats\":{\"timings\":{");
    for (i, (name, seconds)) in timings.iter().enumerate() {
        // writing to a string cannot fail
        let _ = write!(out, "{}\"{name}\":{seconds}", if i > 0 { "," } else { "" });
    }
    out.push_str("},\"samples\":{");
    if !stats.per_step.is_empty() {
        steps(out, "totalQueryableSamplesPerStep", &stats.per_step, |s| s.total_samples);
    }
    let _ = write!(out, "\"totalQueryableSamples\":{},", stats.total_samples);
    if !stats.per_step.is_empty() {
        steps(out, "samplesReadPerStep", &stats.per_step, |s| s.samples_read);
    }
    let _ = write!(out, "\"samplesRead\":{},\"peakSamples\":{}}}}}", stats.samples_read, stats.peak_samples);
}

fn steps(out: &mut String, name: &str, steps: &[StepStats], count: impl Fn(&StepStats) -> u64) {
    encode::string(out, name);
    out.push(':');
    encode::list(out, steps, |out, step| {
        out.push('[');
        encode::timestamp(out, step.t);
        let _ = write!(out, ",{}]", count(step));
    });
    out.push(',');
}

/// `,"explain":[…]`: the nodes of the query in the order of its tree, each with its place in the text (bytes) and its depth.
pub(super) fn explain(out: &mut String, nodes: &[Explained]) {
    out.push_str(",\"explain\":");
    encode::list(out, nodes, |out, node| {
        let _ = write!(out, "{{\"start\":{},\"end\":{},", node.pos.start, node.pos.end);
        let _ = write!(out, "\"depth\":{},\"node\":", node.depth);
        encode::string(out, &node.node);
        let seconds = Duration::from_nanos(node.nanos).as_secs_f64();
        let _ = write!(out, ",\"series\":{},\"samples\":{},", node.series, node.samples);
        let _ = write!(out, "\"bytes\":{},\"seconds\":{seconds}", node.bytes);
        if let Some(hint) = &node.hint {
            out.push_str(",\"hint\":");
            encode::string(out, hint);
        }
        out.push('}');
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_the_originals() {
        let step = |t, n| StepStats { t, total_samples: n, samples_read: n - 1 };
        let mut stats = QueryStats { total_samples: 7, samples_read: 5, ..QueryStats::default() };
        let written = |stats: &QueryStats| {
            let mut out = String::from("{\"a\":1");
            write(&mut out, stats, Duration::from_millis(1), Duration::from_millis(2));
            out.push('}');
            serde_json::from_str::<serde_json::Value>(&out).unwrap()["stats"].take()
        };
        let plain = written(&stats);
        assert_eq!(
            plain["samples"],
            serde_json::json!({"totalQueryableSamples": 7, "samplesRead": 5, "peakSamples": 0})
        );
        assert_eq!(plain["timings"]["execQueueTime"], 0.001);
        assert_eq!(plain["timings"].as_object().unwrap().len(), 6);
        stats.per_step = vec![step(0, 3), step(1500, 4)];
        let detailed = written(&stats);
        assert_eq!(
            detailed["samples"]["totalQueryableSamplesPerStep"],
            serde_json::json!([[0, 3], [1.5, 4]])
        );
        assert_eq!(detailed["samples"]["samplesReadPerStep"], serde_json::json!([[0, 2], [1.5, 3]]));
    }

    #[test]
    fn nodes_are_written_in_order() {
        let hint = Some("no metric \"a\"".to_owned());
        let node = Explained { node: "a".to_owned(), nanos: 1_500_000, hint, ..Explained::default() };
        let mut out = String::from("{\"a\":1");
        explain(&mut out, &[node, Explained::default()]);
        out.push('}');
        let found = serde_json::from_str::<serde_json::Value>(&out).unwrap();
        assert_eq!(found["explain"][0]["seconds"], 0.0015);
        assert_eq!(found["explain"][0]["hint"], "no metric \"a\"");
        assert_eq!(found["explain"][1]["hint"], serde_json::Value::Null);
    }
}
