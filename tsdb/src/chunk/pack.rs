//! Packs a series' samples for a block: short float chunks are joined and encoded anew, densely; all others are taken over as they are.

use super::{DenseEncoder, Encoding, Encodings, Error, SAMPLES_PER_COMPACTED_CHUNK, Samples, forget_reset};

/// Float chunks with fewer samples than this are joined: longer ones have little to gain, and would be encoded again at each level.
const SHORT: u16 = SAMPLES_PER_COMPACTED_CHUNK / 6 * 5;

/// Where a chunk lies in the packer's buffer.
#[derive(Clone, Copy, Debug)]
struct Packed {
    mint: i64,
    maxt: i64,
    encoding: Encoding,
    end: usize,
}

/// Packs one series after another; keeps its buffers.
#[derive(Debug)]
pub(crate) struct Packer {
    encodings: Encodings,
    /// Samples of a new histogram chunk.
    samples_per_chunk: u16,
    encoder: DenseEncoder,
    /// Floats that wait for being encoded.
    waiting: Samples,
    /// Whether what the last chunk follows is not what it followed before.
    altered: bool,
    out: Vec<u8>,
    packed: Vec<Packed>,
}

impl Packer {
    pub(crate) fn new(encodings: Encodings, samples_per_chunk: u16) -> Self {
        Packer {
            encodings,
            samples_per_chunk,
            encoder: DenseEncoder::new(),
            waiting: Samples::default(),
            altered: false,
            out: Vec::new(),
            packed: Vec::new(),
        }
    }

    /// Begins a series.
    pub(crate) fn begin(&mut self) {
        self.out.clear();
        self.packed.clear();
        self.waiting.clear();
        self.altered = false;
    }

    /// Takes over a chunk as a whole.
    pub(crate) fn chunk(
        &mut self,
        (mint, maxt): (i64, i64),
        encoding: Encoding,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let is_short = encoding.num_samples(bytes) < SHORT;
        // Starts must not be lost, so chunks that may have some are joined only where the encoding stays.
        let joins = match encoding {
            Encoding::Xor => is_short,
            Encoding::Xor2 => is_short && self.encodings.xor2,
            _ => false,
        };
        if joins {
            return self.waiting.read_chunk(encoding, bytes, i64::MIN, i64::MAX);
        }
        self.encode_waiting();
        let begin = self.out.len();
        self.out.extend_from_slice(bytes);
        if std::mem::take(&mut self.altered) {
            forget_reset(encoding, &mut self.out[begin..]);
        }
        self.packed.push(Packed { mint, maxt, encoding, end: self.out.len() });
        Ok(())
    }

    /// Takes over samples of chunks that had to be taken apart, and leaves none.
    pub(crate) fn samples(&mut self, samples: &mut Samples) {
        self.altered = true;
        if samples.histograms.is_empty() {
            self.waiting.append(samples);
            return;
        }
        self.encode_waiting();
        let (out, packed) = (&mut self.out, &mut self.packed);
        let Ok(()) = samples.encode(self.samples_per_chunk, self.encodings, |mint, maxt, encoding, data| {
            out.extend_from_slice(data);
            packed.push(Packed { mint, maxt, encoding, end: out.len() });
            Ok::<(), std::convert::Infallible>(())
        });
        samples.clear();
    }

    /// The series' chunks: times, encoding and data, in order.
    pub(crate) fn finish(&mut self) -> impl ExactSizeIterator<Item = (i64, i64, Encoding, &[u8])> {
        self.encode_waiting();
        let (out, mut begin) = (&self.out, 0);
        self.packed.iter().map(move |&Packed { mint, maxt, encoding, end }| {
            (mint, maxt, encoding, &out[std::mem::replace(&mut begin, end)..end])
        })
    }

    fn encode_waiting(&mut self) {
        let (out, packed) = (&mut self.out, &mut self.packed);
        let each = |mint, maxt, encoding, data: &[u8]| {
            out.extend_from_slice(data);
            packed.push(Packed { mint, maxt, encoding, end: out.len() });
            Ok::<(), std::convert::Infallible>(())
        };
        let Samples { ts, vs, starts, .. } = &self.waiting;
        let Ok(()) = match self.encodings.xor2 || !starts.is_empty() {
            true => self.encoder.encode_xor2(ts, vs, starts, each),
            false => self.encoder.encode(ts, vs, each),
        };
        self.waiting.clear();
    }
}
