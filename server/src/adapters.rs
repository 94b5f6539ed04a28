//! Joins the stages' traits to the database: the only file that knows both sides.

use crate::gate::{Gate, Sizes};
use exposition::MetricType;
use model::{FloatHistogram, Labels, Matcher};
use promql::engine::Held;
use promql::storage::{Queryable, SampleBuffer, SelectHints, Selection, Series, StorageError};
use scrape::append::{AppendError, Appendable, Appender, Description, LazyLabels, SeriesRef};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The database as the query engine reads it.
pub(crate) struct TsdbQueryable {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) engine: Arc<promql::Engine>,
}

/// What a selected series takes: its labels, where its chunks are, a copy of the one that grows; bytes, about.
const SELECTED_BYTES: usize = 500;
/// The part of it that the engine does not count itself.
const UNCOUNTED_BYTES: usize = 250;
/// So many times all series of the head, selected, must fit into what queries may still hold; else each selection is counted first.
const EASY: usize = 4;

/// How an error begins that says that there is no memory for a selection: as the engine's own does.
pub(crate) const OVER_BUDGET: &str = "all queries together need more than their memory budget";

impl TsdbQueryable {
    /// Memory for a selection, taken before it is made; none where there is plenty.
    fn hold(
        &self,
        querier: &tsdb::Querier,
        matchers: &[Matcher],
        hints: &SelectHints,
    ) -> Result<Option<(Held, usize)>, StorageError> {
        let budget = self.engine.options().memory_budget;
        let metrics = self.db.metrics();
        let series =
            metrics.series_created.load(Relaxed).saturating_sub(metrics.series_removed.load(Relaxed));
        let worst = (series as usize).saturating_mul(SELECTED_BYTES * EASY);
        if budget == 0 || worst < budget.saturating_sub(self.engine.held_bytes()) {
            return Ok(None);
        }
        let count = querier.count(matchers, hints.start, hints.end).map_err(storage_error)?;
        let held = self.engine.hold(count * SELECTED_BYTES, "the list of selected series");
        held.map(|held| Some((held, count))).map_err(|e| StorageError(e.to_string()))
    }
}

/// A query that reaches into what is still being replayed waits this long for the rest, before it answers with a warning: after
/// most restarts nobody sees a gap, and after the longest nobody waits in vain.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

impl Queryable for TsdbQueryable {
    fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Selection, StorageError> {
        let select = |querier: &tsdb::Querier| {
            let found = match hints.latest {
                true => querier.select_latest(matchers, hints.start, hints.end),
                false => querier.select(matchers, hints.start, hints.end),
            };
            found.map_err(storage_error)
        };
        let mut querier = self.db.querier();
        let held = self.hold(&querier, matchers, hints)?;
        let mut found = select(&querier)?;
        if !querier.warnings().is_empty() && self.db.wait_for_replay(REPLAY_PATIENCE) {
            querier = self.db.querier();
            found = select(&querier)?;
        }
        // the engine counts a part of it from here on
        let held = held.map(|(mut held, count)| {
            held.shrink_to(count * UNCOUNTED_BYTES);
            Arc::new(held)
        });
        let series = found
            .into_iter()
            .map(|entry| Arc::new(TsdbSeries { entry, _held: held.clone() }) as Arc<dyn Series>)
            .collect();
        Ok(Selection { series, warnings: querier.warnings() })
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Option<Vec<String>>, StorageError> {
        let found = self.db.querier().label_values(name, matchers, i64::MIN, i64::MAX, MOST_VALUES);
        found.map(Some).map_err(storage_error)
    }
}

/// Values of a label that are looked through for a hint.
const MOST_VALUES: usize = 100_000;

fn storage_error(error: tsdb::Error) -> StorageError {
    StorageError(error.to_string())
}

struct TsdbSeries {
    entry: tsdb::SeriesEntry,
    _held: Option<Arc<Held>>,
}

impl Series for TsdbSeries {
    fn labels(&self) -> &Labels {
        self.entry.labels()
    }

    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
        let mut columns = tsdb::FloatColumns {
            ts: std::mem::take(&mut out.timestamps),
            vs: std::mem::take(&mut out.values),
            histograms: std::mem::take(&mut out.histograms),
            starts: std::mem::take(&mut out.starts),
        };
        let read = self.entry.read_columns(mint, maxt, &mut columns);
        let tsdb::FloatColumns { ts, vs, histograms, starts } = columns;
        *out = SampleBuffer { timestamps: ts, values: vs, histograms, starts };
        read.map_err(storage_error)
    }
}

/// The database as scraping appends to it.
pub(crate) struct TsdbAppendable {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) gate: Arc<Gate>,
}

impl Appendable for TsdbAppendable {
    fn appender(&self) -> Box<dyn Appender> {
        self.appender_of(0)
    }

    fn appender_of(&self, series: usize) -> Box<dyn Appender> {
        Box::new(TsdbAppender { to: self.db.appender(), gate: self.gate.clone(), series })
    }
}

struct TsdbAppender {
    to: tsdb::Appender,
    gate: Arc<Gate>,
    /// Series of the target: those known before, and those of this batch.
    series: usize,
}

impl TsdbAppender {
    /// Whether a sample with these labels may make its series.
    fn admit(&mut self, labels: &Labels) -> Result<(), AppendError> {
        self.series += 1;
        if self.gate.admits(self.series) || self.to.reference_of(labels).is_some() {
            return Ok(());
        }
        Err(AppendError::Full(self.gate.refuse()))
    }
}

fn append_error(error: tsdb::AppendError) -> AppendError {
    match error {
        tsdb::AppendError::OutOfOrder => AppendError::OutOfOrder,
        tsdb::AppendError::Duplicate => AppendError::Duplicate,
        tsdb::AppendError::OutOfBounds => AppendError::OutOfBounds,
        tsdb::AppendError::TooOld => AppendError::TooOld,
        tsdb::AppendError::InvalidLabels(why) => AppendError::InvalidLabels(why),
        tsdb::AppendError::InvalidHistogram(_)
        | tsdb::AppendError::OutOfOrderExemplar
        | tsdb::AppendError::ExemplarLabelsTooLong
        | tsdb::AppendError::UnknownSeries => AppendError::Storage(error.to_string()),
        tsdb::AppendError::Storage(why) => AppendError::Storage(why),
    }
}

fn metric_kind(kind: MetricType) -> tsdb::MetricKind {
    match kind {
        MetricType::Counter => tsdb::MetricKind::COUNTER,
        MetricType::Gauge => tsdb::MetricKind::GAUGE,
        MetricType::Histogram => tsdb::MetricKind::HISTOGRAM,
        MetricType::GaugeHistogram => tsdb::MetricKind::GAUGE_HISTOGRAM,
        MetricType::Summary => tsdb::MetricKind::SUMMARY,
        MetricType::Info => tsdb::MetricKind::INFO,
        MetricType::Stateset => tsdb::MetricKind::STATE_SET,
        MetricType::Unknown => tsdb::MetricKind::UNKNOWN,
    }
}

impl Appender for TsdbAppender {
    fn append(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        if let Some(result) = self.to.append_known(series.0, t, v) {
            return result.map(|()| series).map_err(append_error);
        }
        let labels = labels();
        self.admit(&labels)?;
        self.to.append(0, &labels, t, v).map(SeriesRef).map_err(append_error)
    }

    fn append_report(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        self.to.append(series.0, &labels(), t, v).map(SeriesRef).map_err(append_error)
    }

    fn append_histogram(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        h: &FloatHistogram,
    ) -> Result<SeriesRef, AppendError> {
        let (h, labels) = (h.clone().into(), labels());
        // a reference may be one of a series that has left: whether it has is looked at only where it matters
        if series.0 == 0 || self.gate.is_closed() {
            self.admit(&labels)?;
        }
        self.to.append_histogram(series.0, &labels, t, &h).map(SeriesRef).map_err(append_error)
    }

    fn takes_descriptions(&self) -> bool {
        self.to.takes_metadata()
    }

    fn describe(&mut self, series: SeriesRef, labels: &Labels, description: Description<'_>) {
        let Description { kind, unit, help } = description;
        let metadata =
            tsdb::Metadata { kind: metric_kind(kind), unit: unit.to_owned(), help: help.to_owned() };
        if let Err(error) = self.to.describe(series.0, labels, &metadata) {
            tracing::debug!(%error, series = %labels, "what a series is cannot be logged");
        }
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        self.to.commit().map_err(append_error)
    }
}

/// What the gate holds against the head's budget: the head, and what scraping and remote write remember of its series.
pub(crate) struct Remembered {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) scrape: Arc<OnceLock<std::sync::Weak<scrape::ScrapeManager>>>,
    pub(crate) write: Arc<crate::api::RefCache>,
}

impl Sizes for Remembered {
    fn head(&self) -> tsdb::HeadBytes {
        self.db.head_bytes()
    }

    fn beside(&self) -> usize {
        let scrape = self.scrape.get().and_then(std::sync::Weak::upgrade);
        scrape.map_or(0, |s| s.remembered_bytes()) + self.write.bytes()
    }
}
