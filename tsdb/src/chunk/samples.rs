//! Samples of a series as columns: what chunks of all kinds are read into, and written from.

use std::sync::Arc;

use model::{FloatHistogram, NativeHistogram, Value};

use super::{
    Encoding, Encodings, Error, HistogramChunk, Xor2Chunk, XorChunk, decode_histograms, decode_native,
    decode_xor, decode_xor2,
};

/// Samples in order of time. A float stands in `vs`; where a sample is a histogram, `vs` has 0 and `histograms` has an entry with the
/// sample's index.
#[derive(Clone, Debug)]
pub struct Columns<H> {
    /// Milliseconds since the epoch.
    pub ts: Vec<i64>,
    /// Values, as many as times.
    pub vs: Vec<f64>,
    /// (index, histogram), rising; empty for a series of floats.
    pub histograms: Vec<(usize, H)>,
    /// Start timestamps (0: unknown), as many as times, or empty where none is known.
    pub starts: Vec<i64>,
}

/// Samples as they are stored.
pub type Samples = Columns<NativeHistogram>;
/// Samples as queries want them: all histograms with float counts.
pub type FloatColumns = Columns<Arc<FloatHistogram>>;

/// A form that histograms are read into.
pub trait HistogramForm: Clone {
    /// Calls `each(t, start, histogram)` for the histograms of a chunk with `mint <= t <= maxt`.
    fn decode(
        encoding: Encoding,
        data: &[u8],
        mint: i64,
        maxt: i64,
        each: impl FnMut(i64, i64, Self),
    ) -> Result<(), Error>;

    /// From the form in which it is stored.
    fn from_native(h: &NativeHistogram) -> Self;
}

impl HistogramForm for NativeHistogram {
    fn decode(
        encoding: Encoding,
        data: &[u8],
        mint: i64,
        maxt: i64,
        each: impl FnMut(i64, i64, Self),
    ) -> Result<(), Error> {
        decode_native(encoding, data, mint, maxt, each)
    }

    fn from_native(h: &NativeHistogram) -> Self {
        h.clone()
    }
}

impl HistogramForm for Arc<FloatHistogram> {
    fn decode(
        encoding: Encoding,
        data: &[u8],
        mint: i64,
        maxt: i64,
        mut each: impl FnMut(i64, i64, Self),
    ) -> Result<(), Error> {
        match encoding {
            Encoding::HistogramSt | Encoding::FloatHistogramSt => {
                decode_native(encoding, data, mint, maxt, |t, st, h| each(t, st, h.to_float()))
            }
            _ => decode_histograms(encoding, data, mint, maxt, |t, h| each(t, 0, Arc::new(h))),
        }
    }

    fn from_native(h: &NativeHistogram) -> Self {
        h.to_float()
    }
}

impl<H> Default for Columns<H> {
    fn default() -> Self {
        Columns { ts: Vec::new(), vs: Vec::new(), histograms: Vec::new(), starts: Vec::new() }
    }
}

impl<H: HistogramForm> Columns<H> {
    /// How many samples.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Forgets the samples, keeps the memory.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.vs.clear();
        self.histograms.clear();
        self.starts.clear();
    }

    /// Appends a float.
    pub fn push_float(&mut self, t: i64, v: f64) {
        self.ts.push(t);
        self.vs.push(v);
        if !self.starts.is_empty() {
            self.starts.push(0);
        }
    }

    /// Appends a histogram.
    pub fn push_histogram(&mut self, t: i64, h: H) {
        self.histograms.push((self.ts.len(), h));
        self.push_float(t, 0.0);
    }

    /// Appends either.
    pub fn push(&mut self, t: i64, value: &Value) {
        match value {
            Value::Float(v) => self.push_float(t, *v),
            Value::Histogram(h) => self.push_histogram(t, H::from_native(h)),
        }
    }

    /// Moves all samples of another run of floats behind these.
    pub(crate) fn append(&mut self, floats: &mut Self) {
        debug_assert!(floats.histograms.is_empty());
        if !floats.starts.is_empty() {
            self.starts.resize(self.ts.len(), 0);
            self.starts.append(&mut floats.starts);
        }
        self.ts.append(&mut floats.ts);
        self.vs.append(&mut floats.vs);
        if !self.starts.is_empty() {
            self.starts.resize(self.ts.len(), 0);
        }
    }

    /// Sets the start of the sample appended last; 0: unknown.
    pub fn push_start(&mut self, st: i64) {
        if !self.starts.is_empty() {
            self.starts.truncate(self.ts.len() - 1);
        }
        if st != 0 || !self.starts.is_empty() {
            self.starts.resize(self.ts.len() - 1, 0);
            self.starts.push(st);
        }
    }

    /// Appends the samples of a chunk with `mint <= t <= maxt`.
    ///
    /// # Errors
    /// Where the data is damaged; the samples before that are appended.
    pub fn read_chunk(&mut self, encoding: Encoding, data: &[u8], mint: i64, maxt: i64) -> Result<(), Error> {
        let result = match encoding {
            Encoding::Xor => decode_xor(data, mint, maxt, &mut self.ts, &mut self.vs),
            Encoding::Xor2 => decode_xor2(data, mint, maxt, |t, st, v| {
                self.ts.push(t);
                self.vs.push(v);
                self.push_start(st);
            }),
            _ => H::decode(encoding, data, mint, maxt, |t, st, h| {
                self.histograms.push((self.ts.len(), h));
                self.ts.push(t);
                self.vs.push(0.0);
                self.push_start(st);
            }),
        };
        if !self.starts.is_empty() {
            self.starts.resize(self.ts.len(), 0);
        }
        result
    }

    /// Keeps those of the samples from index `from` on whose time `keep` accepts.
    pub fn retain_from(&mut self, from: usize, mut keep: impl FnMut(i64) -> bool) {
        if self.ts[from..].iter().all(|&t| keep(t)) {
            return;
        }
        let order: Vec<usize> = (from..self.ts.len()).filter(|&i| keep(self.ts[i])).collect();
        self.reorder(from, &order);
    }

    /// Puts the samples from index `from` on in order of time; of equal times the first stays.
    pub fn sort_from(&mut self, from: usize) {
        if self.ts[from..].windows(2).all(|pair| pair[0] < pair[1]) {
            return;
        }
        let mut order: Vec<usize> = (from..self.ts.len()).collect();
        order.sort_by_key(|&i| self.ts[i]);
        order.dedup_by_key(|i| self.ts[*i]);
        self.reorder(from, &order);
    }

    /// Replaces the samples from index `from` on by those at the indices of `order`, in that order.
    fn reorder(&mut self, from: usize, order: &[usize]) {
        let pick = |values: &[i64]| order.iter().map(|&i| values[i]).collect::<Vec<_>>();
        let ts = pick(&self.ts);
        let vs: Vec<f64> = order.iter().map(|&i| self.vs[i]).collect();
        if !self.starts.is_empty() {
            let starts = pick(&self.starts);
            self.starts.truncate(from);
            self.starts.extend(starts);
        }
        let first = self.histograms.partition_point(|(i, _)| *i < from);
        if first < self.histograms.len() {
            let old = self.histograms.split_off(first);
            for (at, index) in order.iter().enumerate() {
                if let Ok(found) = old.binary_search_by_key(index, |(i, _)| *i) {
                    self.histograms.push((from + at, old[found].1.clone()));
                }
            }
        }
        self.ts.truncate(from);
        self.ts.extend(ts);
        self.vs.truncate(from);
        self.vs.extend(vs);
    }
}

impl Samples {
    /// Sample `index`.
    pub fn value(&self, index: usize) -> Value {
        match self.histograms.binary_search_by_key(&index, |(i, _)| *i) {
            Ok(found) => Value::Histogram(self.histograms[found].1.clone()),
            Err(_) => Value::Float(self.vs[index]),
        }
    }

    /// All samples, one by one.
    pub fn iter(&self) -> impl Iterator<Item = (i64, Value)> + '_ {
        (0..self.len()).map(|i| (self.ts[i], self.value(i)))
    }

    /// The start of sample `index`; 0: unknown.
    pub fn start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or(0)
    }

    /// Whether the start of one of these samples is known.
    fn knows_starts(&self, mut range: std::ops::Range<usize>) -> bool {
        range.any(|i| self.start(i) != 0)
    }

    /// Encodes the samples, which must be in order, and calls `each(mint, maxt, encoding, data)` for every chunk: floats with at most
    /// `samples_per_chunk` a chunk, histograms likewise, cut wherever their kind or layout changes. Known starts are kept, whatever
    /// `encodings` says.
    pub fn encode<E>(
        &self,
        samples_per_chunk: u16,
        encodings: Encodings,
        mut each: impl FnMut(i64, i64, Encoding, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut histograms = self.histograms.iter().peekable();
        let mut at = 0;
        while at < self.len() {
            let begin = at;
            if histograms.peek().is_none_or(|(i, _)| *i != at) {
                let next = histograms.peek().map_or(self.len(), |(i, _)| *i);
                at = next.min(begin + usize::from(samples_per_chunk));
                if encodings.xor2 || self.knows_starts(begin..at) {
                    let mut chunk = Xor2Chunk::default();
                    at = (begin..at).find(|&i| !self.append_to(&mut chunk, i)).unwrap_or(at);
                    each(self.ts[begin], self.ts[at - 1], Encoding::Xor2, chunk.bytes())?;
                } else {
                    let mut chunk = XorChunk::new();
                    (begin..at).for_each(|i| chunk.append(self.ts[i], self.vs[i]));
                    each(self.ts[begin], self.ts[at - 1], Encoding::Xor, chunk.bytes())?;
                }
                continue;
            }
            let run = histograms.clone().enumerate().take_while(|(n, (i, _))| *i == begin + n).count();
            let mut chunk =
                HistogramChunk::new(encodings.histogram_starts || self.knows_starts(begin..begin + run));
            let mut first = begin;
            while let Some((_, h)) = histograms.next_if(|(i, _)| *i == at) {
                if at - first == usize::from(samples_per_chunk) {
                    let encoding = chunk.encoding();
                    each(self.ts[first], self.ts[at - 1], encoding, &chunk.take())?;
                    first = at;
                }
                if let Some((encoding, data)) = chunk.append(self.ts[at], self.start(at), h) {
                    each(self.ts[first], self.ts[at - 1], encoding, &data)?;
                    first = at;
                }
                at += 1;
            }
            each(self.ts[first], self.ts[at - 1], chunk.encoding(), chunk.bytes())?;
        }
        Ok(())
    }

    /// Appends float `i` to a chunk; false where its start does not fit there.
    fn append_to(&self, chunk: &mut Xor2Chunk, i: usize) -> bool {
        let fits = chunk.takes(self.start(i));
        if fits {
            chunk.append(self.ts[i], self.start(i), self.vs[i]);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Histogram;

    fn mixed() -> Samples {
        let mut samples = Samples::default();
        for t in 0..40 {
            let h = || Histogram { zero_count: t as u64, count: t as u64, ..Histogram::default() };
            match t / 10 {
                0 | 2 => samples.push_float(t, t as f64),
                1 => samples.push_histogram(t, h().into()),
                _ => samples.push_histogram(t, h().to_float().into()),
            }
        }
        samples
    }

    #[test]
    fn samples_of_all_kinds_come_back() {
        let (samples, mut read, mut floats) = (mixed(), Samples::default(), FloatColumns::default());
        let mut kinds = Vec::new();
        let encoded = samples.encode(7, Encodings::default(), |mint, maxt, encoding, data| {
            kinds.push((mint, maxt, encoding));
            floats.read_chunk(encoding, data, i64::MIN, i64::MAX)?;
            read.read_chunk(encoding, data, mint, maxt)
        });
        assert_eq!(encoded, Ok(()));
        assert_eq!(
            (kinds.len(), kinds[0], kinds[3]),
            (8, (0, 6, Encoding::Xor), (17, 19, Encoding::Histogram))
        );
        assert_eq!((floats.len(), floats.histograms.len()), (40, 20));
        assert!(samples.iter().zip(read.iter()).all(|(a, b)| a.0 == b.0 && a.1.same(&b.1)));
    }

    #[test]
    fn known_starts_are_kept() {
        for count in [40, 400] {
            let mut samples = Samples::default();
            for t in 0..count {
                let h = Histogram { zero_count: t as u64, count: t as u64, ..Histogram::default() };
                if t % 20 < 10 {
                    samples.push_float(t, 1.0)
                } else {
                    samples.push_histogram(t, h.into())
                }
                samples.push_start(if t % 10 < 5 { 0 } else { t - 100 });
            }
            let (mut read, mut kinds) = (Samples::default(), Vec::new());
            let encoded = samples.encode(240, Encodings::default(), |mint, maxt, encoding, data| {
                kinds.push(encoding);
                read.read_chunk(encoding, data, mint, maxt)
            });
            assert_eq!(encoded, Ok(()));
            assert_eq!(kinds[..2], [Encoding::Xor2, Encoding::HistogramSt]);
            assert_eq!((read.ts, read.starts), (samples.ts, samples.starts));
        }
        let mut floats = Samples::default();
        for t in 0..200 {
            floats.push_float(t, 1.0);
            floats.push_start(if t < 150 { 0 } else { 7 });
        }
        let mut kinds = Vec::new();
        let wanted = Encodings { xor2: true, histogram_starts: true };
        let encoded = floats.encode(240, wanted, |mint, maxt, encoding, _| {
            kinds.push((mint, maxt, encoding));
            Ok::<_, ()>(())
        });
        assert_eq!(encoded, Ok(()));
        assert_eq!(
            kinds,
            [(0, 149, Encoding::Xor2), (150, 199, Encoding::Xor2)],
            "known too late for one chunk"
        );
    }

    #[test]
    fn order_and_deletion_move_histograms_too() {
        let mut samples = mixed();
        let other = mixed();
        for (t, value) in other.iter().filter(|(t, _)| t % 10 == 5) {
            samples.push(t - 100, &value);
            samples.push(t, &Value::Float(-1.0));
        }
        samples.sort_from(3);
        assert_eq!(samples.ts[..5], [0, 1, 2, -95, -85]);
        assert!(samples.value(4).same(&other.value(15)), "{:?}", samples.value(4));
        samples.sort_from(0);
        samples.retain_from(2, |t| t >= 0 && t % 2 == 0);
        assert_eq!(samples.ts[..4], [-95, -85, 0, 2]);
        let at = samples.ts.iter().position(|&t| t == 14).unwrap();
        assert!(samples.value(at).same(&other.value(14)));
        assert_eq!(samples.histograms.len(), 11);
    }
}
