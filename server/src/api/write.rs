//! Remote write 1.0 in: a snappy-compressed protobuf `WriteRequest`, decoded in place.
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3 }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4 }
//! Label        { string name = 1; string value = 2 }
//! Exemplar     { repeated Label labels = 1; double value = 2; int64 timestamp = 3 }
//! Sample       { double value = 1; int64 timestamp = 2 }
//! ```

mod histogram;
mod receive;

use super::error::{ApiError, ErrorType};
use crate::State;
use crate::gate::Gate;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use model::{Labels, NativeHistogram};
use std::hash::Hasher as _;
use std::sync::Arc;

/// A sample so far in the future is refused, as by the original: it would move the window of what can be written away from now.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Why a request cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Error {
    #[error("protobuf: message ends in the middle of a field at byte {0}")]
    Truncated(usize),
    #[error("protobuf: field {field} has wire type {wire} at byte {at}")]
    WireType { field: u64, wire: u64, at: usize },
    #[error("protobuf: label is not UTF-8")]
    Utf8,
}

/// Fields of a message, one after another.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Fields { bytes, at: 0 }
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Error::Truncated(self.at))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Truncated(self.at))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(len).ok_or(Error::Truncated(self.at))?;
        let taken = self.bytes.get(self.at..end).ok_or(Error::Truncated(self.at))?;
        self.at = end;
        Ok(taken)
    }

    /// The next field's number and content.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Error> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let (field, wire) = (key >> 3, key & 7);
        let content = match wire {
            0 => Field::Varint(self.varint()?),
            1 => {
                let mut raw = [0; 8];
                raw.copy_from_slice(self.take(8)?);
                Field::Fixed64(u64::from_le_bytes(raw))
            }
            2 => {
                let len = self.varint()?;
                Field::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            _ => return Err(Error::WireType { field, wire, at: self.at }),
        };
        Ok(Some((field, content)))
    }
}

/// One series of a request, its parts still encoded.
#[derive(Default)]
struct Series<'a> {
    labels: Vec<&'a [u8]>,
    samples: Vec<(i64, f64)>,
    histograms: Vec<(i64, NativeHistogram)>,
    exemplars: Vec<&'a [u8]>,
}

impl<'a> Series<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Error> {
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        let mut fields = Fields::new(message);
        while let Some((number, content)) = fields.next()? {
            match (number, content) {
                (1, Field::Bytes(label)) => self.labels.push(label),
                (2, Field::Bytes(sample)) => self.samples.push(read_sample(sample)?),
                (3, Field::Bytes(exemplar)) => self.exemplars.push(exemplar),
                (4, Field::Bytes(h)) => self.histograms.push(histogram::read(h)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// How many samples, histograms among them.
    fn len(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// The time of a sample: histograms come behind the floats.
    fn time(&self, i: usize) -> i64 {
        self.samples.get(i).map_or_else(|| self.histograms[i - self.samples.len()].0, |&(t, _)| t)
    }

    fn append(
        &self,
        i: usize,
        appender: &mut tsdb::Appender,
        reference: u64,
        labels: &Labels,
    ) -> Result<u64, tsdb::AppendError> {
        match self.samples.get(i) {
            Some(&(t, v)) => appender.append(reference, labels, t, v),
            None => {
                let (t, h) = &self.histograms[i - self.samples.len()];
                appender.append_histogram(reference, labels, *t, h)
            }
        }
    }

    /// A hash of the labels as they are encoded, and that encoding's length.
    fn fingerprint(&self) -> (u64, usize) {
        let mut hasher = rustc_hash::FxHasher::default();
        let mut len = 0;
        for label in &self.labels {
            hasher.write(label);
            len += label.len();
        }
        (hasher.finish(), len)
    }

    fn is(&self, encoded: &[u8]) -> bool {
        let mut rest = encoded;
        self.labels.iter().all(|label| match rest.strip_prefix(*label) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        }) && rest.is_empty()
    }

    fn decode_labels(&self) -> Result<Labels, Refusal> {
        decode_labels(&self.labels)
    }
}

/// Label messages as a label set.
fn decode_labels(labels: &[&[u8]]) -> Result<Labels, Refusal> {
    let mut pairs = Vec::with_capacity(labels.len());
    for label in labels {
        let (mut name, mut value) = ("", "");
        let mut fields = Fields::new(label);
        while let Some((number, content)) = fields.next()? {
            match (number, content) {
                (1, Field::Bytes(text)) => name = std::str::from_utf8(text).map_err(|_| Error::Utf8)?,
                (2, Field::Bytes(text)) => value = std::str::from_utf8(text).map_err(|_| Error::Utf8)?,
                _ => {}
            }
        }
        pairs.push((name, value));
    }
    pairs.sort_unstable();
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(Refusal::Labels(format!("label {:?} given twice", twice[0].0)));
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err(Refusal::Labels("label without a name".to_owned()));
    }
    Ok(Labels::from_sorted(pairs.into_iter().filter(|(_, value)| !value.is_empty())))
}

/// Reads an exemplar.
fn read_exemplar(message: &[u8]) -> Result<tsdb::Exemplar, Refusal> {
    let (mut labels, mut t, mut v) = (Vec::new(), 0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((number, content)) = fields.next()? {
        match (number, content) {
            (1, Field::Bytes(label)) => labels.push(label),
            (2, Field::Fixed64(bits)) => v = f64::from_bits(bits),
            (3, Field::Varint(ms)) => t = ms as i64,
            _ => {}
        }
    }
    Ok(tsdb::Exemplar { labels: decode_labels(&labels)?, t, v })
}

enum Refusal {
    Decode(Error),
    Labels(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Decode(error)
    }
}

fn read_sample(message: &[u8]) -> Result<(i64, f64), Error> {
    let (mut t, mut v) = (0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((number, content)) = fields.next()? {
        match (number, content) {
            (1, Field::Fixed64(bits)) => v = f64::from_bits(bits),
            (2, Field::Varint(ms)) => t = ms as i64,
            _ => {}
        }
    }
    Ok((t, v))
}

/// Series that were written before: spares decoding and looking up their labels. A sender repeats the same encoding.
#[derive(Default)]
pub(crate) struct RefCache(parking_lot::RwLock<rustc_hash::FxHashMap<u64, Known>>);

struct Known {
    encoded: Box<[u8]>,
    series: u64,
}

/// Some 250 bytes an entry: 32 MiB at most. Beyond, the cache starts anew: a slower write, nothing lost.
const REF_CACHE_CAPACITY: usize = 1 << 17;
/// Bytes of an entry, about.
const REF_CACHE_ENTRY: usize = 250;

impl RefCache {
    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.0.read().len() * REF_CACHE_ENTRY
    }

    fn get(&self, fingerprint: u64, series: &Series<'_>) -> u64 {
        self.0
            .read()
            .get(&fingerprint)
            .filter(|known| series.is(&known.encoded))
            .map_or(0, |known| known.series)
    }

    fn put(&self, fingerprint: u64, len: usize, series: &Series<'_>, found: u64) {
        let mut encoded = Vec::with_capacity(len);
        series.labels.iter().for_each(|label| encoded.extend_from_slice(label));
        let mut known = self.0.write();
        if known.len() >= REF_CACHE_CAPACITY {
            known.clear();
        }
        known.insert(fingerprint, Known { encoded: encoded.into_boxed_slice(), series: found });
    }
}

/// What a request left behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    samples: usize,
    histograms: usize,
    exemplars: usize,
    refused: usize,
    first_refusal: Option<String>,
}

impl Outcome {
    fn refuse(&mut self, samples: usize, why: impl FnOnce() -> String) {
        self.refused += samples;
        self.first_refusal.get_or_insert_with(why);
    }
}

/// Appends all of a request. What is refused harms nothing else.
///
/// Series that are refused because the head is full are told with 400, as all that is refused for good: after any status that has
/// senders try again, they would repeat the whole request, and the samples of known series behind it would wait for ever.
fn append(
    db: &tsdb::Db,
    gate: &Gate,
    cache: &RefCache,
    body: &[u8],
    now_ms: i64,
) -> Result<Outcome, ApiError> {
    let latest = now_ms + MAX_AHEAD_MS;
    let bad = |e: Error| ApiError::new(ErrorType::BadData, e);
    let storage = |e: tsdb::AppendError| ApiError::new(ErrorType::Internal, e);
    let mut appender = db.appender();
    let mut outcome = Outcome::default();
    let mut series = Series::default();
    let mut fields = Fields::new(body);
    while let Some((number, content)) = fields.next().map_err(bad)? {
        let (1, Field::Bytes(message)) = (number, content) else { continue };
        series.read(message).map_err(bad)?;
        let (fingerprint, len) = series.fingerprint();
        let mut known = cache.get(fingerprint, &series);
        let mut labels = Labels::empty();
        for i in 0..series.len() {
            let mut result = match series.time(i) > latest {
                true => Err(tsdb::AppendError::OutOfBounds),
                false => series.append(i, &mut appender, known, &labels),
            };
            // the first of a new series, or of one that left memory since: now the labels are needed
            if matches!(result, Err(tsdb::AppendError::InvalidLabels(_))) && labels.is_empty() {
                labels = match series.decode_labels() {
                    Ok(labels) => labels,
                    Err(Refusal::Decode(error)) => return Err(bad(error)),
                    Err(Refusal::Labels(why)) => {
                        outcome.refuse(series.len() - i, || why);
                        break;
                    }
                };
                if !gate.admits(0) && appender.reference_of(&labels).is_none() {
                    let why = gate.refuse();
                    outcome
                        .refuse(series.len() - i, || format!("new series refused: {why}: series {labels}"));
                    break;
                }
                result = series.append(i, &mut appender, 0, &labels);
            }
            match result {
                Ok(found) => {
                    match i < series.samples.len() {
                        true => outcome.samples += 1,
                        false => outcome.histograms += 1,
                    }
                    if found != known {
                        known = found;
                        cache.put(fingerprint, len, &series, found);
                    }
                }
                Err(error @ tsdb::AppendError::Storage(_)) => return Err(storage(error)),
                Err(error) => outcome.refuse(1, || {
                    let name = series.decode_labels().map(|l| l.to_string()).unwrap_or_default();
                    format!("{error}: series {name} at {}", series.time(i))
                }),
            }
        }
        // A refused exemplar does not refuse the samples it belongs to, as with Prometheus. Senders put it into a message of its own.
        for message in &series.exemplars {
            let stored = read_exemplar(message).and_then(|exemplar| {
                let first = appender.append_exemplar(known, &labels, &exemplar);
                if first != Err(tsdb::AppendError::UnknownSeries) || !labels.is_empty() {
                    return Ok(first);
                }
                labels = series.decode_labels()?;
                Ok(appender.append_exemplar(0, &labels, &exemplar))
            });
            match stored {
                Ok(Ok(_)) => outcome.exemplars += 1,
                Ok(Err(error)) => tracing::debug!(%error, "an exemplar was refused"),
                Err(Refusal::Decode(error)) => return Err(bad(error)),
                Err(Refusal::Labels(why)) => tracing::debug!(why, "an exemplar was refused"),
            }
        }
    }
    appender.commit().map_err(storage)?;
    // What is acknowledged is on disk: also what an earlier attempt of the same request brought.
    db.sync().map_err(|e| ApiError::new(ErrorType::Internal, e))?;
    Ok(outcome)
}

/// `POST /api/v1/write`.
pub(super) async fn handle(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Response {
    if !state.options.web_enable_remote_write_receiver {
        let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let text = |name| headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok()).unwrap_or("");
    let kind = text("content-type");
    if !receive::is_version_1(kind) {
        // what senders of version 2 look for, to go on with version 1 where they can
        let text = format!(
            "{kind:?} is not accepted by this server: only prometheus.WriteRequest in application/x-protobuf is\n"
        );
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let encoding = text("content-encoding");
    if !encoding.is_empty() && encoding != "snappy" {
        let text = format!("{encoding:?} encoding is not accepted: snappy\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let (compressed, _held) = match receive::body(&state, &headers, body).await {
        Ok(received) => received,
        Err(refusal) => return refusal.into_response(),
    };
    let result = tokio::task::block_in_place(|| {
        let bad = |e: &dyn std::fmt::Display| ApiError::new(ErrorType::BadData, format!("snappy: {e}"));
        let len = snap::raw::decompress_len(&compressed).map_err(|e| bad(&e))?;
        if len > receive::MAX_DECODED_BYTES {
            let most = receive::MAX_DECODED_BYTES;
            return Err(bad(&format!("{len} bytes decoded exceed the limit of {most}")));
        }
        let body = snap::raw::Decoder::new().decompress_vec(&compressed).map_err(|e| bad(&e))?;
        append(&state.db, &state.gate, &state.write_refs, &body, state.clock.now_ms())
    });
    state.metrics.remote_write_requests.inc();
    match result {
        Ok(Outcome { samples, histograms, exemplars, refused: 0, .. }) => {
            let written = [
                ("X-Prometheus-Remote-Write-Samples-Written", samples.to_string()),
                ("X-Prometheus-Remote-Write-Histograms-Written", histograms.to_string()),
                ("X-Prometheus-Remote-Write-Exemplars-Written", exemplars.to_string()),
            ];
            (StatusCode::NO_CONTENT, written).into_response()
        }
        Ok(outcome) => {
            let why = outcome.first_refusal.unwrap_or_default();
            tracing::warn!(
                refused = outcome.refused,
                stored = outcome.samples,
                first = why,
                "remote write refused samples"
            );
            (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
        }
        Err(error) if error.kind == ErrorType::BadData => {
            (StatusCode::BAD_REQUEST, error.message + "\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.message + "\n").into_response(),
    }
}
