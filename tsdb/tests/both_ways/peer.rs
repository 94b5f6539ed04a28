//! The real programs: starting, writing to, and reading from them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use model::histogram::{CounterReset, NativeHistogram, Span};
use model::{Labels, Value};

use crate::data::{self, Series};

/// The program that an environment variable names; one that is named must be there.
pub(crate) fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from)?;
    assert!(path.exists(), "{variable} names {}, which is not there", path.display());
    Some(path)
}

/// Compares what Prometheus answers on a directory with what was written. Staleness marks are left out: no query shows them.
#[track_caller]
pub(crate) fn assert_reads(program: &Path, dir: &Path, expected: &[Series]) {
    assert_reads_with(program, dir, "{}", expected);
}

/// The same, with a configuration.
#[track_caller]
pub(crate) fn assert_reads_with(program: &Path, dir: &Path, config: &str, expected: &[Series]) {
    assert_answers(&Prometheus::start(program, dir, config, &[]), expected);
}

/// The same, of a Prometheus with these flags.
#[track_caller]
#[allow(dead_code)] // each test program uses its part
pub(crate) fn assert_reads_after(program: &Path, dir: &Path, flags: &[&str], expected: &[Series]) {
    assert_answers(&Prometheus::start(program, dir, "{}", flags), expected);
}

/// Compares what a running Prometheus answers.
#[track_caller]
pub(crate) fn assert_answers(server: &Prometheus, expected: &[Series]) {
    let newest = expected.iter().flat_map(|s| &s.samples).map(|(t, _)| *t).max().unwrap();
    let query = "%7B__name__%3D~%22.%2B%22%7D%5B100d%5D";
    let (status, answer) = server.get(&format!("/api/v1/query?query={query}&time={}", newest / 1000 + 1));
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let mut found: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        let labels = series["metric"].as_object().unwrap();
        let labels =
            Labels::from_pairs(labels.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())));
        let samples = found.entry(labels.to_string()).or_default();
        let time = |point: &serde_json::Value| (point[0].as_f64().unwrap() * 1000.0).round() as i64;
        for point in series["values"].as_array().into_iter().flatten() {
            samples.insert(time(point), format!("{} {}", point[1].as_str().unwrap(), time(point)));
        }
        for point in series["histograms"].as_array().into_iter().flatten() {
            samples.insert(time(point), format!("{} {}", histogram_text(&point[1]), time(point)));
        }
    }
    assert_eq!(
        found.keys().cloned().collect::<Vec<_>>(),
        expected.iter().map(|s| s.labels.to_string()).collect::<Vec<_>>()
    );
    for (series, found) in expected.iter().zip(found.values()) {
        let found: Vec<&String> = found.values().collect();
        let shown = series.samples.iter().filter(|(_, value)| !value.is_stale());
        let wanted: Vec<String> = shown.map(data::text).collect();
        let lost: Vec<_> = wanted.iter().filter(|text| !found.contains(text)).collect();
        let strange: Vec<_> = found.iter().filter(|text| !wanted.contains(text)).collect();
        assert!(found.iter().copied().eq(&wanted), "{}: lost {lost:#?}, strange {strange:#?}", series.labels);
    }
}

/// A histogram of an answer, as [`data::text`] writes it.
fn histogram_text(h: &serde_json::Value) -> String {
    let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    let mut out = format!("{{count:{}, sum:{}", text(&h["count"]), text(&h["sum"]));
    for bucket in h["buckets"].as_array().into_iter().flatten() {
        let (left, right) = match bucket[0].as_u64().unwrap() {
            0 => ('(', ']'),
            1 => ('[', ')'),
            2 => ('(', ')'),
            _ => ('[', ']'),
        };
        out += &format!(", {left}{},{}{right}:{}", text(&bucket[1]), text(&bucket[2]), text(&bucket[3]));
    }
    out + "}"
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    child: Child,
    address: String,
    /// Its further output, read so that it never waits.
    _drain: std::thread::JoinHandle<()>,
}

impl Prometheus {
    /// Starts on a directory with this configuration, and waits until it is ready.
    pub(crate) fn start(program: &Path, dir: &Path, config: &str, flags: &[&str]) -> Self {
        let file = dir.with_extension("yml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--web.enable-remote-write-receiver"])
            .args(["--storage.tsdb.retention.time=100y"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut address, mut ready, mut said) = (None, false, String::new());
        // the two lines come from two threads
        while address.is_none() || !ready {
            let Some(Ok(line)) = lines.next() else { panic!("Prometheus ended:\n{said}") };
            // each program says it in a line of its own
            if let Some((_, rest)) = line.split_once("127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if !port.is_empty() && port != "0" {
                    address = Some(format!("127.0.0.1:{port}"));
                }
            }
            said += &line;
            said.push('\n');
            ready |= line.to_lowercase().contains("ready to receive web requests");
        }
        let drain = std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Prometheus { child, address: address.unwrap_or_default(), _drain: drain }
    }

    /// Writes all, a request for each hour, in order of time.
    pub(crate) fn write(&self, series: &[Series]) {
        let mut requests: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
        for one in series {
            for hour in one.samples.chunk_by(|a, b| a.0 / 3_600_000 == b.0 / 3_600_000) {
                let request = requests.entry(hour[0].0 / 3_600_000).or_default();
                // a message for each sample: floats and histograms stay in order
                for sample in hour.chunks(1) {
                    field(request, 1, &time_series(&one.labels, sample));
                }
            }
        }
        for request in requests.values() {
            let (status, answer) = self.post("/api/v1/write", request);
            assert_eq!(status, 204, "{answer}");
        }
    }

    /// Sends a request body, compressed; returns the answer.
    fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let body = snap::raw::Encoder::new().compress_vec(body).unwrap();
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.request(&[head.as_bytes(), &body].concat())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes())
    }

    /// A request without a body.
    #[allow(dead_code)] // each test program uses its part
    pub(crate) fn form(&self, path: &str) -> (u16, String) {
        self.request(format!("POST {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n").as_bytes())
    }

    /// In HTTP 1.0 the answer ends with the connection.
    fn request(&self, request: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status, body.unwrap_or(answer))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap();
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of bytes.
fn field(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn number(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn signed(out: &mut Vec<u8>, field: u64, value: i64) {
    number(out, field, (value << 1 ^ value >> 63) as u64);
}

fn double(out: &mut Vec<u8>, number: u64, value: f64) {
    varint(out, number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn doubles(out: &mut Vec<u8>, number: u64, values: &[f64]) {
    let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    field(out, number, &packed);
}

fn deltas(out: &mut Vec<u8>, number: u64, values: &[i64]) {
    let mut packed = Vec::new();
    values.iter().for_each(|&v| varint(&mut packed, (v << 1 ^ v >> 63) as u64));
    field(out, number, &packed);
}

fn spans(out: &mut Vec<u8>, at: u64, spans: &[Span]) {
    for span in spans {
        let mut message = Vec::new();
        signed(&mut message, 1, i64::from(span.offset));
        number(&mut message, 2, u64::from(span.length));
        field(out, at, &message);
    }
}

fn time_series(labels: &Labels, samples: &[(i64, Value)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut series, 1, &label);
    }
    for (t, value) in samples {
        match value {
            Value::Float(v) => {
                let mut sample = Vec::new();
                double(&mut sample, 1, *v);
                number(&mut sample, 2, *t as u64);
                field(&mut series, 2, &sample);
            }
            Value::Histogram(h) => field(&mut series, 4, &histogram(*t, h)),
        }
    }
    series
}

fn histogram(t: i64, h: &NativeHistogram) -> Vec<u8> {
    let mut out = Vec::new();
    let (sum, zero_threshold, custom) = match h {
        NativeHistogram::Integer(h) => {
            number(&mut out, 1, h.count);
            number(&mut out, 6, h.zero_count);
            spans(&mut out, 8, &h.negative_spans);
            deltas(&mut out, 9, &h.negative_buckets);
            spans(&mut out, 11, &h.positive_spans);
            deltas(&mut out, 12, &h.positive_buckets);
            (h.sum, h.zero_threshold, &h.custom_values)
        }
        NativeHistogram::Float(h) => {
            double(&mut out, 2, h.count);
            double(&mut out, 7, h.zero_count);
            spans(&mut out, 8, &h.negative_spans);
            doubles(&mut out, 10, &h.negative_buckets);
            spans(&mut out, 11, &h.positive_spans);
            doubles(&mut out, 13, &h.positive_buckets);
            (h.sum, h.zero_threshold, &h.custom_values)
        }
    };
    double(&mut out, 3, sum);
    signed(&mut out, 4, i64::from(h.schema()));
    double(&mut out, 5, zero_threshold);
    let hint = match h.counter_reset() {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    };
    number(&mut out, 14, hint);
    number(&mut out, 15, t as u64);
    if !custom.is_empty() {
        doubles(&mut out, 16, custom);
    }
    out
}
