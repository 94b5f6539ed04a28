//! The samples about a scrape: `up` and the others.

use crate::append::{AppendError, Appender, Description, SeriesRef};
use crate::job::Job;
use exposition::MetricType;
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

/// Name, unit and meaning of a series.
type Series = (&'static str, &'static str, &'static str);

const SERIES: [Series; 5] = [
    ("up", "targets", "Whether the last scrape of the target succeeded: 1, or 0."),
    ("scrape_duration_seconds", "seconds", "How long the last scrape took, in seconds."),
    ("scrape_samples_scraped", "samples", "Samples that the target gave."),
    ("scrape_samples_post_metric_relabeling", "samples", "Samples that were left after metric relabelling."),
    ("scrape_series_added", "series", "Series of the last scrape that were new, about."),
];
const EXTRA_SERIES: [Series; 3] = [
    ("scrape_timeout_seconds", "seconds", "How long a scrape of the target may take, in seconds."),
    ("scrape_sample_limit", "samples", "Samples that the target may give; 0: any number."),
    ("scrape_body_size_bytes", "bytes", "Bytes of the last answer, uncompressed; -1: more than allowed."),
];
const MOST: usize = SERIES.len() + EXTRA_SERIES.len();

/// The report's series of a target.
#[derive(Debug)]
pub(crate) struct Reporter {
    series: Vec<(SeriesRef, Labels)>,
    /// Whether the storage has been told what they are.
    described: bool,
}

impl Reporter {
    /// Series with the target's labels.
    pub(crate) fn new(target: &Labels, job: &Job) -> Self {
        let extra = if job.extra_scrape_metrics { &EXTRA_SERIES[..] } else { &[] };
        let series = SERIES.iter().chain(extra).map(|(name, ..)| {
            let labels = LabelsBuilder::new(target).set(METRIC_NAME, *name).finish();
            (SeriesRef::default(), labels)
        });
        Reporter { series: series.collect(), described: false }
    }

    /// The batch with the report was stored.
    pub(crate) fn commit(&mut self) {
        self.described = true;
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
        self.write([STALE_NAN; MOST], to, at)
    }

    fn write(&mut self, values: [f64; MOST], to: &mut dyn Appender, at: i64) -> Result<(), AppendError> {
        let wanted = to.takes_descriptions();
        let all = SERIES.iter().chain(&EXTRA_SERIES);
        for (((series, labels), value), (_, unit, help)) in self.series.iter_mut().zip(values).zip(all) {
            match to.append_report(*series, &|| labels.clone(), at, value) {
                Ok(reference) => {
                    // one that had left the storage is new to it
                    if wanted && (!self.described || reference != *series) {
                        to.describe(reference, labels, Description { kind: MetricType::Gauge, unit, help });
                    }
                    *series = reference;
                }
                Err(e @ (AppendError::Storage(_) | AppendError::InvalidLabels(_))) => return Err(e),
                // another scraper of the same series was there first: not worth a failed scrape
                Err(_) => {}
            }
        }
        Ok(())
    }
}
