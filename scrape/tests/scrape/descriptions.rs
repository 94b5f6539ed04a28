//! What the storage is told about series: once, and again where it changes or was not stored.

use super::{World, check};
use expect_test::expect;

const TEXT: &str = "# HELP a Help.\n# TYPE a counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 1\nother 1\n\
    # TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_max 1\n";

async fn world() -> World {
    let w = World::new("", TEXT).await;
    assert_eq!(w.storage.descriptions(), "");
    w
}

/// What was said since the last call, but for the series of the report.
fn said(w: &World) -> String {
    let all = w.storage.descriptions();
    let of_target = |line: &&str| !line.starts_with("up ") && !line.starts_with("scrape_");
    all.lines().filter(of_target).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn each_series_is_described_once() {
    let w = world().await;
    w.scrape(1000).await;
    check(
        &said(&w),
        expect![[r#"
            a_total counter "" "Help."
            a_total counter "" "Help."
            h_bucket histogram "" ""
            h_sum histogram "" ""
            h_count histogram "" ""
        "#]],
    );
    w.scrape(2000).await;
    assert_eq!(said(&w), "");
    // a new one among those that are known
    w.exporter.text(&TEXT.replace("other 1", "a_total{x=\"3\"} 1"));
    w.scrape(3000).await;
    assert_eq!(said(&w), "a_total counter \"\" \"Help.\"\n");
}

#[tokio::test]
async fn what_changes_is_told_until_it_is_stored() {
    let w = world().await;
    w.storage.set_full(true);
    w.scrape(1000).await;
    w.storage.set_full(false);
    w.scrape(2000).await;
    assert_eq!(said(&w).lines().count(), 5);
    w.exporter.text(&TEXT.replace("Help.", "Another."));
    w.storage.set_full(true);
    w.scrape(3000).await;
    assert_eq!(said(&w), "");
    w.storage.set_full(false);
    w.scrape(4000).await;
    let another = "a_total counter \"\" \"Another.\"\n";
    assert_eq!(said(&w), another.repeat(2));
    w.scrape(5000).await;
    assert_eq!(said(&w), "");
}

#[tokio::test]
async fn names_after_relabelling_count() {
    let job = "metric_relabel_configs: [{source_labels: [__name__], regex: a_total, target_label: __name__, replacement: b}]";
    let w = World::new(job, TEXT).await;
    w.storage.descriptions();
    w.scrape(1000).await;
    assert!(said(&w).lines().all(|line| line.starts_with("h_")));
}

#[tokio::test]
async fn the_report_is_described_too() {
    let w = world().await;
    let said = || {
        w.storage.descriptions().lines().filter(|l| l.starts_with("up ") || l.starts_with("scrape_")).count()
    };
    w.storage.set_full(true);
    w.scrape(1000).await;
    w.storage.set_full(false);
    assert_eq!(said(), 0);
    w.exporter.set(super::Answer::Raw(Vec::new()));
    w.scrape(2000).await;
    assert_eq!(said(), 5, "also of a failed scrape");
    w.exporter.text(TEXT);
    w.scrape(3000).await;
    assert_eq!(said(), 0);
}
