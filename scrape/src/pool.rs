//! The targets of one job, each with a loop.

use crate::job::Job;
use crate::scraper::{Scraper, Shared};
use crate::status::{DroppedTarget, RejectedTarget};
use crate::target::{self, Resolved, Target};
use crate::timing::Grid;
use discovery::TargetGroup;
use model::Labels;
use runtime::{CancellationToken, Stage};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A job and its loops.
pub(crate) struct Pool {
    job: Arc<Job>,
    stage: Stage,
    shared: Arc<Shared>,
    loops: FxHashMap<Labels, Loop>,
    /// In the order of discovery, with what they come to: a changed group alone is worked out anew.
    groups: Vec<(Arc<TargetGroup>, Resolved)>,
}

/// A running loop.
struct Loop {
    scraper: Arc<Scraper>,
    stop: CancellationToken,
    /// Whether series are marked stale after the end.
    mark: Arc<AtomicBool>,
}

impl Pool {
    /// A pool without targets.
    pub(crate) fn new(job: Arc<Job>, stage: Stage, shared: Arc<Shared>) -> Self {
        shared.metrics.pools.inc();
        let limit = job.limits.targets as f64;
        shared.metrics.pool_target_limit.with(&[&job.name]).set(limit);
        Pool { job, stage, shared, loops: FxHashMap::default(), groups: Vec::new() }
    }

    /// The job changed, perhaps. Loops go on where nothing of theirs did; the others are replaced and keep what they know.
    pub(crate) fn reload(&mut self, job: Arc<Job>) {
        let keeps = job.scrapes_as(&self.job);
        self.job = job;
        self.shared.metrics.pool_reloads.inc();
        self.shared.metrics.pool_target_limit.with(&[&self.job.name]).set(self.job.limits.targets as f64);
        let groups = std::mem::take(&mut self.groups).into_iter().map(|(group, _)| group).collect();
        self.resolve(groups);
        self.synchronise(!keeps);
    }

    /// Discovery gives these groups now.
    pub(crate) fn update(&mut self, groups: Vec<Arc<TargetGroup>>) {
        self.resolve(groups);
        self.synchronise(false);
    }

    fn resolve(&mut self, groups: Vec<Arc<TargetGroup>>) {
        let before = std::mem::take(&mut self.groups).into_iter();
        // groups are shared, so an unchanged one is the same allocation
        let mut before: FxHashMap<_, _> = before.map(|known| (Arc::as_ptr(&known.0), known)).collect();
        let known: Vec<_> = groups.iter().map(|group| before.remove(&Arc::as_ptr(group))).collect();
        let mut kept: usize = known.iter().flatten().map(|(_, resolved)| resolved.dropped.len()).sum();
        let most = match self.job.limits.keep_dropped_targets {
            0 => usize::MAX,
            limit => limit as usize,
        };
        for (group, known) in groups.into_iter().zip(known) {
            let entry = known.unwrap_or_else(|| {
                let resolved = target::resolve(&group, &self.job, most.saturating_sub(kept));
                kept += resolved.dropped.len();
                for rejected in &resolved.rejected {
                    let (labels, reason) = (&rejected.discovered, &rejected.reason);
                    tracing::error!(pool = self.job.name, %labels, reason, "target cannot be scraped");
                }
                (group, resolved)
            });
            self.groups.push(entry);
        }
    }

    /// Starts loops of new targets, ends those of gone ones, and replaces those that are to be fetched in another way (all,
    /// with `replace`). Of equal targets one is scraped.
    fn synchronise(&mut self, replace: bool) {
        let mut loops = FxHashMap::default();
        let mut new: FxHashMap<&Labels, (&Target, &Labels)> = FxHashMap::default();
        for (target, discovered) in self.groups.iter().flat_map(|(_, resolved)| &resolved.targets) {
            if let Some((key, mut running)) = self.loops.remove_entry(&target.key) {
                if replace || running.scraper.target != *target {
                    running.stop.cancel();
                    let next = running.scraper.succeed(target.clone(), self.job.clone());
                    running = start(&self.stage, &self.shared, Arc::new(next), None);
                }
                running.scraper.set_discovered(discovered.clone());
                loops.insert(key, running);
            } else if !loops.contains_key(&target.key) {
                new.entry(&target.key).or_insert((target, discovered));
            }
        }
        let count = new.len();
        for (key, (target, discovered)) in new {
            let (job, shared) = (self.job.clone(), self.shared.clone());
            let scraper = Arc::new(Scraper::new(target.clone(), discovered.clone(), job, shared));
            loops.insert(key.clone(), start(&self.stage, &self.shared, scraper, Some(count)));
        }
        for gone in std::mem::replace(&mut self.loops, loops).into_values() {
            gone.end();
        }
        self.limit();
    }

    /// The targets that relabelling dropped, as many as are kept, and how many there are.
    pub(crate) fn dropped(&self) -> (impl Iterator<Item = &DroppedTarget>, usize) {
        let count = self.groups.iter().map(|(_, resolved)| resolved.dropped_count).sum();
        (self.groups.iter().flat_map(|(_, resolved)| &resolved.dropped), count)
    }

    /// The targets that cannot be scraped.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = &RejectedTarget> {
        self.groups.iter().flat_map(|(_, resolved)| &resolved.rejected)
    }

    /// Over the limit no target of the job is scraped: which ones should be?
    fn limit(&self) {
        let (count, limit) = (self.loops.len() as u64, self.job.limits.targets);
        let metrics = &self.shared.metrics;
        metrics.pool_targets.with(&[&self.job.name]).set(count as f64);
        metrics.pool_syncs.with(&[&self.job.name]).inc();
        let why = (limit > 0 && count > limit)
            .then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
        if why.is_some() {
            metrics.pool_exceeded_target_limit.inc();
        }
        for running in self.loops.values() {
            running.scraper.forbid(why.clone());
        }
    }

    /// The scrapers, in the order of their labels.
    pub(crate) fn scrapers(&self) -> Vec<Arc<Scraper>> {
        let mut all: Vec<_> = self.loops.values().map(|l| l.scraper.clone()).collect();
        all.sort_by(|a, b| a.target.key.cmp(&b.target.key));
        all
    }

    /// The job is gone.
    pub(crate) fn end(self) {
        for gone in self.loops.into_values() {
            gone.end();
        }
        let metrics = &self.shared.metrics;
        metrics.pool_targets.remove(&[&self.job.name]);
        metrics.pool_target_limit.remove(&[&self.job.name]);
        metrics.pool_syncs.remove(&[&self.job.name]);
    }
}

impl Loop {
    /// Ends the loop of a target that is gone.
    fn end(self) {
        self.mark.store(true, Ordering::SeqCst);
        self.stop.cancel();
    }
}

/// Starts a loop: of one of so many new targets, or (`new` is none) in place of another.
fn start(stage: &Stage, shared: &Arc<Shared>, scraper: Arc<Scraper>, new: Option<usize>) -> Loop {
    let stop = stage.token().child_token();
    let mark = Arc::new(AtomicBool::new(false));
    let running = Loop { scraper: scraper.clone(), stop: stop.clone(), mark: mark.clone() };
    let (stage_stops, shared) = (stage.token(), shared.clone());
    stage.spawn(async move {
        let due = run(&scraper, &shared, &stop, new).await;
        if !mark.load(Ordering::SeqCst) || stage_stops.is_cancelled() {
            return;
        }
        // The target may come back under another name, so its series are marked only after the next two scrapes would have
        // been; the mark has the time of the first of them, so that a sample of the successor wins.
        let interval = scraper.target.interval_ms;
        let wait = (due - shared.clock.now_ms()).clamp(0, interval) + interval + interval / 10;
        tokio::select! {
            () = stage_stops.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(wait as u64)) => scraper.end(due),
        }
    });
    running
}

/// Scrapes until stopped; returns when the next scrape would have been.
async fn run(scraper: &Scraper, shared: &Shared, stop: &CancellationToken, new: Option<usize>) -> i64 {
    let interval = scraper.target.interval_ms;
    let spread = scraper.target.spread();
    let grid = Grid::new(interval, spread);
    let lengths = shared.metrics.interval_length.with(&[&model::duration::format_ms(interval)]);
    let now = shared.clock.now_ms();
    let mut due = new.map_or_else(|| grid.after(now), |new| now + grid.first_wait(spread, new));
    let mut last = None;
    loop {
        // a clock that was set back must not make the wait long
        let wait = (due - shared.clock.now_ms()).clamp(0, interval);
        tokio::select! {
            biased;
            () = stop.cancelled() => return due,
            () = tokio::time::sleep(Duration::from_millis(wait as u64)) => {}
        }
        let now = shared.clock.now_ms();
        let at = grid.align(due, now, shared.tolerance_ms.load(Ordering::Relaxed));
        if let Some(last) = last.replace(at) {
            lengths.observe((at - last) as f64 / 1000.0);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return grid.after(now),
            () = scraper.scrape_once(at) => {}
        }
        // not from `now`: a timer that fires a little early must not lead to the same point again
        due = grid.after(shared.clock.now_ms().max(at));
    }
}
