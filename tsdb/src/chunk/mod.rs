//! Chunks: compressed runs of samples of one series, as in `docs/chunk.md`.

mod bits;
mod cursor;
mod dense;
pub mod head_file;
mod histogram;
pub(crate) mod pack;
mod samples;
mod start;
mod xor;
mod xor2;

pub use dense::DenseEncoder;
pub(crate) use histogram::forget_reset;
pub use histogram::{HistogramChunk, decode_histograms, decode_native};
pub use samples::{Columns, FloatColumns, HistogramForm, Samples};
pub use xor::{XorChunk, XorIter, decode_xor};
pub use xor2::{Xor2Chunk, decode_xor2};

/// Samples after which a chunk is cut, as Prometheus does.
pub const SAMPLES_PER_CHUNK: u16 = 120;

/// Samples of a chunk in a block that was compacted: what begins a chunk costs 33 bytes in all, so longer ones are smaller, and any reader of
/// the format takes them.
pub const SAMPLES_PER_COMPACTED_CHUNK: u16 = 240;

/// How the samples of a chunk are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats, timestamps as delta of delta, values by XOR.
    Xor = 1,
    /// Native histograms of integers.
    Histogram = 2,
    /// Native histograms of floats.
    FloatHistogram = 3,
    /// Floats, step in time and value under one prefix, with optional start timestamps.
    Xor2 = 4,
    /// Native histograms of integers, with start timestamps.
    HistogramSt = 5,
    /// Native histograms of floats, with start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The encoding of a byte; none where it is unknown.
    pub fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Encoding::Xor),
            2 => Some(Encoding::Histogram),
            3 => Some(Encoding::FloatHistogram),
            4 => Some(Encoding::Xor2),
            5 => Some(Encoding::HistogramSt),
            6 => Some(Encoding::FloatHistogramSt),
            _ => None,
        }
    }

    /// Whether the samples are native histograms.
    pub fn is_histogram(self) -> bool {
        !matches!(self, Encoding::Xor | Encoding::Xor2)
    }

    /// How many samples a chunk's data announces.
    pub fn num_samples(self, data: &[u8]) -> u16 {
        let count = data.first_chunk().map_or(0, |b| u16::from_be_bytes(*b));
        match self {
            // the top two bits are flags
            Encoding::HistogramSt | Encoding::FloatHistogramSt => count & 0x3fff,
            _ => count,
        }
    }
}

/// Which encodings new chunks get, besides those that all readers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encodings {
    /// Floats as XOR2 chunks: smaller, with room for start timestamps.
    pub xor2: bool,
    /// Native histograms in chunks with room for start timestamps.
    pub histogram_starts: bool,
}

/// Why a chunk could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The chunk ends within a sample.
    #[error("chunk of {len} bytes ends within sample {sample} of {count}")]
    Short {
        /// Length of the chunk's data in bytes.
        len: usize,
        /// Which sample, from 0.
        sample: usize,
        /// How many the header announces.
        count: usize,
    },
    /// A field of a sample is not allowed.
    #[error("invalid {what} in sample {sample} of {count}")]
    Invalid {
        /// Which field.
        what: &'static str,
        /// Which sample, from 0.
        sample: usize,
        /// How many the header announces.
        count: usize,
    },
}
