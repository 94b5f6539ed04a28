//! What the scraper tells about itself: for `/api/v1/targets`, `/api/v1/metadata` and the targets page.

use exposition::MetricType;
use model::Labels;
use std::collections::BTreeMap;

/// Whether the last scrape was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// Yes.
    Up,
    /// No.
    Down,
}

impl Health {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// A target that is scraped.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveTarget {
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    /// The job.
    pub pool: String,
    /// Where it is scraped.
    pub scrape_url: String,
    /// Why the last scrape failed, or what of it was refused, or "".
    pub last_error: String,
    /// Time of the last scrape, milliseconds since the Unix epoch.
    pub last_scrape_ms: Option<i64>,
    /// How long that took, seconds.
    pub last_scrape_duration: f64,
    /// How it went.
    pub health: Health,
    /// Time between scrapes, milliseconds.
    pub interval_ms: i64,
    /// Time for one scrape, milliseconds.
    pub timeout_ms: i64,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTarget {
    /// The job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered: Labels,
}

/// A target that cannot be scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedTarget {
    /// The job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Why not.
    pub reason: String,
}

/// All targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Those that are scraped, by job.
    pub active: Vec<ActiveTarget>,
    /// Those that relabelling dropped, as many as are kept.
    pub dropped: Vec<DroppedTarget>,
    /// How many were dropped, by job.
    pub dropped_counts: BTreeMap<String, usize>,
    /// Those that cannot be scraped.
    pub rejected: Vec<RejectedTarget>,
}

/// What a target says about one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricMetadata {
    /// The metric (family).
    pub metric: String,
    /// Its type.
    pub kind: MetricType,
    /// Its help.
    pub help: String,
    /// Its unit, or "".
    pub unit: String,
}

/// What a target says about its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetMetadata {
    /// The target's labels.
    pub target: Labels,
    /// Sorted by metric.
    pub metrics: Vec<MetricMetadata>,
}
