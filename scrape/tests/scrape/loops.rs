//! When loops scrape, and what they leave behind: in paused time. The job is over its target limit, so that its scrapes fail
//! without touching the network, which knows no paused time.

use super::{Job, ScrapeManager, Storage, jobs, pairs};
use discovery::TargetGroup;
use runtime::clock::Clock;
use runtime::metrics::Registry;
use runtime::room::Room;
use runtime::{Stage, clock};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const BEGIN: i64 = 1_700_000_000_123;

/// Shows the runtime's time, which the test pauses.
#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

impl clock::Clock for PausedClock {
    fn now_ms(&self) -> i64 {
        BEGIN + self.0.elapsed().as_millis() as i64
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct World {
    manager: ScrapeManager,
    storage: Storage,
    stage: Stage,
    clock: Arc<PausedClock>,
}

fn job() -> Vec<Job> {
    jobs("scrape_interval: 5s\nscrape_timeout: 5s\ntarget_limit: 1")
}

impl World {
    fn new(instances: &[&str]) -> Self {
        let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
        let (storage, stage) = (Storage::default(), Stage::detached("scrape"));
        let manager = ScrapeManager::new(
            stage.clone(),
            Arc::new(storage.clone()),
            clock.clone(),
            &Registry::default(),
            Room::new(0),
        );
        manager.apply(job());
        let world = World { manager, storage, stage, clock };
        world.discover(instances);
        world
    }

    fn discover(&self, instances: &[&str]) {
        let targets = instances.iter().map(|i| pairs(&[("__address__", i)])).collect();
        let group = TargetGroup { source: "s".into(), labels: pairs(&[]), targets };
        self.manager.update_targets(HashMap::from([("j".to_owned(), vec![Arc::new(group)])]));
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Times of `up` of an instance, and the times at which it was marked stale.
    fn up(&self, instance: &str) -> (Vec<i64>, Vec<i64>) {
        let times = self.storage.times("up", ("instance", instance));
        let of = |stale| times.iter().filter(|(_, s)| *s == stale).map(|(t, _)| *t).collect();
        (of(false), of(true))
    }
}

#[tokio::test(start_paused = true)]
async fn scrapes_at_once_then_on_a_grid() {
    let world = World::new(&["a", "b"]);
    world.pass(30).await;
    for instance in ["a", "b"] {
        let (times, _) = world.up(instance);
        assert!(times[0] - BEGIN < 20, "{times:?}");
        assert!((7..=8).contains(&times.len()), "{times:?}");
        assert!(times[1..].windows(2).all(|w| w[1] - w[0] == 5000), "{times:?}");
    }
    assert_ne!(world.up("a").0[1], world.up("b").0[1], "the load is not spread");
}

#[tokio::test(start_paused = true)]
async fn a_gone_target_is_marked_stale_where_its_next_scrape_would_have_been() {
    let world = World::new(&["a", "b", "c"]);
    world.pass(12).await;
    world.discover(&["a", "b"]);
    world.pass(20).await;
    let (times, stale) = world.up("c");
    assert_eq!(stale, [times[times.len() - 1] + 5000]);
    assert!(world.up("a").1.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_marks_nothing() {
    let world = World::new(&["a", "b"]);
    world.pass(12).await;
    world.stage.token().cancel();
    world.pass(60).await;
    let (times, stale) = world.up("a");
    assert!(times.iter().all(|t| *t <= BEGIN + 12_000) && stale.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reload_does_not_disturb_the_grid() {
    let world = World::new(&["a", "b"]);
    world.pass(12).await;
    world.manager.apply(job());
    world.pass(10).await;
    world.manager.apply(jobs("scrape_interval: 5s\nscrape_timeout: 5s\ntarget_limit: 1\nhonor_labels: true"));
    world.pass(10).await;
    let (times, stale) = world.up("a");
    assert!(times[1..].windows(2).all(|w| w[1] - w[0] == 5000), "{times:?}");
    assert!(stale.is_empty(), "{stale:?}");
    assert!(times.len() >= 7 && world.clock.now_ms() - times[times.len() - 1] <= 5000);
}

#[tokio::test(start_paused = true)]
async fn another_interval_goes_on_with_the_same_series() {
    let world = World::new(&["a", "b"]);
    world.pass(12).await;
    world.manager.apply(jobs("scrape_interval: 2s\nscrape_timeout: 2s\ntarget_limit: 1"));
    world.pass(30).await;
    let (times, stale) = world.up("a");
    assert!(stale.is_empty(), "{stale:?}");
    assert!(times[times.len() - 10..].windows(2).all(|w| w[1] - w[0] == 2000), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gone_job_ends() {
    let world = World::new(&["a", "b"]);
    world.pass(2).await;
    world.manager.apply(Vec::new());
    world.pass(30).await;
    assert_eq!(world.up("a").1.len(), 1);
    assert!(world.manager.targets().active.is_empty() && world.manager.pools().is_empty());
}
