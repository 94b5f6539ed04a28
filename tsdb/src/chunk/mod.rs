//! Chunks: compressed runs of samples of one series, as in `docs/chunk.md`.

mod bits;
mod dense;
pub mod head_file;
mod histogram;
mod xor;

pub use dense::DenseEncoder;
pub use histogram::decode_histograms;
pub use xor::{XorChunk, XorIter, decode_xor};

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
}

impl Encoding {
    /// The encoding of a byte; none where it is unknown.
    pub fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Encoding::Xor),
            2 => Some(Encoding::Histogram),
            3 => Some(Encoding::FloatHistogram),
            _ => None,
        }
    }
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
