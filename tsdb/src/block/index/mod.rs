//! The index of a block: symbols, series, postings. See `docs/index.md`.

pub(super) mod postings;
pub(super) mod read;
pub(super) mod symbols;
pub(super) mod write;

/// The first four bytes of an index.
const MAGIC: u32 = 0xbaaa_d700;
/// Magic number and version.
const HEADER: usize = 5;
/// Series begin at multiples of this.
const SERIES_ALIGN: u64 = 16;
/// Six offsets and a checksum, at the very end.
const TOC: usize = 6 * 8 + 4;

/// Where the sections begin; 0 for what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Toc {
    symbols: u64,
    series: u64,
    label_indices: u64,
    label_offset_table: u64,
    postings: u64,
    postings_offset_table: u64,
}

impl Toc {
    fn fields(&self) -> [u64; 6] {
        [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_offset_table,
            self.postings,
            self.postings_offset_table,
        ]
    }
}
