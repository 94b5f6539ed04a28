//! All pools: takes configurations and targets, tells what goes on.

use crate::append::Appendable;
use crate::inflate::Buffers;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::scraper::Shared;
use crate::status::{TargetMetadata, Targets};
use crate::timing::DEFAULT_TOLERANCE_MS;
use discovery::TargetGroup;
use parking_lot::Mutex;
use runtime::Stage;
use runtime::clock::SharedClock;
use runtime::metrics::Registry;
use runtime::room::Room;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Scrapes all targets of all jobs. Calls take effect at once; loops run in the stage until its token is cancelled.
pub struct ScrapeManager {
    stage: Stage,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    pools: BTreeMap<String, Pool>,
    /// Targets of jobs that are not configured (yet): discovery may be ahead of a reload.
    early: HashMap<String, Vec<Arc<TargetGroup>>>,
}

impl ScrapeManager {
    /// A manager without jobs. `bodies` bounds what answers may have in memory until they are stored. Calls that start loops need the runtime of the stage's tasks around them.
    pub fn new(
        stage: Stage,
        appendable: Arc<dyn Appendable>,
        clock: SharedClock,
        registry: &Registry,
        bodies: Room,
    ) -> Self {
        let metrics = Metrics::new(registry);
        let tolerance_ms = DEFAULT_TOLERANCE_MS.into();
        let buffers = Buffers::new(&bodies);
        let shared = Shared {
            appendable,
            clock,
            metrics,
            buffers,
            bodies,
            tolerance_ms,
            remembered: Default::default(),
        };
        ScrapeManager { stage, shared: Arc::new(shared), inner: Mutex::default() }
    }

    /// Bytes that are remembered of the targets' series, beside what storage holds.
    pub fn remembered_bytes(&self) -> usize {
        self.shared.remembered.load(Ordering::Relaxed)
    }

    /// By how much timestamps may be moved onto the grid of a target, milliseconds (2 at first, 0 for not at all); never more
    /// than a hundredth of its interval.
    pub fn set_timestamp_tolerance(&self, ms: i64) {
        self.shared.tolerance_ms.store(ms, Ordering::Relaxed);
    }

    /// These are the jobs now (see [`Job::all`]). Loops of jobs that did not change go on undisturbed; those of changed jobs
    /// go on with the new settings and what they know of their series; those of gone jobs end.
    pub fn apply(&self, jobs: Vec<Job>) {
        let mut inner = self.inner.lock();
        let mut before = std::mem::take(&mut inner.pools);
        for job in jobs.into_iter().map(Arc::new) {
            let name = job.name.clone();
            let pool = match before.remove(&name) {
                Some(mut pool) => {
                    pool.reload(job);
                    pool
                }
                None => {
                    let mut pool = Pool::new(job, self.stage.clone(), self.shared.clone());
                    if let Some(groups) = inner.early.remove(&name) {
                        pool.update(groups);
                    }
                    pool
                }
            };
            inner.pools.insert(name, pool);
        }
        before.into_values().for_each(Pool::end);
    }

    /// These are the targets of the named jobs now; other jobs keep theirs.
    pub fn update_targets(&self, targets: HashMap<String, Vec<Arc<TargetGroup>>>) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        for (job, groups) in targets {
            match inner.pools.get_mut(&job) {
                Some(pool) => pool.update(groups),
                None => {
                    inner.early.insert(job, groups);
                }
            }
        }
    }

    /// All targets as they are now.
    pub fn targets(&self) -> Targets {
        let inner = self.inner.lock();
        let mut all = Targets::default();
        for (name, pool) in &inner.pools {
            all.active.extend(pool.scrapers().iter().map(|s| s.snapshot()));
            let (dropped, count) = pool.dropped();
            all.dropped.extend(dropped.cloned());
            all.dropped_counts.insert(name.clone(), count);
            all.rejected.extend(pool.rejected().cloned());
        }
        all
    }

    /// The names of the jobs.
    pub fn pools(&self) -> Vec<String> {
        self.inner.lock().pools.keys().cloned().collect()
    }

    /// What the targets say about their metrics.
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        let scrapers: Vec<_> = self.inner.lock().pools.values().flat_map(Pool::scrapers).collect();
        scrapers.iter().map(|s| s.metadata()).collect()
    }

    /// Scrapes every target once, now, one after another; samples get the time `at` (milliseconds). Besides the loops: for
    /// tests and tools that decide themselves when to scrape.
    pub async fn scrape_once(&self, at: i64) {
        let scrapers: Vec<_> = self.inner.lock().pools.values().flat_map(Pool::scrapers).collect();
        for scraper in scrapers {
            scraper.scrape_once(at).await;
        }
    }
}
