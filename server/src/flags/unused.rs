//! Flags of the original that are taken and have no effect yet: said at the start, never ignored in silence.

use super::{Bytes, Millis};
use clap::Args;
use std::path::PathBuf;

/// Under what heading they stand in the help.
pub(super) const HEADING: &str =
    "Taken, but without effect yet (the log at the start names those that are given)";

/// They have the original's defaults, as others read them at `/api/v1/status/flags`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = HEADING)]
pub(super) struct Unused {
    /// Reading the configuration anew when its file changes: send SIGHUP.
    #[arg(long = "config.auto-reload")]
    config_auto_reload: bool,
    /// How often that looks.
    #[arg(long = "config.auto-reload-interval", default_value = "30s")]
    config_auto_reload_interval: Millis,
    /// Threads of Go.
    #[arg(long = "auto-gomaxprocs", hide = true)]
    auto_gomaxprocs: bool,
    /// Memory of Go.
    #[arg(long = "auto-gomemlimit", hide = true)]
    auto_gomemlimit: bool,
    /// Its share.
    #[arg(long = "auto-gomemlimit.ratio", default_value = "0.9", hide = true)]
    auto_gomemlimit_ratio: f64,
    /// How often it is read.
    #[arg(long = "auto-gomemlimit.refresh-interval", default_value = "0s", hide = true)]
    auto_gomemlimit_refresh_interval: Millis,
    /// Followers of notifications.
    #[arg(long = "web.max-notifications-subscribers", default_value = "16")]
    web_max_notifications_subscribers: usize,
    /// Files of one's own beside the web app.
    #[arg(long = "web.user-assets")]
    web_user_assets: Option<PathBuf>,
    /// Versions of remote write that are accepted: 1.0 alone is.
    #[arg(
        long = "web.remote-write-receiver.accepted-protobuf-messages",
        default_value = "prometheus.WriteRequest",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    web_accepted_protobuf_messages: Vec<String>,
    /// Receiving OTLP.
    #[arg(long = "web.enable-otlp-receiver")]
    web_enable_otlp_receiver: bool,
    /// Console pages.
    #[arg(long = "web.console.templates", default_value = "consoles")]
    web_console_templates: PathBuf,
    /// Libraries of console pages.
    #[arg(long = "web.console.libraries", default_value = "console_libraries")]
    web_console_libraries: PathBuf,
    /// Size of chunk segments in blocks.
    #[arg(long = "storage.tsdb.max-block-chunk-segment-size", default_value = "512MiB", hide = true)]
    max_block_chunk_segment_size: Bytes,
    /// Going without a lock: the directory is always locked.
    #[arg(long = "storage.tsdb.no-lockfile")]
    no_lockfile: bool,
    /// A queue before head chunk files.
    #[arg(long = "storage.tsdb.head-chunks-write-queue-size", default_value = "0")]
    head_chunks_write_queue_size: i64,
    /// A random delay of compactions.
    #[arg(long = "storage.tsdb.delayed-compaction.max-percent", default_value = "10", hide = true)]
    delayed_compaction_max_percent: usize,
    /// How often blocks are looked for.
    #[arg(long = "storage.tsdb.block-reload-interval", default_value = "1m", hide = true)]
    block_reload_interval: Millis,
    /// Time to send what remains at the end: remote write to others is not there.
    #[arg(long = "storage.remote.flush-deadline", default_value = "1m")]
    remote_flush_deadline: Millis,
    /// Most samples of a remote read, which is not there.
    #[arg(long = "storage.remote.read-sample-limit", default_value = "50000000")]
    remote_read_sample_limit: f64,
    /// Most remote reads at once.
    #[arg(long = "storage.remote.read-concurrent-limit", default_value = "10")]
    remote_read_concurrent_limit: usize,
    /// Most bytes of a frame of a remote read.
    #[arg(long = "storage.remote.read-max-bytes-in-frame", default_value = "1048576")]
    remote_read_max_bytes_in_frame: usize,
    /// Most results of a search.
    #[arg(long = "web.search.max-limit", default_value = "10000")]
    web_search_max_limit: usize,
    /// Alerts after an outage: rules are not evaluated.
    #[arg(long = "rules.alert.for-outage-tolerance", default_value = "1h")]
    rules_for_outage_tolerance: Millis,
    /// The same, at the least.
    #[arg(long = "rules.alert.for-grace-period", default_value = "10m")]
    rules_for_grace_period: Millis,
    /// Time between two notices of an alert.
    #[arg(long = "rules.alert.resend-delay", default_value = "1m")]
    rules_resend_delay: Millis,
    /// Most rules at once.
    #[arg(long = "rules.max-concurrent-evals", default_value = "4")]
    rules_max_concurrent_evals: usize,
    /// How long new targets wait: they are scraped at once.
    #[arg(long = "scrape.discovery-reload-interval", default_value = "5s", hide = true)]
    scrape_discovery_reload_interval: Millis,
    /// Notices that wait for an Alertmanager: alerts are not sent.
    #[arg(long = "alertmanager.notification-queue-capacity", default_value = "10000")]
    notification_queue_capacity: usize,
    /// Most notices in a request.
    #[arg(long = "alertmanager.notification-batch-size", default_value = "256")]
    notification_batch_size: usize,
    /// Sending at the end those that wait.
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown")]
    drain_notification_queue: bool,
}
