//! The command line of `pharos server`: Prometheus' flags, and which of them have no effect yet.

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A duration flag, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub i64);

impl std::str::FromStr for Millis {
    type Err = model::duration::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        model::duration::parse_ms(text).map(Millis)
    }
}

/// A size flag, in bytes: `512MB`, `1GiB`; units are powers of 1024, as the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl std::str::FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Bytes(0));
        }
        let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at(digits);
        let power = ["B", "K", "M", "G", "T", "P", "E"]
            .iter()
            .position(|u| {
                unit.strip_suffix("iB")
                    .or_else(|| unit.strip_suffix('B'))
                    .is_some_and(|rest| if *u == "B" { rest.is_empty() && unit == "B" } else { rest == *u })
            })
            .ok_or_else(|| format!("{text:?} is no size such as 512MB"))?;
        let number: f64 = number.parse().map_err(|_| format!("{text:?} is no size such as 512MB"))?;
        Ok(Bytes((number * 1024f64.powi(power as i32)) as u64))
    }
}

/// When the log is synced: `1s` or `always`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalSync(pub tsdb::WalSync);

impl std::str::FromStr for WalSync {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1s" => Ok(WalSync(tsdb::WalSync::EverySecond)),
            "always" => Ok(WalSync(tsdb::WalSync::Always)),
            _ => Err(format!("{text:?} is neither 1s nor always")),
        }
    }
}

/// Flags of the server.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Configuration file path; a name that ends in .gz is decompressed.
    #[arg(long = "config.file", default_value = "prometheus.yml")]
    pub config_file: PathBuf,
    /// Follow the configuration in this Secret (NAMESPACE/NAME) through the Kubernetes API; --config.file is what serves
    /// until it is reached.
    #[arg(long = "config.kubernetes-secret", value_name = "NAMESPACE/NAME")]
    pub config_kubernetes_secret: Option<String>,
    /// Address to listen on. Can be repeated.
    #[arg(long = "web.listen-address", default_value = "0.0.0.0:9090")]
    pub web_listen_address: Vec<String>,
    /// The URL under which the server is reached from outside.
    #[arg(long = "web.external-url", default_value = "")]
    pub web_external_url: String,
    /// Prefix of all paths; the external URL's path if not given.
    #[arg(long = "web.route-prefix")]
    pub web_route_prefix: Option<String>,
    /// Longest time for a request to come, and between two requests on a connection.
    #[arg(long = "web.read-timeout", default_value = "5m")]
    pub web_read_timeout: Millis,
    /// Longest time that a client may leave its answer unread.
    #[arg(long = "web.write-timeout", default_value = "1m")]
    pub web_write_timeout: Millis,
    /// Most connections at once, over all addresses; further ones wait.
    #[arg(long = "web.max-connections", default_value_t = 512)]
    pub web_max_connections: usize,
    /// Enable shutdown and reload via HTTP.
    #[arg(long = "web.enable-lifecycle")]
    pub web_enable_lifecycle: bool,
    /// Enable the admin endpoints.
    #[arg(long = "web.enable-admin-api")]
    pub web_enable_admin_api: bool,
    /// Accept remote write requests.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub web_enable_remote_write_receiver: bool,
    /// Title of the web pages.
    #[arg(long = "web.page-title", default_value = "Pharos")]
    pub web_page_title: String,
    /// Regular expression for the CORS origin; fully anchored.
    #[arg(long = "web.cors.origin", default_value = ".*")]
    pub web_cors_origin: String,
    /// Directory of the database.
    #[arg(long = "storage.tsdb.path", default_value = "data/")]
    pub storage_path: PathBuf,
    /// How long to keep samples; 15d, if nothing else bounds them.
    #[arg(long = "storage.tsdb.retention.time")]
    pub retention_time: Option<Millis>,
    /// How many bytes of blocks to keep.
    #[arg(long = "storage.tsdb.retention.size")]
    pub retention_size: Option<Bytes>,
    /// Length of the smallest blocks.
    #[arg(long = "storage.tsdb.min-block-duration", default_value = "2h", hide = true)]
    pub min_block_duration: Millis,
    /// Length of the largest blocks; a tenth of the retention, at most 31 days, if not given.
    #[arg(long = "storage.tsdb.max-block-duration", hide = true)]
    pub max_block_duration: Option<Millis>,
    /// Size at which the log begins a new segment.
    #[arg(long = "storage.tsdb.wal-segment-size", hide = true)]
    pub wal_segment_size: Option<Bytes>,
    /// When the log is made to survive a power cut: `1s` (each second), or `always` (before a sample counts as stored). It
    /// survives the death of the process either way.
    #[arg(long = "storage.tsdb.wal-sync", default_value = "1s")]
    pub wal_sync: WalSync,
    /// Compress the log (the default).
    #[arg(long = "storage.tsdb.wal-compression", hide = true, overrides_with = "no_wal_compression")]
    wal_compression: bool,
    /// Leave the log uncompressed, whatever the type of compression is.
    #[arg(long = "no-storage.tsdb.wal-compression", hide = true)]
    pub no_wal_compression: bool,
    /// Compression of the log.
    #[arg(long = "storage.tsdb.wal-compression-type", default_value = "snappy", value_parser = ["snappy", "zstd", "none"], hide = true)]
    pub wal_compression_type: String,
    /// Samples after which a chunk of floats is cut.
    #[arg(long = "storage.tsdb.samples-per-chunk", default_value_t = tsdb::chunk::SAMPLES_PER_CHUNK, hide = true)]
    pub samples_per_chunk: u16,
    /// Leave the compaction of blocks to another program.
    #[arg(long = "storage.tsdb.no-compaction", hide = true)]
    pub no_compaction: bool,
    /// Merge blocks that overlap (the default).
    #[arg(
        long = "storage.tsdb.allow-overlapping-compaction",
        hide = true,
        overrides_with = "no_overlapping_compaction"
    )]
    overlapping_compaction: bool,
    /// Leave blocks that overlap to another program.
    #[arg(long = "no-storage.tsdb.allow-overlapping-compaction", hide = true)]
    pub no_overlapping_compaction: bool,
    /// A JSON file of the blocks that were uploaded, as Thanos writes it: new blocks are compacted only once they stand in it.
    #[arg(long = "storage.tsdb.delay-compact-file.path")]
    pub delay_compact_file: Option<PathBuf>,
    /// Most memory that the head may hold: over it, new series are refused while known ones go on. A bit more than a third (35 %) of what
    /// the process may have if not given; 0: no bound.
    #[arg(long = "storage.tsdb.memory-budget")]
    pub head_memory_budget: Option<Bytes>,
    /// Most memory that bodies of scrapes and of remote writes may hold together until they are stored; no single one may be longer. 15 %
    /// of what the process may have if not given; 0: no bound.
    #[arg(long = "scrape.memory-budget")]
    pub scrape_memory_budget: Option<Bytes>,
    /// Longest look back for a sample in expressions.
    #[arg(long = "query.lookback-delta", default_value = "5m")]
    pub query_lookback_delta: Millis,
    /// Longest time that a query may take.
    #[arg(long = "query.timeout", default_value = "2m")]
    pub query_timeout: Millis,
    /// Most queries at once.
    #[arg(long = "query.max-concurrency", default_value_t = 20)]
    pub query_max_concurrency: usize,
    /// Most samples that one query may hold in memory.
    #[arg(long = "query.max-samples", default_value_t = 50_000_000)]
    pub query_max_samples: usize,
    /// Most memory that one query may hold: a query that needs more fails alone. A fifth of what the process may have if not given;
    /// 0: no bound.
    #[arg(long = "query.memory-budget")]
    pub query_memory_budget: Option<Bytes>,
    /// Most memory that all queries together may hold. Two fifths of what the process may have if not given; 0: no bound.
    #[arg(long = "query.total-memory-budget")]
    pub query_total_memory_budget: Option<Bytes>,
    /// Move scrape timestamps that are late by no more than the tolerance onto their grid (the default): they compress better.
    #[arg(long = "scrape.adjust-timestamps", hide = true, overrides_with = "keep_timestamps")]
    adjust_timestamps: bool,
    /// Leave scrape timestamps as they are.
    #[arg(long = "no-scrape.adjust-timestamps", hide = true)]
    pub keep_timestamps: bool,
    /// The tolerance.
    #[arg(long = "scrape.timestamp-tolerance", default_value = "2ms", hide = true)]
    pub timestamp_tolerance: Millis,
    /// Features to enable, separated by commas. Can be repeated.
    #[arg(long = "enable-feature", value_delimiter = ',')]
    pub enable_feature: Vec<String>,
    /// Least severe messages to log.
    #[arg(long = "log.level", default_value = "info", value_parser = ["debug", "info", "warn", "error"])]
    pub log_level: String,
    /// Form of log lines.
    #[arg(long = "log.format", default_value = "logfmt", value_parser = ["logfmt", "json"])]
    pub log_format: String,
    /// What the query page shows first: the page's own URL parameters. Not a flag.
    #[arg(skip)]
    pub home_query: Option<String>,
    #[command(flatten)]
    unused: Unused,
}

/// Flags of the original that are taken and have no effect yet: said at the start, never ignored in silence.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Taken, but without effect yet")]
struct Unused {
    #[arg(long = "config.auto-reload")]
    config_auto_reload: bool,
    #[arg(long = "config.auto-reload-interval")]
    config_auto_reload_interval: Option<Millis>,
    #[arg(long = "auto-gomaxprocs", hide = true)]
    auto_gomaxprocs: bool,
    #[arg(long = "no-auto-gomaxprocs", hide = true)]
    no_auto_gomaxprocs: bool,
    #[arg(long = "auto-gomemlimit", hide = true)]
    auto_gomemlimit: bool,
    #[arg(long = "no-auto-gomemlimit", hide = true)]
    no_auto_gomemlimit: bool,
    #[arg(long = "auto-gomemlimit.ratio", hide = true)]
    auto_gomemlimit_ratio: Option<f64>,
    #[arg(long = "web.config.file")]
    web_config_file: Option<PathBuf>,
    #[arg(long = "web.max-notifications-subscribers")]
    web_max_notifications_subscribers: Option<usize>,
    #[arg(long = "web.user-assets")]
    web_user_assets: Option<PathBuf>,
    #[arg(long = "web.remote-write-receiver.accepted-protobuf-messages")]
    web_accepted_protobuf_messages: Vec<String>,
    #[arg(long = "web.enable-otlp-receiver")]
    web_enable_otlp_receiver: bool,
    #[arg(long = "web.console.templates")]
    web_console_templates: Option<PathBuf>,
    #[arg(long = "web.console.libraries")]
    web_console_libraries: Option<PathBuf>,
    #[arg(long = "storage.tsdb.max-block-chunk-segment-size", hide = true)]
    max_block_chunk_segment_size: Option<Bytes>,
    #[arg(long = "storage.tsdb.no-lockfile")]
    no_lockfile: bool,
    #[arg(long = "no-storage.tsdb.no-lockfile", hide = true)]
    no_no_lockfile: bool,
    #[arg(long = "storage.tsdb.head-chunks-write-queue-size")]
    head_chunks_write_queue_size: Option<i64>,
    #[arg(long = "storage.tsdb.delayed-compaction.max-percent", hide = true)]
    delayed_compaction_max_percent: Option<usize>,
    #[arg(long = "storage.tsdb.block-reload-interval", hide = true)]
    block_reload_interval: Option<Millis>,
    #[arg(long = "storage.remote.flush-deadline")]
    remote_flush_deadline: Option<Millis>,
    #[arg(long = "storage.remote.read-sample-limit")]
    remote_read_sample_limit: Option<f64>,
    #[arg(long = "storage.remote.read-concurrent-limit")]
    remote_read_concurrent_limit: Option<usize>,
    #[arg(long = "storage.remote.read-max-bytes-in-frame")]
    remote_read_max_bytes_in_frame: Option<usize>,
    #[arg(long = "web.search.max-limit")]
    web_search_max_limit: Option<usize>,
    #[arg(long = "rules.alert.for-outage-tolerance")]
    rules_for_outage_tolerance: Option<Millis>,
    #[arg(long = "rules.alert.for-grace-period")]
    rules_for_grace_period: Option<Millis>,
    #[arg(long = "rules.alert.resend-delay")]
    rules_resend_delay: Option<Millis>,
    #[arg(long = "rules.max-concurrent-evals")]
    rules_max_concurrent_evals: Option<usize>,
    #[arg(long = "scrape.discovery-reload-interval", hide = true)]
    scrape_discovery_reload_interval: Option<Millis>,
    #[arg(long = "alertmanager.notification-queue-capacity")]
    notification_queue_capacity: Option<usize>,
    #[arg(long = "alertmanager.notification-batch-size")]
    notification_batch_size: Option<usize>,
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown")]
    drain_notification_queue: bool,
}

/// A parsed command line: the options, and every flag's value as text.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The options.
    pub options: Options,
    /// Flag (without dashes) to value, for `/api/v1/status/flags`.
    pub flags: BTreeMap<String, String>,
    /// Flags that were given and have no effect.
    pub without_effect: Vec<String>,
}

#[derive(clap::Parser)]
#[command(name = "pharos server")]
struct Standalone {
    #[command(flatten)]
    options: Options,
}

impl CommandLine {
    /// Reads the options out of parsed arguments; `command` is the clap command they were parsed by.
    ///
    /// # Errors
    /// Where the matches are of another command.
    pub fn from_matches(command: &clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = Options::from_arg_matches(matches)?;
        let mut flags = BTreeMap::new();
        let mut without_effect = Vec::new();
        for arg in command.get_arguments() {
            let (Some(long), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
            if matches!(id, "help" | "version") || matches.try_contains_id(id).is_err() {
                continue;
            }
            let values = matches.get_raw(id).map_or_else(String::new, |values| {
                values.map(|v| v.to_string_lossy()).collect::<Vec<_>>().join(",")
            });
            let given = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
            if given && arg.get_help_heading() == Some("Taken, but without effect yet") {
                without_effect.push(format!("--{long}"));
            }
            // The negation of a switch is no flag of its own.
            if !long.starts_with("no-") {
                flags.insert(long.to_owned(), values);
            }
        }
        options.tell_storage(&mut flags);
        Ok(CommandLine { options, flags, without_effect })
    }

    /// Reads a command line of its own, without the program's name.
    ///
    /// # Errors
    /// Where a flag is unknown or its value wrong; the text says which.
    pub fn parse<S: Into<std::ffi::OsString> + Clone>(
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, clap::Error> {
        let command = Standalone::command();
        let program = std::iter::once(std::ffi::OsString::from("pharos server"));
        let matches =
            command.clone().try_get_matches_from(program.chain(args.into_iter().map(Into::into)))?;
        CommandLine::from_matches(&command, &matches)
    }
}

impl Options {
    /// What storage makes of its flags, as other programs read it (Thanos compares the two block durations).
    fn tell_storage(&self, flags: &mut BTreeMap<String, String>) {
        let durations = crate::storage::options(self, &Default::default());
        let retention = durations.retention;
        let mut tell = |name: &str, value: String| {
            flags.remove(&format!("no-storage.tsdb.{name}"));
            flags.insert(format!("storage.tsdb.{name}"), value);
        };
        tell("max-block-duration", model::duration::format_ms(durations.max_block_duration()));
        tell("retention.time", retention.time_ms.map_or_else(|| "0s".to_owned(), model::duration::format_ms));
        tell("retention.size", config::Size::from_bytes(retention.bytes.unwrap_or(0)).to_string());
        tell("wal-compression", (!self.no_wal_compression).to_string());
        tell("allow-overlapping-compaction", (!self.no_overlapping_compaction).to_string());
        tell("no-lockfile", self.unused.no_lockfile.to_string());
    }

    /// The prefix of all paths, without a slash at the end: `` or `/prometheus`.
    pub fn route_prefix(&self) -> String {
        as_prefix(self.web_route_prefix.as_deref().unwrap_or(&self.external_url_path()))
    }

    /// The prefix of all paths as a browser sees it, which a proxy before the server may take off; in the same form.
    pub fn external_prefix(&self) -> String {
        if self.web_external_url.is_empty() {
            self.route_prefix()
        } else {
            as_prefix(&self.external_url_path())
        }
    }

    fn external_url_path(&self) -> String {
        url::Url::parse(&self.web_external_url).map_or_else(|_| String::new(), |u| u.path().to_owned())
    }

    /// Refuses what may not be ignored: a server that was told to protect itself does not serve without protection.
    ///
    /// # Errors
    /// Where the web configuration asks for something, or cannot be read.
    pub(crate) fn check_web_config(&self) -> Result<(), crate::Error> {
        let Some(path) = &self.unused.web_config_file else { return Ok(()) };
        let refused = |why| Err(crate::Error::Flag { flag: "web.config.file", why });
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return refused(format!("cannot read {}: {error}", path.display())),
        };
        let says = |line: &str| !matches!(line.split('#').next().unwrap_or("").trim(), "" | "---" | "{}");
        match text.lines().position(says) {
            Some(line) => refused(format!(
                "{}:{}: TLS and authentication are not served yet, and serving without them is refused",
                path.display(),
                line + 1
            )),
            None => Ok(()),
        }
    }
}

/// A path without a slash at its end, with one before it unless it is empty.
fn as_prefix(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("512MB", 512 << 20), ("1GiB", 1 << 30), ("10B", 10), ("1.5KB", 1536)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert!(
            "10".parse::<Bytes>().is_err()
                && "x".parse::<Bytes>().is_err()
                && "1QB".parse::<Bytes>().is_err()
        );
    }

    #[test]
    fn prefixes() {
        let prefixes = |flags: &[&str]| {
            let options = CommandLine::parse(flags).unwrap().options;
            (options.route_prefix(), options.external_prefix())
        };
        let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(prefixes(&[]), both("", ""));
        assert_eq!(prefixes(&["--web.external-url=http://h/prom/"]), both("/prom", "/prom"));
        assert_eq!(
            prefixes(&["--web.external-url=http://h/prom", "--web.route-prefix=/"]),
            both("", "/prom")
        );
        assert_eq!(prefixes(&["--web.route-prefix=x"]), both("/x", "/x"));
        assert_eq!(prefixes(&["--web.external-url=http://h/", "--web.route-prefix=/x"]), both("/x", ""));
    }

    #[test]
    fn protection_that_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let check = |text: &str| {
            let path = dir.path().join("web.yml");
            std::fs::write(&path, text).unwrap();
            let line = CommandLine::parse([format!("--web.config.file={}", path.display())]).unwrap();
            line.options.check_web_config().map_err(|e| e.to_string())
        };
        assert_eq!(check("# nothing\n{}\n"), Ok(()));
        let refused = check("# users\nbasic_auth_users:\n  a: b\n").unwrap_err();
        assert!(refused.contains("web.yml:2: TLS and authentication are not served yet"), "{refused}");
        let line = CommandLine::parse(["--web.config.file=/nowhere/web.yml"]).unwrap();
        assert!(
            line.options.check_web_config().unwrap_err().to_string().contains("cannot read /nowhere/web.yml")
        );
    }

    #[test]
    fn flags_are_listed_and_those_without_effect_named() {
        let line = CommandLine::parse([
            "--web.enable-lifecycle",
            "--web.config.file=x",
            "--web.external-url=http://h/p/",
        ])
        .unwrap();
        assert!(line.options.web_enable_lifecycle);
        assert_eq!(line.options.route_prefix(), "/p");
        assert_eq!(line.without_effect, ["--web.config.file"]);
        assert_eq!(
            (line.flags["query.timeout"].as_str(), line.flags["web.enable-lifecycle"].as_str()),
            ("2m", "true")
        );
        assert_eq!(line.flags["storage.tsdb.max-block-duration"], "1d12h");
        assert_eq!(line.flags["storage.tsdb.wal-compression"], "true");
        assert!(!line.flags.contains_key("no-storage.tsdb.wal-compression"));
        let line = CommandLine::parse(["--no-storage.tsdb.wal-compression"]).unwrap();
        assert_eq!(line.flags["storage.tsdb.wal-compression"], "false");
        assert!(CommandLine::parse(["--no-such-flag"]).is_err());
    }
}
