//! Metadata in the log: Prometheus reads on behind it, and what it leaves still has it.

use std::path::Path;
use std::sync::Arc;

use model::Value;
use tsdb::{Db, Metadata, MetricKind, Options};

use crate::data::{Series, floats_and_histograms};
use crate::peer::{Prometheus, assert_answers, program};
use crate::{append, open};

const FEATURE: &str = "--enable-feature=metadata-wal-records";
/// Steps: too few for a block, so that all stands in the log.
const COUNT: i64 = 30;

fn metadata(i: usize) -> Metadata {
    Metadata { kind: MetricKind(i as u8 % 8), unit: "seconds".to_owned(), help: format!("Series \"{i}\".\n") }
}

fn open_described(dir: &Path, series: &[Series]) -> Arc<Db> {
    open(dir, series, Options { metadata_records: true, ..Options::default() })
}

#[test]
fn metadata_pharos_wrote() {
    let Some(prometheus) = program("PROMETHEUS") else {
        println!("skipped: the environment does not name PROMETHEUS");
        return;
    };
    for flags in [&[][..], &[FEATURE]] {
        let dir = tempfile::tempdir().unwrap();
        let series = floats_and_histograms(COUNT);
        let db = open_described(dir.path(), &series);
        append(&db, &series);
        let mut appender = db.appender();
        for (i, one) in series.iter().enumerate() {
            let reference = appender.reference_of(&one.labels).unwrap();
            appender.describe(reference, &one.labels, &metadata(i)).unwrap();
        }
        appender.commit().unwrap();
        drop(db);
        let server = Prometheus::start(&prometheus, dir.path(), "{}", flags);
        assert_answers(&server, &series);
        let (_, figures) = server.get("/metrics");
        assert!(figures.contains("\nprometheus_tsdb_wal_corruptions_total 0\n"), "{figures}");
        // it goes on in the same log
        let (newest, _) = series[0].samples.last().unwrap();
        let next =
            Series { labels: series[0].labels.clone(), samples: vec![(newest + 60_000, Value::Float(7.0))] };
        server.write(std::slice::from_ref(&next));
        server.terminate();
        let db = open_described(dir.path(), &[next]);
        for (i, one) in series.iter().enumerate() {
            assert_eq!(db.metadata(&one.labels).as_deref(), Some(&metadata(i)), "{}", one.labels);
        }
    }
}
