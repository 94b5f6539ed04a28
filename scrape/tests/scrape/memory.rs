//! What scraping does where memory is short: for series in the storage, and for bodies on their way.

use super::{Answer, Health, Room, World};

#[tokio::test]
async fn known_series_go_on_where_new_ones_are_refused() {
    let w = World::new("extra_scrape_metrics: true", "a 1\nb 1\n").await;
    w.storage.set_most(Some(2));
    assert_eq!(w.scrape(1000).await.lines().count(), 2);
    w.exporter.text("new1 5\na 2\n# HELP new2 x\nnew2 5\nnew2 6\nb 2\nnew3 5\n");
    for t in [2000, 3000, 4000] {
        let stored = w.scrape(t).await;
        assert_eq!(stored.lines().count(), 2, "{stored}");
        assert!(stored.lines().all(|l| l.ends_with(" 2")), "{stored}");
        assert_eq!(
            (w.storage.report("up", t), w.storage.report("scrape_series_added", t)),
            (Some(1.0), Some(0.0))
        );
        let target = w.target();
        assert_eq!(
            (target.health, target.last_error.as_str()),
            (Health::Up, "4 new series refused: no room")
        );
    }
    assert!(w.registry.render().contains("pharos_target_scrapes_series_refused_total 12\n"));
    assert!(w.manager.metadata()[0].metrics.iter().all(|m| m.metric != "new2"));

    // there is room again
    w.storage.set_most(None);
    let stored = w.scrape(5000).await;
    assert_eq!(stored.lines().count(), 5, "{stored}");
    assert_eq!(w.storage.report("scrape_series_added", 5000), Some(3.0));
    assert_eq!(w.target().last_error, "");
    // all of them are known now, in their order
    let looked_up = w.storage.looked_up();
    assert_eq!(w.scrape(6000).await.lines().count(), 5);
    assert_eq!(w.storage.looked_up(), looked_up);
}

#[tokio::test]
async fn a_body_beyond_the_memory_for_bodies_fails_alone() {
    let room = Room::new(100 << 10);
    let w = World::within("extra_scrape_metrics: true", "", room.clone()).await;
    let why = "body size limit exceeded (102400 bytes: all that bodies may hold, see --scrape.memory-budget)";
    let long = format!("a 1\n# {}\n", "x".repeat(101 << 10));
    for (t, answer) in [
        (1000, Answer::Text(long.clone())),
        (2000, Answer::Gzip(long)),
        (3000, Answer::Endless),
        (4000, Answer::EndlessGzip),
    ] {
        w.exporter.set(answer);
        assert_eq!(w.failure(t).await, why, "{t}");
        assert_eq!(w.storage.report("scrape_body_size_bytes", t), Some(-1.0));
        assert_eq!(room.taken(), 0);
    }
    w.exporter.text(&format!("a 1\n# {}\n", "x".repeat(99 << 10)));
    assert_eq!(w.scrape(5000).await.lines().count(), 1);
    assert_eq!(room.taken(), 0);
}

#[tokio::test]
async fn a_body_waits_for_memory_that_others_hold() {
    let room = Room::new(100 << 10);
    let w = World::within("scrape_timeout: 100ms\nscrape_interval: 1s", "a 1\n", room.clone()).await;
    let mut others = room.hold();
    assert!(others.try_reach(100 << 10));
    let why = "no memory for the body within the scrape's time: others hold the 102400 bytes that bodies may have, \
               see --scrape.memory-budget";
    assert_eq!(w.failure(1000).await, why);
    drop(others);
    assert_eq!(w.scrape(2000).await.lines().count(), 1);
}
