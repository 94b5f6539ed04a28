//! One target: fetch, store, report; what it remembers between scrapes.

use crate::append::{AppendError, Appendable, Appender, LazyLabels, SeriesRef};
use crate::cache::{Cache, Id};
use crate::fetch::{self, Bounds, Fetched};
use crate::inflate::Buffers;
use crate::ingest::{self, Answer, Counts, Known};
use crate::job::Job;
use crate::labels;
use crate::metrics::Metrics;
use crate::report::{Report, Reporter};
use crate::status::{ActiveTarget, Health, TargetMetadata};
use crate::target::Target;
use http::HeaderMap;
use model::{Labels, STALE_NAN};
use parking_lot::Mutex;
use runtime::clock::SharedClock;
use runtime::room::Room;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// What all scrapers share.
pub(crate) struct Shared {
    pub(crate) appendable: Arc<dyn Appendable>,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Metrics,
    pub(crate) buffers: Buffers,
    /// What all bodies together may have in memory.
    pub(crate) bodies: Room,
    /// Bytes that all scrapers remember of their series.
    pub(crate) remembered: AtomicUsize,
    /// By how much timestamps may be moved, milliseconds.
    pub(crate) tolerance_ms: AtomicI64,
}

/// Why a scrape failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to parse came.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// What came could not be stored.
    #[error(transparent)]
    Ingest(#[from] ingest::Error),
    /// The job as a whole is not scraped.
    #[error("{0}")]
    Forbidden(String),
}

/// Scrapes one target.
pub(crate) struct Scraper {
    pub(crate) target: Target,
    job: Arc<Job>,
    shared: Arc<Shared>,
    headers: HeaderMap,
    state: Mutex<State>,
    status: Mutex<Status>,
}

/// What is kept between scrapes.
struct State {
    known: Known,
    reporter: Reporter,
    /// Series of the configuration before, to be marked stale unless this one has them too.
    orphans: Vec<(SeriesRef, Labels)>,
    /// Another scraper went on with this one's state.
    retired: bool,
    /// Bytes of `known`, as they stand in the sum of all scrapers.
    remembered: usize,
}

#[derive(Debug, Default)]
struct Status {
    discovered: Labels,
    forbidden: Option<String>,
    health: Health,
    last_error: String,
    last_scrape_ms: Option<i64>,
    last_duration: f64,
}

impl Scraper {
    pub(crate) fn new(target: Target, discovered: Labels, job: Arc<Job>, shared: Arc<Shared>) -> Self {
        let headers = fetch::headers(&job, target.timeout_ms);
        let state = State {
            known: Known::default(),
            reporter: Reporter::new(&target.labels, &job),
            orphans: Vec::new(),
            retired: false,
            remembered: 0,
        };
        let status = Mutex::new(Status { discovered, ..Status::default() });
        Scraper { target, job, shared, headers, state: Mutex::new(state), status }
    }

    /// A scraper of the same target (in another place, or at other times) for a changed job; takes over what this one knows,
    /// which then stores nothing any more.
    pub(crate) fn succeed(&self, target: Target, job: Arc<Job>) -> Self {
        let discovered = self.status.lock().discovered.clone();
        let next = Scraper::new(target, discovered, job.clone(), self.shared.clone());
        let mut state = self.state.lock();
        state.retired = true;
        let known = std::mem::take(&mut state.known);
        {
            let mut next = next.state.lock();
            if job.labels_as(&self.job) {
                next.known = known;
                next.orphans = std::mem::take(&mut state.orphans);
            } else {
                let cache = &known.cache;
                let orphan = |id| (cache.series(id).0, self.labels_of(cache, id));
                next.orphans = cache.live().map(orphan).collect();
            }
        }
        drop(state);
        {
            let (old, mut new) = (self.status.lock(), next.status.lock());
            new.health = old.health;
            new.last_error.clone_from(&old.last_error);
            (new.last_scrape_ms, new.last_duration) = (old.last_scrape_ms, old.last_duration);
        }
        next
    }

    /// The labels that discovery gives now.
    pub(crate) fn set_discovered(&self, discovered: Labels) {
        self.status.lock().discovered = discovered;
    }

    /// Makes all scrapes fail with this reason, or none any more.
    pub(crate) fn forbid(&self, why: Option<String>) {
        self.status.lock().forbidden = why;
    }

    /// One scrape; its samples get the time `at` (milliseconds). Dropped before its end, nothing happened.
    pub(crate) async fn scrape_once(&self, at: i64) {
        let began = self.shared.clock.monotonic();
        let forbidden = self.status.lock().forbidden.clone();
        let fetched = match forbidden {
            Some(why) => Err(Error::Forbidden(why)),
            None => self.fetch().await.map_err(Error::Fetch),
        };
        let long = fetched.as_ref().is_ok_and(|f| f.body.len() > fetch::LONG);
        fetch::apart(long, || self.store(fetched, at, began));
    }

    async fn fetch(&self) -> Result<Fetched, fetch::Error> {
        let Scraper { target, job, shared, .. } = self;
        let timeout = Duration::from_millis(target.timeout_ms.max(0) as u64);
        let waits = AtomicBool::new(false);
        let bounds = Bounds { room: &shared.bodies, waits: &waits };
        let headers = self.headers.clone();
        let fetching = fetch::fetch(&job.client, &target.url, headers, job, &shared.buffers, &bounds);
        let fetched = tokio::time::timeout(timeout, fetching).await;
        fetched.unwrap_or_else(|_| match shared.bodies.total() {
            Some(all) if waits.load(Ordering::Relaxed) => Err(fetch::Error::NoRoom(all)),
            _ => Err(fetch::Error::Timeout {
                url: target.url.to_string(),
                timeout: model::duration::format_ms(target.timeout_ms),
            }),
        })
    }

    /// Parses and appends without a pause in between: all of it is one batch.
    fn store(&self, fetched: Result<Fetched, Error>, at: i64, began: Duration) {
        let mut state = self.state.lock();
        if state.retired {
            return;
        }
        let too_long =
            matches!(fetched, Err(Error::Fetch(fetch::Error::BodySize(_) | fetch::Error::BodyBudget(_))));
        let body_size = fetched.as_ref().map_or(0.0, |f| f.body.len() as f64);
        let mut counts = Counts::default();
        let mut report = Report {
            body_size: if too_long { -1.0 } else { body_size },
            timeout: self.target.timeout_ms as f64 / 1000.0,
            sample_limit: self.job.limits.samples,
            ..Report::default()
        };
        let stored = fetched.and_then(|fetched| {
            let stored = self.store_body(&mut state, &fetched, at, &mut counts, &mut report, began);
            self.shared.buffers.put_body(fetched.body);
            drop(fetched.held);
            stored.map_err(Error::Ingest)
        });
        let failure = stored.err();
        if let Some(failure) = &failure {
            report.up = false;
            self.store_failure(&mut state, at, &mut report, began);
            self.count_failure(failure);
        }
        state.note_size(&self.shared.remembered);
        drop(state);
        self.count(&counts);
        let said = match failure {
            Some(failure) => failure.to_string(),
            None if counts.refused > 0 => {
                format!("{} new series refused: {}", counts.refused, counts.why_refused)
            }
            None => String::new(),
        };
        self.finish(report.up, said, at, report.duration);
    }

    fn store_body(
        &self,
        state: &mut State,
        fetched: &Fetched,
        at: i64,
        counts: &mut Counts,
        report: &mut Report,
        began: Duration,
    ) -> Result<(), ingest::Error> {
        let answer = Answer {
            job: &self.job,
            target: &self.target.labels,
            body: &fetched.body,
            format: fetched.format,
            at,
        };
        let mut batch = self.shared.appendable.appender_of(state.known.cache.len());
        let appended = answer.append(&mut state.known, batch.as_mut(), counts);
        (report.scraped, report.kept, report.added) = (counts.scraped, counts.kept, counts.added);
        appended?;
        let cache = &state.known.cache;
        self.mark_stale(cache, cache.gone(), batch.as_mut(), at)?;
        if !state.orphans.is_empty() {
            let kept: FxHashSet<Labels> = cache.stored().map(|id| self.labels_of(cache, id)).collect();
            mark_orphans(state.orphans.iter().filter(|(_, l)| !kept.contains(l)), batch.as_mut(), at)?;
        }
        (report.up, report.duration) = (true, self.since(began));
        state.reporter.append(report, batch.as_mut(), at)?;
        batch.commit()?;
        state.known.cache.commit();
        state.known.metadata.commit();
        state.reporter.commit();
        state.orphans.clear();
        Ok(())
    }

    /// The final labels of a series that is stored.
    fn labels_of(&self, cache: &Cache, id: Id) -> Labels {
        labels::of(&cache.series(id).1.to_vec(), &self.target.labels, &self.job)
    }

    fn mark_stale(
        &self,
        cache: &Cache,
        series: impl Iterator<Item = Id>,
        to: &mut dyn Appender,
        at: i64,
    ) -> Result<(), AppendError> {
        for id in series {
            mark_one(to, cache.series(id).0, &|| self.labels_of(cache, id), at)?;
        }
        Ok(())
    }

    /// Instead of samples: marks of staleness for all that was there.
    fn store_failure(&self, state: &mut State, at: i64, report: &mut Report, began: Duration) {
        state.known.cache.abandon();
        let mut batch = self.shared.appendable.appender();
        report.duration = self.since(began);
        let cache = &state.known.cache;
        let stored = self
            .mark_stale(cache, cache.live(), batch.as_mut(), at)
            .and_then(|()| mark_orphans(state.orphans.iter(), batch.as_mut(), at))
            .and_then(|()| state.reporter.append(report, batch.as_mut(), at))
            .and_then(|()| batch.commit());
        match stored {
            Ok(()) => {
                state.known.cache.rest();
                state.reporter.commit();
                state.orphans.clear();
            }
            // the marks are tried again with the next scrape
            Err(error) => {
                tracing::error!(pool = self.job.name, url = %self.target.url, %error, "storing a scrape's report failed");
            }
        }
    }

    /// The target is gone: marks all its series stale.
    pub(crate) fn end(&self, at: i64) {
        let mut state = self.state.lock();
        if state.retired || self.status.lock().last_scrape_ms.is_none() {
            return;
        }
        state.retired = true;
        let mut batch = self.shared.appendable.appender();
        let state = &mut *state;
        let cache = &state.known.cache;
        let stored = self
            .mark_stale(cache, cache.live(), batch.as_mut(), at)
            .and_then(|()| mark_orphans(state.orphans.iter(), batch.as_mut(), at))
            .and_then(|()| state.reporter.end(batch.as_mut(), at))
            .and_then(|()| batch.commit());
        if let Err(error) = stored {
            tracing::error!(pool = self.job.name, url = %self.target.url, %error, "marking a gone target stale failed");
        }
    }

    fn since(&self, began: Duration) -> f64 {
        self.shared.clock.monotonic().saturating_sub(began).as_secs_f64()
    }

    /// `said`: why the scrape failed, or what of it was refused.
    fn finish(&self, up: bool, said: String, at: i64, duration: f64) {
        let mut status = self.status.lock();
        status.last_scrape_ms = Some(at);
        status.last_duration = duration;
        status.health = if up { Health::Up } else { Health::Down };
        status.last_error = said;
        if !status.last_error.is_empty() {
            let error = status.last_error.as_str();
            tracing::debug!(pool = self.job.name, url = %self.target.url, up, error, "not all of a scrape is stored");
        }
    }

    fn count_failure(&self, failure: &Error) {
        let metrics = &self.shared.metrics;
        match failure {
            Error::Fetch(fetch::Error::BodySize(_) | fetch::Error::BodyBudget(_)) => {
                metrics.exceeded_body_size.inc()
            }
            Error::Ingest(ingest::Error::SampleLimit { .. }) => metrics.exceeded_samples.inc(),
            _ => {}
        }
    }

    /// Counts refused samples, and logs them once a scrape.
    fn count(&self, counts: &Counts) {
        let metrics = &self.shared.metrics;
        // not logged here: where the head is full, all scrapes have some
        metrics.refused_series.add(counts.refused as f64);
        for (count, counter, what) in [
            (counts.out_of_order, &metrics.out_of_order, "out-of-order samples"),
            (counts.duplicate, &metrics.duplicate, "samples with different value but same timestamp"),
            (
                counts.out_of_bounds,
                &metrics.out_of_bounds,
                "samples with timestamp too far in the past or future",
            ),
            (counts.too_old, &metrics.too_old, "samples older than the out-of-order window"),
        ] {
            if count > 0 {
                counter.add(count as f64);
                tracing::warn!(pool = self.job.name, url = %self.target.url, count, "refused {what}");
            }
        }
    }

    /// What it looks like now.
    pub(crate) fn snapshot(&self) -> ActiveTarget {
        let status = self.status.lock();
        ActiveTarget {
            discovered: status.discovered.clone(),
            labels: self.target.labels.clone(),
            pool: self.job.name.clone(),
            scrape_url: self.target.url.to_string(),
            last_error: status.last_error.clone(),
            last_scrape_ms: status.last_scrape_ms,
            last_scrape_duration: status.last_duration,
            health: status.health,
            interval_ms: self.target.interval_ms,
            timeout_ms: self.target.timeout_ms,
        }
    }

    /// What it says about its metrics.
    pub(crate) fn metadata(&self) -> TargetMetadata {
        let metrics = self.state.lock().known.metadata.snapshot();
        TargetMetadata { target: self.target.labels.clone(), metrics }
    }
}

impl State {
    /// Puts the bytes of what is known into the sum of all scrapers.
    fn note_size(&mut self, sum: &AtomicUsize) {
        let bytes = self.known.cache.bytes() + self.known.metadata.bytes();
        sum.fetch_add(bytes, Ordering::Relaxed);
        sum.fetch_sub(std::mem::replace(&mut self.remembered, bytes), Ordering::Relaxed);
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.shared.remembered.fetch_sub(self.state.get_mut().remembered, Ordering::Relaxed);
    }
}

fn mark_orphans<'a>(
    orphans: impl Iterator<Item = &'a (SeriesRef, Labels)>,
    to: &mut dyn Appender,
    at: i64,
) -> Result<(), AppendError> {
    for (reference, labels) in orphans {
        mark_one(to, *reference, &|| labels.clone(), at)?;
    }
    Ok(())
}

fn mark_one(
    to: &mut dyn Appender,
    series: SeriesRef,
    labels: LazyLabels<'_>,
    at: i64,
) -> Result<(), AppendError> {
    match to.append(series, labels, at, STALE_NAN) {
        Err(e @ (AppendError::Storage(_) | AppendError::InvalidLabels(_))) => Err(e),
        // the others say that a newer sample is there: someone else writes this series now
        _ => Ok(()),
    }
}
