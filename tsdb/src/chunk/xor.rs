//! Float chunks: delta-of-delta timestamps, XORed values.

use super::Error;

/// A float chunk that grows: what each active series holds.
#[derive(Clone, Debug, Default)]
pub struct XorChunk {
    bytes: Vec<u8>,
    t: i64,
    v: f64,
    delta: u64,
    leading: u8,
    trailing: u8,
    free: u8,
}

impl XorChunk {
    /// An empty chunk. It holds no heap memory until the first sample.
    pub fn new() -> Self {
        XorChunk::default()
    }
    /// A chunk that goes on where valid data ends (head chunks after a restart).
    pub fn from_bytes(_bytes: &[u8]) -> Result<Self, Error> {
        todo!()
    }
    /// Appends a sample (t in milliseconds); the caller sees to rising timestamps and cuts in time.
    pub fn append(&mut self, _t: i64, _v: f64) {
        todo!()
    }
    /// How many samples.
    pub fn num_samples(&self) -> u16 {
        todo!()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.num_samples() == 0
    }
    /// The data: a valid chunk at any moment (without encoding byte, length and checksum).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// The data, owned, without spare room; the chunk is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        todo!()
    }
    /// The last sample.
    pub fn last(&self) -> Option<(i64, f64)> {
        todo!()
    }
    /// Its samples.
    pub fn iter(&self) -> XorIter<'_> {
        XorIter::new(self.bytes())
    }
    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The samples of a float chunk, one by one.
#[derive(Clone, Debug)]
pub struct XorIter<'a> {
    _data: &'a [u8],
}

impl<'a> XorIter<'a> {
    /// The samples of a chunk's data. An empty slice has none.
    pub fn new(data: &'a [u8]) -> Self {
        XorIter { _data: data }
    }
}

impl Iterator for XorIter<'_> {
    type Item = Result<(i64, f64), Error>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Appends the samples with `mint <= t <= maxt` to the two vectors.
pub fn decode_xor(
    _data: &[u8],
    _mint: i64,
    _maxt: i64,
    _ts: &mut Vec<i64>,
    _vs: &mut Vec<f64>,
) -> Result<(), Error> {
    todo!()
}
