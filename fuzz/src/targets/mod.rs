//! The table of targets. A new one is a row here and a function in a file beside.

mod block;
mod chunk;
mod config;
mod database;
mod exposition;
mod promql;
mod wal;

const MIB: usize = 1 << 20;

/// Something that takes bytes that others wrote.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Takes any bytes; a panic is a finding.
    pub run: fn(&[u8]),
    /// Valid inputs, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes of heap that it may have, besides 256 for each byte of input.
    pub heap: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "xor", run: chunk::xor, seeds: chunk::xor_seeds, heap: 4 * MIB },
    Target { name: "xor2", run: chunk::xor2, seeds: chunk::xor2_seeds, heap: 4 * MIB },
    Target { name: "histogram", run: chunk::histogram, seeds: chunk::histogram_seeds, heap: 64 * MIB },
    Target { name: "index", run: block::index, seeds: block::index_seeds, heap: 4 * MIB },
    Target { name: "chunk_segment", run: block::chunks, seeds: block::chunks_seeds, heap: 4 * MIB },
    Target { name: "tombstones", run: block::tombstones, seeds: block::tombstones_seeds, heap: 4 * MIB },
    Target { name: "meta", run: block::meta, seeds: block::meta_seeds, heap: 4 * MIB },
    Target { name: "wal_record", run: wal::record, seeds: wal::record_seeds, heap: 4 * MIB },
    Target { name: "snapshot_record", run: wal::snapshot, seeds: wal::snapshot_seeds, heap: 4 * MIB },
    Target {
        name: "memory_snapshot",
        run: database::memory_snapshot,
        seeds: database::memory_snapshot_seeds,
        heap: 1200 * MIB,
    },
    // A record may have 512 MiB when decompressed.
    Target { name: "wal_pages", run: wal::pages, seeds: wal::pages_seeds, heap: 1200 * MIB },
    Target { name: "head_chunks", run: chunk::head_file, seeds: chunk::head_file_seeds, heap: 4 * MIB },
    Target { name: "head_refs", run: database::head_refs, seeds: database::head_refs_seeds, heap: 32 * MIB },
    Target { name: "replay", run: database::replay, seeds: database::replay_seeds, heap: 1200 * MIB },
    Target { name: "late", run: database::late, seeds: database::late_seeds, heap: 1200 * MIB },
    Target { name: "text", run: exposition::text, seeds: exposition::text_seeds, heap: 4 * MIB },
    Target {
        name: "openmetrics",
        run: exposition::openmetrics,
        seeds: exposition::openmetrics_seeds,
        heap: 4 * MIB,
    },
    // the samples that a query may hold, and what is made of them
    Target { name: "promql", run: promql::query, seeds: promql::query_seeds, heap: 256 * MIB },
    Target { name: "config", run: config::prometheus, seeds: config::prometheus_seeds, heap: 64 * MIB },
];
