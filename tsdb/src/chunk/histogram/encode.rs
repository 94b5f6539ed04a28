//! Native histogram chunks that grow.
//!
//! A chunk has one layout (schema, zero threshold, buckets) for all its histograms. New buckets widen it: the chunk is written
//! anew. A counter that begins anew, or any other change of the layout, ends the chunk; its flags then say what was seen.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterReset, Histogram, NativeHistogram, Span, absolute};

use super::layout::{Fit, join, spread};
use super::{COUNT_MASK, GAUGE, HEADER, NOT_RESET, RESET, decode_native};
use crate::chunk::Encoding;
use crate::chunk::cursor::{BitWriter, Window};
use crate::chunk::start::StartWriter;

/// Custom bounds up to this many thousandths are written as such.
const MAX_THOUSANDTHS: f64 = 33_554_430.0;

/// A chunk of native histograms that grows. Between two chunks it remembers the last histogram, for the flags of the next one.
#[derive(Clone, Debug, Default)]
pub struct HistogramChunk {
    out: BitWriter,
    layout: Layout,
    t: i64,
    delta: i64,
    sum: f64,
    sum_window: Option<Window>,
    numbers: Numbers,
    last: Option<NativeHistogram>,
    /// In chunks that have room for start timestamps.
    starts: Option<StartWriter>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom_values: Vec<f64>,
}

/// An integer and how much it changed last.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    value: i64,
    delta: i64,
}

/// A float and the window its changes are written in.
#[derive(Clone, Copy, Debug)]
struct Real {
    value: f64,
    window: Window,
}

/// Count, zero count, and the buckets, the positive ones first.
#[derive(Clone, Debug, Default)]
enum Numbers {
    #[default]
    None,
    Integers(Vec<Count>),
    Floats(Vec<Real>),
}

/// Why a histogram cannot go on in a chunk: the flags of the one that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused(u8);

impl HistogramChunk {
    /// An empty one, with room for start timestamps or without.
    pub fn new(with_starts: bool) -> Self {
        HistogramChunk { starts: with_starts.then(StartWriter::default), ..HistogramChunk::default() }
    }

    /// Appends a histogram, which must be valid and newer than all before (`start` in milliseconds, 0: unknown; left out where there is
    /// no room for it). Where it cannot go on in the present chunk, that one ends: its encoding and data are returned, and the
    /// histogram begins the next.
    pub fn append(&mut self, t: i64, start: i64, h: &NativeHistogram) -> Option<(Encoding, Vec<u8>)> {
        let mut ended = None;
        match self.fit(h) {
            _ if self.is_empty() => {
                let flags = self.flags_of_first(h);
                self.begin(flags, t, start, h);
            }
            Err(Refused(flags)) => {
                ended = Some((self.encoding(), self.take()));
                self.begin(flags, t, start, h);
            }
            Ok(_) if !self.takes(start) => {
                ended = Some((self.encoding(), self.take()));
                let flags = self.flags_of_first(h);
                self.begin(flags, t, start, h);
            }
            Ok((Fit::Same, Fit::Same)) => self.write(t, start, h),
            Ok((positive, negative)) => {
                self.grow(positive, negative);
                let adapted = self.layout.adapt(h);
                self.write(t, start, &adapted);
            }
        }
        self.last = Some(h.clone());
        ended
    }

    /// Whether it holds no histogram.
    pub fn is_empty(&self) -> bool {
        self.out.bytes.is_empty()
    }

    /// How many histograms.
    pub fn num_samples(&self) -> u16 {
        let count = self.out.bytes.first_chunk().map_or(0, |b| u16::from_be_bytes(*b));
        if self.starts.is_some() { count & COUNT_MASK } else { count }
    }

    fn takes(&self, start: i64) -> bool {
        let index = self.num_samples();
        self.starts.is_none_or(|starts| index < COUNT_MASK && starts.takes(usize::from(index), start))
    }

    /// The data: a valid chunk at any moment; empty while there is no histogram.
    pub fn bytes(&self) -> &[u8] {
        &self.out.bytes
    }

    /// How the data is encoded.
    pub fn encoding(&self) -> Encoding {
        match (&self.numbers, self.starts.is_some()) {
            (Numbers::Floats(_), false) => Encoding::FloatHistogram,
            (Numbers::Floats(_), true) => Encoding::FloatHistogramSt,
            (_, false) => Encoding::Histogram,
            (_, true) => Encoding::HistogramSt,
        }
    }

    /// The histogram appended last, also when its chunk was taken.
    pub fn last(&self) -> Option<&NativeHistogram> {
        self.last.as_ref()
    }

    /// Ends the chunk: its data, without spare room.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.out).bytes;
        bytes.shrink_to_fit();
        bytes
    }

    /// The flags of a chunk that begins because the one before was long enough.
    fn flags_of_first(&self, h: &NativeHistogram) -> u8 {
        match (h.counter_reset(), self.last.is_some() && self.is_of_kind(h)) {
            (CounterReset::Gauge, _) => GAUGE,
            (CounterReset::Reset, _) => RESET,
            (_, false) => 0,
            (_, true) => self.fit(h).map_or_else(|Refused(flags)| flags, |_| NOT_RESET),
        }
    }

    fn is_of_kind(&self, h: &NativeHistogram) -> bool {
        matches!(
            (&self.numbers, h),
            (Numbers::Integers(_), NativeHistogram::Integer(_))
                | (Numbers::Floats(_), NativeHistogram::Float(_))
        )
    }

    /// The two bits that say what was seen where the chunk begins.
    fn flags(&self) -> u8 {
        self.out.bytes.get(if self.starts.is_some() { 0 } else { 2 }).map_or(0, |byte| byte & GAUGE)
    }

    fn is_gauge(&self) -> bool {
        self.flags() == GAUGE
    }

    /// How a histogram fits behind the last one.
    fn fit(&self, h: &NativeHistogram) -> Result<(Fit, Fit), Refused> {
        let is_gauge = h.counter_reset() == CounterReset::Gauge;
        if !self.is_of_kind(h) {
            return Err(Refused(if is_gauge { GAUGE } else { 0 }));
        }
        if !is_gauge && h.counter_reset() == CounterReset::Reset {
            return Err(Refused(RESET));
        }
        if h.is_stale() {
            return Ok((Fit::Same, Fit::Same));
        }
        if is_gauge != self.is_gauge() && !self.is_empty() {
            return Err(Refused(if is_gauge { GAUGE } else { 0 }));
        }
        let refused = |flags| Err(Refused(if is_gauge { GAUGE } else { flags }));
        if model::is_stale(self.sum) {
            return refused(0);
        }
        let theirs = Layout::head_of(h);
        let falls = !is_gauge && self.count_falls(h, 0);
        if falls {
            return refused(RESET);
        }
        if (self.layout.schema, self.layout.zero_threshold.to_bits())
            != (theirs.schema, theirs.zero_threshold.to_bits())
        {
            return refused(0);
        }
        if self.layout.schema == CUSTOM_BUCKETS_SCHEMA && self.layout.custom_values != theirs.custom_values {
            return refused(RESET);
        }
        if !is_gauge && self.count_falls(h, 1) {
            return refused(RESET);
        }
        self.fit_buckets(h, is_gauge).ok_or(Refused(RESET))
    }

    /// Whether count (0) or zero count (1) is below the last one's.
    fn count_falls(&self, h: &NativeHistogram, which: usize) -> bool {
        match (&self.numbers, h) {
            (Numbers::Integers(all), NativeHistogram::Integer(h)) => {
                [h.count, h.zero_count][which] < all[which].value as u64
            }
            (Numbers::Floats(all), NativeHistogram::Float(h)) => {
                [h.count, h.zero_count][which] < all[which].value
            }
            _ => false,
        }
    }

    fn fit_buckets(&self, h: &NativeHistogram, is_gauge: bool) -> Option<(Fit, Fit)> {
        let split = 2 + width(&self.layout.positive);
        let (ours, mut theirs): (Vec<f64>, [Vec<f64>; 2]) = match (&self.numbers, h) {
            (Numbers::Integers(all), NativeHistogram::Integer(h)) => {
                let values: Vec<i64> = all.iter().map(|c| c.value).collect();
                let (positive, negative) = values.split_at(split.min(values.len()));
                let counts = absolute(&positive[2..]).chain(absolute(negative));
                if !is_gauge {
                    // exact beyond 2^53, which floats are not
                    return join_integers(&self.layout, counts.collect(), h);
                }
                (
                    counts.map(|n| n as f64).collect(),
                    [&h.positive_buckets, &h.negative_buckets]
                        .map(|b| absolute(b).map(|n| n as f64).collect()),
                )
            }
            (Numbers::Floats(all), NativeHistogram::Float(h)) => (
                all[2..].iter().map(|r| r.value).collect(),
                [h.positive_buckets.clone(), h.negative_buckets.clone()],
            ),
            _ => return None,
        };
        let (positive, negative) = ours.split_at((split - 2).min(ours.len()));
        let side = |chunk: &[Span], histogram: &[Span], a: &[f64], b: &[f64]| {
            let at = |counts: &[f64], i: usize| counts.get(i).copied().unwrap_or(0.0);
            join(chunk, histogram, |i| is_gauge || at(a, i) == 0.0, |i, j| !is_gauge && at(a, i) > at(b, j))
        };
        let [theirs_positive, theirs_negative] = &mut theirs;
        let spans = spans(h);
        Some((
            side(&self.layout.positive, spans.0, positive, theirs_positive)?,
            side(&self.layout.negative, spans.1, negative, theirs_negative)?,
        ))
    }

    /// Gives the chunk the buckets that a histogram needs.
    fn grow(&mut self, positive: Fit, negative: Fit) {
        let mut layout = self.layout.clone();
        let mut grown = false;
        for (fit, spans) in [(positive, &mut layout.positive), (negative, &mut layout.negative)] {
            if let Fit::Grown(new) = fit {
                *spans = new;
                grown = true;
            }
        }
        if !grown {
            return;
        }
        let mut histograms = Vec::new();
        // What was written by this chunk can be read by it.
        let read = decode_native(self.encoding(), self.bytes(), i64::MIN, i64::MAX, |t, start, h| {
            histograms.push((t, start, layout.adapt(&h)));
        });
        debug_assert_eq!(read, Ok(()));
        let flags = self.flags();
        self.out = BitWriter::default();
        for (i, (t, start, h)) in histograms.iter().enumerate() {
            if i == 0 { self.begin(flags, *t, *start, h) } else { self.write(*t, *start, h) }
        }
    }

    /// Begins a chunk with a histogram, whose layout becomes the chunk's.
    fn begin(&mut self, flags: u8, t: i64, start: i64, h: &NativeHistogram) {
        self.out = BitWriter::default();
        crate::chunk::bits::reserve(&mut self.out.bytes, 64);
        let header = if self.starts.is_some() { [flags, 1, 0] } else { [0, 1, flags] };
        self.out.bytes.extend_from_slice(&header);
        debug_assert_eq!(self.out.bytes.len(), HEADER);
        // A staleness mark has no buckets.
        let empty = h.stale_like();
        let h = if h.is_stale() { &empty } else { h };
        self.layout = Layout::of(h);
        self.layout.write(&mut self.out);
        (self.t, self.delta) = (t, 0);
        self.sum_window = Some(Window::NONE);
        self.out.signed(t);
        match h {
            NativeHistogram::Integer(h) => {
                self.sum = h.sum;
                self.out.unsigned(h.count);
                self.out.unsigned(h.zero_count);
                self.out.f64(h.sum);
                let first = [h.count as i64, h.zero_count as i64];
                let buckets = || h.positive_buckets.iter().chain(&h.negative_buckets).copied();
                buckets().for_each(|b| self.out.signed(b));
                let count = |value| Count { value, delta: 0 };
                self.numbers = Numbers::Integers(first.into_iter().chain(buckets()).map(count).collect());
            }
            NativeHistogram::Float(h) => {
                self.sum = h.sum;
                let buckets = || h.positive_buckets.iter().chain(&h.negative_buckets).copied();
                for v in [h.count, h.zero_count, h.sum].into_iter().chain(buckets()) {
                    self.out.f64(v);
                }
                let real = |value| Real { value, window: Window::NONE };
                let all = [h.count, h.zero_count].into_iter().chain(buckets());
                self.numbers = Numbers::Floats(all.map(real).collect());
            }
        }
        self.starts = self.starts.map(|_| StartWriter::default());
        self.write_start(0, 0, start);
    }

    /// Writes a histogram of the chunk's own layout, or a staleness mark.
    fn write(&mut self, t: i64, start: i64, h: &NativeHistogram) {
        let (index, before) = (self.num_samples(), self.t);
        let delta = t.wrapping_sub(self.t);
        self.out.signed(delta.wrapping_sub(self.delta));
        (self.t, self.delta) = (t, delta);
        let out = &mut self.out;
        let mut window = self.sum_window.unwrap_or(Window::NONE);
        let is_stale = h.is_stale();
        let sum;
        match (&mut self.numbers, h) {
            (Numbers::Integers(all), NativeHistogram::Integer(h)) => {
                sum = h.sum;
                let first = [h.count as i64, h.zero_count as i64];
                let buckets = h.positive_buckets.iter().chain(&h.negative_buckets).copied();
                let values = first.into_iter().chain(buckets);
                for (i, (count, value)) in all.iter_mut().zip(values).enumerate() {
                    if is_stale && i < 2 {
                        out.signed(0);
                    } else if !is_stale {
                        let delta = value.wrapping_sub(count.value);
                        out.signed(delta.wrapping_sub(count.delta));
                        *count = Count { value, delta };
                    }
                    if i == 1 {
                        window.put(out, self.sum, sum);
                    }
                }
            }
            (Numbers::Floats(all), NativeHistogram::Float(h)) => {
                sum = h.sum;
                let buckets = h.positive_buckets.iter().chain(&h.negative_buckets).copied();
                let values = [h.count, h.zero_count].into_iter().chain(buckets);
                for (i, (real, value)) in all.iter_mut().zip(values).enumerate() {
                    if is_stale && i < 2 {
                        out.bits(0, 1);
                    } else if !is_stale {
                        real.window.put(out, real.value, value);
                        real.value = value;
                    }
                    if i == 1 {
                        window.put(out, self.sum, sum);
                    }
                }
            }
            _ => unreachable!("the kind was compared before"),
        }
        self.sum = sum;
        self.sum_window = Some(window);
        let flags = if self.starts.is_some() { u16::from(self.flags()) << 8 } else { 0 };
        if let Some(header) = self.out.bytes.first_chunk_mut::<2>() {
            *header = (flags | (index + 1)).to_be_bytes();
        }
        self.write_start(index, before, start);
    }

    /// Writes what follows histogram `index`, in a chunk that has room for it.
    fn write_start(&mut self, index: u16, before: i64, start: i64) {
        let Some(starts) = &mut self.starts else { return };
        let header = starts.put(&mut self.out, usize::from(index), before, self.t, start);
        if let Some(byte) = self.out.bytes.get_mut(2) {
            *byte = header;
        }
    }
}

fn width(spans: &[Span]) -> usize {
    spans.iter().map(|s| s.length as usize).sum()
}

fn spans(h: &NativeHistogram) -> (&[Span], &[Span]) {
    match h {
        NativeHistogram::Integer(h) => (&h.positive_spans, &h.negative_spans),
        NativeHistogram::Float(h) => (&h.positive_spans, &h.negative_spans),
    }
}

fn join_integers(layout: &Layout, ours: Vec<i64>, h: &Histogram) -> Option<(Fit, Fit)> {
    let (positive, negative) = ours.split_at(width(&layout.positive).min(ours.len()));
    let side = |chunk: &[Span], spans: &[Span], a: &[i64], deltas: &[i64]| {
        let b: Vec<i64> = absolute(deltas).collect();
        let at = |counts: &[i64], i: usize| counts.get(i).copied().unwrap_or(0);
        join(chunk, spans, |i| at(a, i) == 0, |i, j| at(a, i) > at(&b, j))
    };
    Some((
        side(&layout.positive, &h.positive_spans, positive, &h.positive_buckets)?,
        side(&layout.negative, &h.negative_spans, negative, &h.negative_buckets)?,
    ))
}

impl Layout {
    /// All but the buckets.
    fn head_of(h: &NativeHistogram) -> Self {
        let (schema, zero_threshold, custom_values) = match h {
            NativeHistogram::Integer(h) => (h.schema, h.zero_threshold, &h.custom_values),
            NativeHistogram::Float(h) => (h.schema, h.zero_threshold, &h.custom_values),
        };
        Layout { schema, zero_threshold, custom_values: custom_values.clone(), ..Layout::default() }
    }

    fn of(h: &NativeHistogram) -> Self {
        let (positive, negative) = spans(h);
        Layout { positive: positive.to_vec(), negative: negative.to_vec(), ..Layout::head_of(h) }
    }

    /// The same histogram with this layout's buckets, among which are all of its own.
    fn adapt(&self, h: &NativeHistogram) -> NativeHistogram {
        if h.is_stale() || spans(h) == (&self.positive[..], &self.negative[..]) {
            return h.clone();
        }
        match h {
            NativeHistogram::Integer(h) => {
                let side = |deltas: &[i64], from: &[Span], to: &[Span]| {
                    let counts: Vec<i64> = absolute(deltas).collect();
                    let mut before = 0;
                    let delta = |count: i64| count.wrapping_sub(std::mem::replace(&mut before, count));
                    spread(&counts, from, to).into_iter().map(delta).collect()
                };
                let positive_buckets = side(&h.positive_buckets, &h.positive_spans, &self.positive);
                let negative_buckets = side(&h.negative_buckets, &h.negative_spans, &self.negative);
                let (positive_spans, negative_spans) = (self.positive.clone(), self.negative.clone());
                let same = (**h).clone();
                Histogram { positive_spans, positive_buckets, negative_spans, negative_buckets, ..same }
                    .into()
            }
            NativeHistogram::Float(h) => {
                let mut same = (**h).clone();
                same.positive_buckets = spread(&h.positive_buckets, &h.positive_spans, &self.positive);
                same.negative_buckets = spread(&h.negative_buckets, &h.negative_spans, &self.negative);
                same.positive_spans = self.positive.clone();
                same.negative_spans = self.negative.clone();
                same.into()
            }
        }
    }

    fn write(&self, out: &mut BitWriter) {
        write_zero_threshold(out, self.zero_threshold);
        out.signed(i64::from(self.schema));
        for spans in [&self.positive, &self.negative] {
            out.unsigned(spans.len() as u64);
            for span in spans {
                out.unsigned(u64::from(span.length));
                out.signed(i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            out.unsigned(self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                write_custom_bound(out, bound);
            }
        }
    }
}

fn write_zero_threshold(out: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    // The exponent of a power of two, from 2^-243 (1) to 2^10 (254).
    let power = (bits >> 52) as i64 - 1023 + 244;
    if threshold == 0.0 && bits == 0 {
        out.bits(0, 8);
    } else if bits << 12 == 0 && (1..=254).contains(&power) {
        out.bits(power as u64, 8);
    } else {
        out.bits(255, 8);
        out.f64(threshold);
    }
}

fn write_custom_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    if (0.0..=MAX_THOUSANDTHS).contains(&(bound * 1000.0))
        && thousandths / 1000.0 == bound
        && !(bound == 0.0 && bound.is_sign_negative())
    {
        out.unsigned(thousandths as u64 + 1);
    } else {
        out.bits(0, 1);
        out.f64(bound);
    }
}

#[cfg(test)]
mod tests;
