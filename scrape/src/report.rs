//! The samples about a scrape: `up` and the others.

use crate::append::{AppendError, Appender, SeriesRef};
use crate::job::Job;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, STALE_NAN};

/// What is said about a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) up: bool,
    /// Seconds.
    pub(crate) duration: f64,
    pub(crate) scraped: u64,
    pub(crate) kept: u64,
    pub(crate) added: u64,
    /// Bytes; -1 where the answer was longer than allowed.
    pub(crate) body_size: f64,
    /// Seconds.
    pub(crate) timeout: f64,
    pub(crate) sample_limit: u64,
}

const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
const EXTRA_NAMES: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// The report's series of a target.
#[derive(Debug)]
pub(crate) struct Reporter(Vec<(SeriesRef, Labels)>);

impl Reporter {
    /// Series with the target's labels.
    pub(crate) fn new(target: &Labels, job: &Job) -> Self {
        let extra = if job.extra_scrape_metrics { &EXTRA_NAMES[..] } else { &[] };
        let series = NAMES.iter().chain(extra).map(|name| {
            let labels = LabelsBuilder::new(target).set(METRIC_NAME, *name).finish();
            (SeriesRef::default(), labels)
        });
        Reporter(series.collect())
    }

    /// Appends the report.
    pub(crate) fn append(
        &mut self,
        report: &Report,
        to: &mut dyn Appender,
        at: i64,
    ) -> Result<(), AppendError> {
        let values = [
            f64::from(u8::from(report.up)),
            report.duration,
            report.scraped as f64,
            report.kept as f64,
            report.added as f64,
            report.timeout,
            report.sample_limit as f64,
            report.body_size,
        ];
        self.write(values, to, at)
    }

    /// Marks the report's series stale.
    pub(crate) fn end(&mut self, to: &mut dyn Appender, at: i64) -> Result<(), AppendError> {
        self.write([STALE_NAN; NAMES.len() + EXTRA_NAMES.len()], to, at)
    }

    fn write(
        &mut self,
        values: [f64; NAMES.len() + EXTRA_NAMES.len()],
        to: &mut dyn Appender,
        at: i64,
    ) -> Result<(), AppendError> {
        for ((series, labels), value) in self.0.iter_mut().zip(values) {
            match to.append_report(*series, &|| labels.clone(), at, value) {
                Ok(reference) => *series = reference,
                Err(e @ (AppendError::Storage(_) | AppendError::InvalidLabels(_))) => return Err(e),
                // another scraper of the same series was there first: not worth a failed scrape
                Err(_) => {}
            }
        }
        Ok(())
    }
}
