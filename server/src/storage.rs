//! How the database is run: from flags, and from the section `storage` of the configuration, which counts more.

use crate::Options;
use config::prometheus::{FloatChunkEncoding, StorageConfig};
use tsdb::chunk::Encodings;

/// What is kept where nothing says otherwise: 15 days.
const DEFAULT_RETENTION_MS: i64 = 15 * 24 * 60 * 60 * 1000;

/// What is kept: each limit as the configuration has it, else as its flag has it.
pub(crate) fn retention(flags: &Options, config: &StorageConfig) -> tsdb::Retention {
    let section = config.tsdb.as_ref().and_then(|t| t.retention.as_ref());
    let time = section.and_then(|r| r.time).map(config::Duration::as_ms).filter(|ms| *ms > 0);
    let bytes = section.and_then(|r| r.size).map(config::Size::as_bytes).filter(|b| *b > 0);
    let mut retention = tsdb::Retention {
        time_ms: time.or(flags.retention_time.map(|t| t.0).filter(|ms| *ms > 0)),
        bytes: bytes.or(flags.retention_size.map(|b| b.0).filter(|b| *b > 0)),
        percentage: section.and_then(|r| r.percentage).filter(|p| *p > 0.0),
    };
    if retention == tsdb::Retention::default() {
        retention.time_ms = Some(DEFAULT_RETENTION_MS);
    }
    retention
}

/// How much older than the newest sample a sample may be that comes out of order, milliseconds; 0: none is taken.
pub(crate) fn out_of_order_window(config: &StorageConfig) -> i64 {
    let window = config.tsdb.as_ref().and_then(|t| t.out_of_order_time_window);
    window.map_or(0, config::Duration::as_ms).max(0)
}

/// The feature that stores exemplars.
const EXEMPLAR_FEATURE: &str = "exemplar-storage";
/// The feature that stores when counting began.
const START_FEATURE: &str = "st-storage";
/// The features that let new chunks of floats, of native histograms, be of the kinds with room for that.
const XOR2_FEATURE: &str = "xor2-encoding";
const HISTOGRAM_START_FEATURE: &str = "histograms-st-encoding";
/// The feature that leaves a snapshot of the memory at a clean end.
const MEMORY_SNAPSHOT_FEATURE: &str = "memory-snapshot-on-shutdown";
/// The feature that lets the log say what series are.
const METADATA_FEATURE: &str = "metadata-wal-records";
/// Exemplars that are kept where the configuration does not say how many.
const DEFAULT_EXEMPLARS: i64 = 100_000;

fn is_enabled(flags: &Options, feature: &str) -> bool {
    flags.enable_feature.iter().any(|f| f == feature)
}

/// Which encodings new chunks get: that of floats as the configuration says, else as the feature does.
fn encodings(flags: &Options, config: &StorageConfig) -> Encodings {
    let chosen = config.tsdb.as_ref().and_then(|t| t.chunk_encoding.as_ref()).and_then(|c| c.floats.as_ref());
    Encodings {
        xor2: chosen.map_or_else(
            || is_enabled(flags, XOR2_FEATURE),
            |floats| matches!(floats, FloatChunkEncoding::Xor2),
        ),
        histogram_starts: is_enabled(flags, HISTOGRAM_START_FEATURE),
    }
}

/// How many exemplars are kept: none without the feature.
pub(crate) fn exemplar_limit(flags: &Options, config: &StorageConfig) -> usize {
    if !is_enabled(flags, EXEMPLAR_FEATURE) {
        return 0;
    }
    let limit = config.exemplars.as_ref().and_then(|e| e.max_exemplars).unwrap_or(DEFAULT_EXEMPLARS);
    usize::try_from(limit).unwrap_or(0)
}

/// The limits as `/status/runtimeinfo` tells them: `15d or 1GiB or 30%`.
pub(crate) fn retention_text(retention: &tsdb::Retention) -> String {
    let limits = [
        retention.time_ms.map(model::duration::format_ms),
        retention.bytes.map(|b| config::Size::from_bytes(b).to_string()),
        retention.percentage.map(|p| format!("{p}%")),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(" or ")
}

/// All options of the database.
pub(crate) fn options(flags: &Options, config: &StorageConfig) -> tsdb::Options {
    let defaults = tsdb::Options::default();
    let compression = match flags.wal_compression_type.as_str() {
        _ if flags.no_wal_compression => tsdb::wal::Compression::None,
        "zstd" => tsdb::wal::Compression::Zstd,
        "none" => tsdb::wal::Compression::None,
        _ => tsdb::wal::Compression::Snappy,
    };
    tsdb::Options {
        min_block_duration_ms: flags.min_block_duration.0,
        max_block_duration_ms: flags.max_block_duration.map(|d| d.0),
        retention: retention(flags, config),
        wal_sync: flags.wal_sync.0,
        wal_compression: compression,
        wal_segment_size: flags.wal_segment_size.map_or(defaults.wal_segment_size, |size| size.0),
        samples_per_chunk: flags.samples_per_chunk,
        encodings: encodings(flags, config),
        start_timestamps: is_enabled(flags, START_FEATURE),
        memory_snapshot: is_enabled(flags, MEMORY_SNAPSHOT_FEATURE),
        metadata_records: is_enabled(flags, METADATA_FEATURE),
        compaction: !flags.no_compaction,
        overlapping_compaction: !flags.no_overlapping_compaction,
        out_of_order_window_ms: out_of_order_window(config),
        exemplar_limit: exemplar_limit(flags, config),
        delay_compact_file: flags.delay_compact_file.clone().filter(|path| !path.as_os_str().is_empty()),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandLine;

    fn flags(args: &[&str]) -> Options {
        CommandLine::parse(args).unwrap().options
    }

    fn section(text: &str) -> StorageConfig {
        config::prometheus::Config::parse(text, "test").unwrap().storage
    }

    #[test]
    fn the_configuration_counts_more_than_flags_limit_by_limit() {
        let none = StorageConfig::default();
        for (args, config, expected) in [
            (&[][..], &none, "15d"),
            (&["--storage.tsdb.retention.time=0"], &none, "15d"),
            (&["--storage.tsdb.retention.size=1GB"], &none, "1GiB"),
            (
                &["--storage.tsdb.retention.size=1GB", "--storage.tsdb.retention.time=20d"],
                &section("storage: {tsdb: {retention: {time: 3d, percentage: 12.5}}}"),
                "3d or 1GiB or 12.5%",
            ),
            (&[], &section("storage: {tsdb: {retention: {percentage: 30}}}"), "30%"),
        ] {
            assert_eq!(retention_text(&retention(&flags(args), config)), expected, "{args:?}");
        }
    }

    #[test]
    fn flags_reach_the_database() {
        let none = StorageConfig::default();
        let plain = options(&flags(&[]), &none);
        assert_eq!(plain.wal_compression, tsdb::wal::Compression::Snappy);
        assert_eq!((plain.wal_sync, plain.compaction), (tsdb::WalSync::EverySecond, true));
        assert_eq!(plain.max_block_duration(), 36 * 60 * 60 * 1000);
        let set = options(
            &flags(&[
                "--no-storage.tsdb.wal-compression",
                "--storage.tsdb.wal-compression-type=zstd",
                "--storage.tsdb.wal-sync=always",
                "--storage.tsdb.no-compaction",
                "--no-storage.tsdb.allow-overlapping-compaction",
                "--storage.tsdb.delay-compact-file.path=/x",
                "--storage.tsdb.min-block-duration=2h",
                "--storage.tsdb.max-block-duration=2h",
                "--enable-feature=metadata-wal-records",
            ]),
            &none,
        );
        assert_eq!(set.wal_compression, tsdb::wal::Compression::None);
        assert_eq!(set.wal_sync, tsdb::WalSync::Always);
        assert!(set.metadata_records && !plain.metadata_records);
        assert!(!set.compaction && !set.overlapping_compaction && set.delay_compact_file.is_some());
        assert_eq!(set.max_block_duration(), set.min_block_duration_ms);
        assert!(CommandLine::parse(["--storage.tsdb.wal-sync=never"]).is_err());
    }

    #[test]
    fn encodings_follow_features_and_the_configuration() {
        let all = "--enable-feature=st-storage,xor2-encoding,histograms-st-encoding";
        let (xor, xor2) = (
            "storage: {tsdb: {chunk_encoding: {floats: xor}}}",
            "storage: {tsdb: {chunk_encoding: {floats: xor2}}}",
        );
        for (args, config, expected) in [
            (&[][..], "{}", (false, false, false)),
            (&[all], "{}", (true, true, true)),
            (&[all], xor, (false, true, true)),
            (&[], xor2, (true, false, false)),
        ] {
            let options = options(&flags(args), &section(config));
            let Encodings { xor2, histogram_starts } = options.encodings;
            assert_eq!((xor2, histogram_starts, options.start_timestamps), expected, "{args:?} {config}");
        }
        assert_eq!(
            options(&flags(&["--storage.tsdb.samples-per-chunk=60"]), &section("{}")).samples_per_chunk,
            60
        );
    }
}
