//! `promtool push metrics`: sends an exposition to a remote write endpoint.

use crate::cli;
use crate::http::Server;
use crate::{Failure, Outcome, text};
use clap::{Args, Subcommand};
use exposition::{Entry, Format, MetricType, Parser, decode_labels};
use model::{Labels, LabelsBuilder};
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand, Debug)]
pub(crate) enum Subcommands {
    /// Push metrics to a remote write endpoint (for testing).
    Metrics(Options),
}

/// What `push metrics` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Label (NAME=VALUE) of all series. Can be repeated.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = cli::key_value, default_value = "job=promtool")]
    labels: Vec<(String, String)>,
    /// Longest time for one request.
    #[arg(long, default_value = "30s", value_parser = cli::duration)]
    timeout: i64,
    /// Header (NAME=VALUE) of the request. Can be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = cli::key_value)]
    headers: Vec<(String, String)>,
    /// Message to send: prometheus.WriteRequest or io.prometheus.write.v2.Request.
    #[arg(long = "protobuf_message", default_value = V1, value_parser = [V1, V2])]
    message: String,
    /// Path below the URL.
    #[arg(long = "remote-write.path", default_value = "/api/v1/write")]
    path: String,
    /// File with options of the HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
    /// URL of the server.
    #[arg(value_name = "REMOTE WRITE URL")]
    url: String,
    /// Files in the text format; standard input if none is given.
    #[arg(value_name = "METRIC FILES")]
    files: Vec<PathBuf>,
}

/// Names of the two messages.
const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

pub(crate) fn run(command: &Subcommands, clock: &SharedClock) -> Outcome {
    let Subcommands::Metrics(options) = command;
    let server = Server::new(&options.url, options.http_config_file.as_deref(), &options.headers)?;
    let mut failed = false;
    let mut push = |input: Result<Vec<u8>, Failure>, success: &str| {
        let pushed = input.and_then(|input| {
            let message = Message::read(&input, &options.labels, clock.now_ms())?;
            send(&server, options, &message)
        });
        match pushed {
            Ok(()) => println!("  SUCCESS: {success} pushed to remote write."),
            Err(error) => {
                eprintln!("  FAILED: {error}");
                failed = true;
            }
        }
    };
    if options.files.is_empty() {
        println!("Parsing standard input");
        let mut input = Vec::new();
        let read = std::io::stdin().read_to_end(&mut input).map_err(Failure::from);
        push(read.map(|_| input), "metrics");
    }
    for file in &options.files {
        let name = file.display();
        println!("Parsing metrics file {name}");
        let input = std::fs::read(file);
        let input = input.map_err(|e| Failure::new(format!("open {name}: {}", text::reason(&e))));
        push(input, &format!("metrics file {name}"));
    }
    if failed { Err(Failure::Said(1)) } else { Ok(()) }
}

fn send(server: &Server, options: &Options, message: &Message) -> Outcome {
    let v2 = options.message == V2;
    let bytes = if v2 { message.encode_v2() } else { message.encode_v1() };
    let body = snap::raw::Encoder::new().compress_vec(&bytes).map_err(Failure::new)?;
    let headers = if v2 {
        [
            ("content-encoding", "snappy"),
            ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            ("x-prometheus-remote-write-version", "2.0.0"),
        ]
    } else {
        [
            ("content-encoding", "snappy"),
            ("content-type", "application/x-protobuf"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ]
    };
    let limit = Duration::from_millis(options.timeout.max(1) as u64);
    let answer = server.post_within(limit, &server.url(&options.path), &headers, body)?;
    if !answer.status.is_success() {
        let body = String::from_utf8_lossy(&answer.body);
        let body = body.lines().next().unwrap_or_default();
        return Err(Failure::new(format!("server returned HTTP status {}: {body}\n", answer.status)));
    }
    let written = answer.headers.get("x-prometheus-remote-write-samples-written");
    let written: u64 = written.and_then(|w| w.to_str().ok()?.parse().ok()).unwrap_or(0);
    if v2 && written != message.series.len() as u64 {
        let sent = message.series.len();
        return Err(Failure::new(format!(
            "sent {sent} samples as version 2; the receiver says that it took {written}: it may know version 1 only"
        )));
    }
    Ok(())
}

/// What is sent: series with one sample each, and what is known of their metrics.
struct Message {
    series: Vec<(Labels, i64, f64)>,
    metadata: BTreeMap<String, (MetricType, String)>,
}

impl Message {
    /// Reads an exposition; samples without a time are of `now_ms`.
    fn read(input: &[u8], more: &[(String, String)], now_ms: i64) -> Result<Self, Failure> {
        let mut message = Message { series: Vec::new(), metadata: BTreeMap::new() };
        let mut parser = Parser::new(input, Format::Text);
        let known = |m: &mut Message, name: &str| {
            m.metadata.entry(name.to_owned()).or_insert((MetricType::Unknown, String::new()));
        };
        while let Some(entry) =
            parser.next(&[]).map_err(|e| Failure::new(format!("text format parsing error in {e}")))?
        {
            match entry {
                Entry::Help(name, help) => {
                    known(&mut message, &name);
                    message.metadata.entry(name.into_owned()).and_modify(|m| m.1 = help.into_owned());
                }
                Entry::Type(name, kind) => {
                    known(&mut message, &name);
                    message.metadata.entry(name.into_owned()).and_modify(|m| m.0 = kind);
                }
                Entry::Unit(..) | Entry::Comment(_) => {}
                Entry::Series(series) => {
                    let labels = decode_labels(series.raw, Format::Text).map_err(|cause| {
                        Failure::new(format!("text format parsing error in {}", parser.error(cause)))
                    })?;
                    let mut builder = LabelsBuilder::new(&labels);
                    for (name, value) in more {
                        builder.set(name, value);
                    }
                    message.series.push((builder.finish(), series.timestamp.unwrap_or(now_ms), series.value));
                }
            }
        }
        Ok(message)
    }

    /// `prometheus.WriteRequest`: series (1) of labels (1) and samples (2); metadata (3).
    fn encode_v1(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (labels, t, v) in &self.series {
            let mut series = Vec::new();
            for (name, value) in labels {
                let mut pair = Vec::new();
                put_bytes(&mut pair, 1, name.as_bytes());
                put_bytes(&mut pair, 2, value.as_bytes());
                put_bytes(&mut series, 1, &pair);
            }
            put_bytes(&mut series, 2, &sample(*t, *v));
            put_bytes(&mut out, 1, &series);
        }
        for (name, (kind, help)) in &self.metadata {
            let mut metadata = Vec::new();
            put_varint(&mut metadata, 1, kind_number(*kind));
            put_bytes(&mut metadata, 2, name.as_bytes());
            put_bytes(&mut metadata, 4, help.as_bytes());
            put_bytes(&mut out, 3, &metadata);
        }
        out
    }

    /// `io.prometheus.write.v2.Request`: symbols (4), of which the first is empty; series (5) of the symbols' numbers (1),
    /// samples (2) and metadata (5).
    fn encode_v2(&self) -> Vec<u8> {
        let mut symbols: Vec<&str> = vec![""];
        let mut numbers: FxHashMap<&str, u64> = [("", 0)].into_iter().collect();
        let mut all = Vec::new();
        for (labels, t, v) in &self.series {
            let mut number = |text| {
                *numbers.entry(text).or_insert_with(|| {
                    symbols.push(text);
                    symbols.len() as u64 - 1
                })
            };
            let mut refs = Vec::new();
            for (name, value) in labels {
                put_raw(&mut refs, number(name));
                put_raw(&mut refs, number(value));
            }
            let mut series = Vec::new();
            put_bytes(&mut series, 1, &refs);
            put_bytes(&mut series, 2, &sample(*t, *v));
            let name = labels.get(model::labels::METRIC_NAME);
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s));
            if let Some((kind, help)) = self.metadata.get(name).or(base.and_then(|b| self.metadata.get(b))) {
                let mut metadata = Vec::new();
                put_varint(&mut metadata, 1, kind_number(*kind));
                put_varint(&mut metadata, 3, number(help));
                put_bytes(&mut series, 5, &metadata);
            }
            all.push(series);
        }
        let mut out = Vec::new();
        for symbol in &symbols {
            put_tag(&mut out, 4, 2);
            put_raw(&mut out, symbol.len() as u64);
            out.extend_from_slice(symbol.as_bytes());
        }
        all.iter().for_each(|series| put_bytes(&mut out, 5, series));
        out
    }
}

/// A sample in either version: value (1), time (2).
fn sample(t: i64, v: f64) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(&mut out, 1, 1);
    out.extend_from_slice(&v.to_bits().to_le_bytes());
    put_varint(&mut out, 2, t as u64);
    out
}

/// The type's number in both versions.
fn kind_number(kind: MetricType) -> u64 {
    match kind {
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::Stateset => 7,
        MetricType::Unknown => 0,
    }
}

fn put_tag(out: &mut Vec<u8>, field: u64, wire: u64) {
    put_raw(out, field << 3 | wire);
}

fn put_raw(out: &mut Vec<u8>, value: u64) {
    tsdb::encoding::put_uvarint(out, value);
}

/// A number; 0 is left out, as the format has it.
fn put_varint(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        put_tag(out, field, 0);
        put_raw(out, value);
    }
}

/// Bytes, a text or a message; nothing where there are none.
fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_tag(out, field, 2);
        put_raw(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let more = [("job".to_owned(), "p".to_owned())];
        let message =
            Message::read(b"# HELP a h\n# TYPE a counter\na{x=\"1\"} 2\nb 3 5\n", &more, 7).unwrap();
        let series: Vec<String> = message.series.iter().map(|(l, t, v)| format!("{l} {v} @{t}")).collect();
        assert_eq!(series, [r#"{__name__="a", job="p", x="1"} 2 @7"#, r#"{__name__="b", job="p"} 3 @5"#]);
        let v1 = message.encode_v1();
        // series, its first label: name and value
        assert_eq!(&v1[..17], b"\x0a\x2e\x0a\x0d\x0a\x08__name__\x12\x01a");
        assert!(v1.ends_with(b"\x1a\x08\x08\x01\x12\x01a\x22\x01h"));
        let v2 = message.encode_v2();
        assert!(v2.starts_with(b"\x22\x00\x22\x08__name__\x22\x01a\x22\x03job\x22\x01p"));
        assert!(Message::read(b"a x\n", &more, 7).is_err());
    }
}
