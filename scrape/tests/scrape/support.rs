//! A storage that remembers what was appended, and an exporter that answers as told.
#![allow(unreachable_pub, clippy::unwrap_used)] // shared by the modules of this test

use flate2::write::GzEncoder;
use model::{FloatHistogram, Labels, is_stale};
use scrape::append::{AppendError, Appendable, Appender, Description, LazyLabels, SeriesRef};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Series by labels, each with its samples; refuses what a storage refuses.
#[derive(Clone, Default)]
pub struct Storage(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    series: Vec<(Labels, Vec<(i64, f64)>)>,
    commits: usize,
    looked_up: usize,
    descriptions: Option<Vec<String>>,
    full: bool,
    most: Option<usize>,
}

struct Batch {
    storage: Storage,
    samples: Vec<(usize, i64, f64)>,
    descriptions: Vec<String>,
}

impl Appendable for Storage {
    fn appender(&self) -> Box<dyn Appender> {
        Box::new(Batch { storage: self.clone(), samples: Vec::new(), descriptions: Vec::new() })
    }
}

impl Batch {
    fn take(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
        report: bool,
    ) -> Result<SeriesRef, AppendError> {
        let labels = &labels();
        let mut stored = self.storage.0.lock().unwrap();
        let index = if series.0 > 0 {
            series.0 as usize - 1
        } else {
            stored.looked_up += 1;
            let known = stored.series.iter().position(|(l, _)| l == labels);
            if known.is_none() && !report && stored.most.is_some_and(|most| stored.series.len() >= most) {
                return Err(AppendError::Full("no room".to_owned()));
            }
            known.unwrap_or_else(|| {
                stored.series.push((labels.clone(), Vec::new()));
                stored.series.len() - 1
            })
        };
        assert_eq!(&stored.series[index].0, labels, "reference of another series");
        let last = self.samples.iter().rev().find(|s| s.0 == index).map(|s| (s.1, s.2));
        match last.or(stored.series[index].1.last().copied()) {
            Some((before, _)) if t < before => return Err(AppendError::OutOfOrder),
            Some((before, value)) if t == before && v.to_bits() != value.to_bits() => {
                return Err(AppendError::Duplicate);
            }
            _ => {}
        }
        self.samples.push((index, t, v));
        Ok(SeriesRef(index as u64 + 1))
    }
}

impl Appender for Batch {
    fn append(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        self.take(series, labels, t, v, false)
    }

    fn append_report(
        &mut self,
        series: SeriesRef,
        labels: LazyLabels<'_>,
        t: i64,
        v: f64,
    ) -> Result<SeriesRef, AppendError> {
        self.take(series, labels, t, v, true)
    }

    fn append_histogram(
        &mut self,
        _: SeriesRef,
        _: LazyLabels<'_>,
        _: i64,
        _: &FloatHistogram,
    ) -> Result<SeriesRef, AppendError> {
        Err(AppendError::Storage("no histograms here".to_owned()))
    }

    fn takes_descriptions(&self) -> bool {
        self.storage.0.lock().unwrap().descriptions.is_some()
    }

    fn describe(&mut self, series: SeriesRef, labels: &Labels, description: Description<'_>) {
        let stored = self.storage.0.lock().unwrap();
        assert_eq!(&stored.series[series.0 as usize - 1].0, labels, "reference of another series");
        let Description { kind, unit, help } = description;
        self.descriptions.push(format!("{} {} {unit:?} {help:?}\n", labels.metric_name(), kind.as_str()));
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        let mut stored = self.storage.0.lock().unwrap();
        if stored.full {
            return Err(AppendError::Storage("no space left on device".to_owned()));
        }
        for (index, t, v) in self.samples {
            stored.series[index].1.push((t, v));
        }
        if let Some(descriptions) = &mut stored.descriptions {
            descriptions.extend(self.descriptions);
        }
        stored.commits += 1;
        Ok(())
    }
}

impl Storage {
    /// The samples at a time, one a line: labels and value, sorted; without the report unless asked for.
    pub fn at(&self, t: i64, report: bool) -> String {
        let stored = self.0.lock().unwrap();
        let mut lines = Vec::new();
        for (labels, samples) in &stored.series {
            let name = labels.metric_name();
            if !report && (name == "up" || name.starts_with("scrape_")) || name == "scrape_duration_seconds" {
                continue;
            }
            for (_, v) in samples.iter().filter(|(at, _)| *at == t) {
                let value = if is_stale(*v) { "stale".to_owned() } else { model::float::format_general(*v) };
                lines.push(format!("{labels} {value}\n"));
            }
        }
        lines.sort();
        lines.concat()
    }

    /// The value of a report's sample at a time.
    pub fn report(&self, name: &str, t: i64) -> Option<f64> {
        let stored = self.0.lock().unwrap();
        let of = stored.series.iter().find(|(l, _)| l.metric_name() == name)?;
        of.1.iter().find(|(at, _)| *at == t).map(|(_, v)| *v)
    }

    /// All times of a series, told by its metric's name and one label.
    pub fn times(&self, name: &str, label: (&str, &str)) -> Vec<(i64, bool)> {
        let stored = self.0.lock().unwrap();
        let of = stored.series.iter().find(|(l, _)| l.metric_name() == name && l.get(label.0) == label.1);
        of.map(|(_, samples)| samples.iter().map(|(t, v)| (*t, is_stale(*v))).collect()).unwrap_or_default()
    }

    /// How many appends came without a reference.
    pub fn looked_up(&self) -> usize {
        self.0.lock().unwrap().looked_up
    }

    /// How many batches there were.
    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().commits
    }

    /// What was said of series since the last call, a line each; none were taken before the first.
    pub fn descriptions(&self) -> String {
        let mut stored = self.0.lock().unwrap();
        stored.descriptions.get_or_insert_default().drain(..).collect()
    }

    /// Takes no new series beyond so many.
    pub fn set_most(&self, most: Option<usize>) {
        self.0.lock().unwrap().most = most;
    }

    /// Makes all commits fail, or not.
    pub fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }
}

/// How the exporter answers.
#[derive(Clone)]
pub enum Answer {
    /// With this text.
    Text(String),
    /// With this text, compressed.
    Gzip(String),
    /// With these bytes for the whole answer, head included.
    Raw(Vec<u8>),
    /// With a text that never ends.
    Endless,
    /// With compressed bytes that never end.
    EndlessGzip,
    /// Not at all.
    Hang,
}

/// A target.
#[derive(Clone)]
pub struct Exporter {
    /// `host:port`.
    pub address: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Exporter {
    /// Answers with a text until told otherwise.
    pub async fn new(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exporter = Exporter {
            address: listener.local_addr().unwrap().to_string(),
            answer: Arc::new(Mutex::new(Answer::Text(text.to_owned()))),
            asked: Arc::default(),
        };
        let serving = exporter.clone();
        let stage = runtime::Stage::detached("exporter");
        stage.clone().spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let serving = serving.clone();
                stage.spawn(async move { serving.serve(tcp).await });
            }
        });
        exporter
    }

    /// Changes the answer.
    pub fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Changes the text.
    pub fn text(&self, text: &str) {
        self.set(Answer::Text(text.to_owned()));
    }

    /// The head of the last request.
    pub fn asked(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }

    async fn serve(self, mut tcp: TcpStream) {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match tcp.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            self.asked.lock().unwrap().push(String::from_utf8(head).unwrap());
            let answer = self.answer.lock().unwrap().clone();
            if self.write(&mut tcp, answer).await.is_err() {
                return;
            }
        }
    }

    async fn write(&self, tcp: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
        match answer {
            Answer::Text(text) => {
                tcp.write_all(format!("{head}Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes()).await
            }
            Answer::Gzip(text) => {
                let zipped = gzip(text.as_bytes());
                let head =
                    format!("{head}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", zipped.len());
                tcp.write_all(head.as_bytes()).await?;
                tcp.write_all(&zipped).await
            }
            Answer::Raw(bytes) => {
                tcp.write_all(&bytes).await?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            Answer::Endless => {
                tcp.write_all(format!("{head}\r\n").as_bytes()).await?;
                loop {
                    tcp.write_all("a 1\n".repeat(1000).as_bytes()).await?;
                }
            }
            Answer::EndlessGzip => {
                tcp.write_all(format!("{head}Content-Encoding: gzip\r\n\r\n").as_bytes()).await?;
                let zipped = gzip("a 1\n".repeat(10_000_000).as_bytes());
                tcp.write_all(&zipped).await?;
                std::future::pending().await
            }
            Answer::Hang => std::future::pending().await,
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Labels from pairs, for target groups.
pub fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}
