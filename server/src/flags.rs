//! The command line of `pharos server`: Prometheus' flags, and which of them have no effect yet.

mod line;
mod unused;

pub use line::CommandLine;

use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use unused::Unused;

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
    /// Configuration file; one whose name ends in .gz is decompressed.
    #[arg(long = "config.file", default_value = "prometheus.yml")]
    pub config_file: PathBuf,
    /// Follow the configuration in this Secret (NAMESPACE/NAME) through the Kubernetes API; --config.file is what serves
    /// until it is reached.
    #[arg(long = "config.kubernetes-secret", value_name = "NAMESPACE/NAME")]
    pub config_kubernetes_secret: Option<String>,
    /// Address to listen on. Can be repeated.
    #[arg(long = "web.listen-address", default_value = "0.0.0.0:9090", value_name = "ADDRESS")]
    pub web_listen_address: Vec<String>,
    /// Protection of the server's own pages (TLS, users), in Prometheus' form. Neither is served yet: a file that asks for any is refused,
    /// and the server does not start; an empty one is taken.
    #[arg(long = "web.config.file")]
    pub web_config_file: Option<PathBuf>,
    /// The URL under which the server is reached from outside.
    #[arg(long = "web.external-url", default_value = "", hide_default_value = true, value_name = "URL")]
    pub web_external_url: String,
    /// Prefix of all paths; the external URL's path if not given.
    #[arg(long = "web.route-prefix", value_name = "PREFIX")]
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
    /// Answer POST /-/quit and /-/reload: shutdown, and reading the configuration anew. (SIGHUP does the latter without this flag.)
    #[arg(long = "web.enable-lifecycle")]
    pub web_enable_lifecycle: bool,
    /// Answer the admin endpoints: delete_series, clean_tombstones, snapshot.
    #[arg(long = "web.enable-admin-api")]
    pub web_enable_admin_api: bool,
    /// Accept remote write requests (version 1.0) at /api/v1/write.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub web_enable_remote_write_receiver: bool,
    /// Title of the web pages.
    #[arg(long = "web.page-title", default_value = "Pharos", value_name = "TEXT")]
    pub web_page_title: String,
    /// Regular expression of the origins whose pages may read answers (CORS); fully anchored.
    #[arg(long = "web.cors.origin", default_value = ".*", value_name = "REGEX")]
    pub web_cors_origin: String,
    /// Directory of the database.
    #[arg(long = "storage.tsdb.path", default_value = "data/")]
    pub storage_path: PathBuf,
    /// How long to keep samples, as `storage.tsdb.retention` in the configuration, which counts more; 15d, if nothing else bounds them.
    #[arg(long = "storage.tsdb.retention.time")]
    pub retention_time: Option<Millis>,
    /// How many bytes of blocks to keep, as `storage.tsdb.retention` in the configuration, which counts more.
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
    #[arg(long = "storage.tsdb.wal-sync", default_value = "1s", value_name = "WHEN")]
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
    /// Features to enable, separated by commas. Can be repeated. Those with an effect are listed below; the log says at the start which of the
    /// given ones have none.
    #[arg(long = "enable-feature", value_delimiter = ',', value_name = "NAME")]
    pub enable_feature: Vec<String>,
    /// Least severe messages to log.
    #[arg(long = "log.level", default_value = "info", value_parser = ["debug", "info", "warn", "error"], value_name = "LEVEL")]
    pub log_level: String,
    /// Form of log lines.
    #[arg(long = "log.format", default_value = "logfmt", value_parser = ["logfmt", "json"], value_name = "FORMAT")]
    pub log_format: String,
    /// The original's mode without a database of its own.
    #[arg(long = "agent", hide = true)]
    agent_mode: bool,
    /// What the query page shows first: the page's own URL parameters. Not a flag.
    #[arg(skip)]
    pub home_query: Option<String>,
    #[command(flatten)]
    unused: Unused,
}

impl Options {
    /// What flags come to, as other programs read it (Thanos compares the two block durations).
    fn tell(&self, flags: &mut BTreeMap<String, String>) {
        let durations = crate::storage::options(self, &Default::default());
        let retention = durations.retention;
        let mut tell = |name: &str, value: String| {
            flags.insert(format!("storage.tsdb.{name}"), value);
        };
        tell("max-block-duration", model::duration::format_ms(durations.max_block_duration()));
        tell("retention.time", retention.time_ms.map_or_else(|| "0s".to_owned(), model::duration::format_ms));
        tell("retention.size", config::Size::from_bytes(retention.bytes.unwrap_or(0)).to_string());
        tell("wal-segment-size", config::Size::from_bytes(durations.wal_segment_size).to_string());
        let prefix = self.route_prefix();
        flags.insert("web.route-prefix".to_owned(), if prefix.is_empty() { "/".to_owned() } else { prefix });
    }

    /// Refuses the mode that this server does not have.
    ///
    /// # Errors
    /// Where it is asked for.
    pub(crate) fn check_mode(&self) -> Result<(), crate::Error> {
        let why = "Prometheus' agent mode, which only sends samples on, is not there. (`pharos agent` is something else: the metrics of a node.)";
        if self.agent_mode { Err(crate::Error::Flag { flag: "agent", why: why.to_owned() }) } else { Ok(()) }
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
        let Some(path) = &self.web_config_file else { return Ok(()) };
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
}
