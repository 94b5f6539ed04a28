//! A Prometheus of one's own: started on a free port of this machine over a directory of its own, filled, asked, ended.

use crate::answer::Answer;
use crate::data::Series;
use crate::http::Connection;
use crate::query::{Query, When};
use crate::write;
use anyhow::{Context as _, Result, bail};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Features that a Prometheus needs to know all of the language.
const FEATURES: &str = "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,\
                        promql-duration-expr,promql-per-step-stats,exemplar-storage";

/// A running Prometheus.
pub(crate) struct Reference {
    process: Child,
    port: u16,
    connection: Connection,
    directory: PathBuf,
}

impl Reference {
    /// Starts one, and writes the series into it. `delayed_names`: with `promql-delayed-name-removal`, `type-and-unit-labels` and
    /// `use-start-timestamps`.
    pub(crate) fn start(
        binary: &Path,
        directory: &Path,
        series: &[Series],
        delayed_names: bool,
    ) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let config = directory.join("prometheus.yml");
        std::fs::write(&config, "global:\n  evaluation_interval: 1m\n")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let more = if delayed_names {
            ",promql-delayed-name-removal,type-and-unit-labels,use-start-timestamps"
        } else {
            ""
        };
        let log = std::fs::File::create(directory.join("log"))?;
        let process = Command::new(binary)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--enable-feature={FEATURES}{more}"))
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let mut guard = Process(Some(process));
        let connection = wait_ready(port, directory, &mut guard)?;
        let process = guard.0.take().context("the process is gone")?;
        let mut reference = Reference { process, port, connection, directory: directory.to_owned() };
        reference.fill(series)?;
        Ok(reference)
    }

    fn fill(&mut self, series: &[Series]) -> Result<()> {
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                       X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        for body in write::bodies(series) {
            let answer = self.connection.post("/api/v1/write", headers, &body)?;
            if answer.status / 100 != 2 {
                bail!("samples refused ({}): {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(())
    }

    /// Its answer to a query.
    pub(crate) fn ask(&mut self, query: &Query) -> Result<Answer> {
        let seconds =
            |ms: i64| format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000);
        let mut pairs = vec![("query", query.text.clone()), ("stats", "all".to_owned())];
        if let Some(lookback) = query.lookback {
            pairs.push(("lookback_delta", format!("{lookback}ms")));
        }
        let path = match query.when {
            When::At(t) => {
                pairs.push(("time", seconds(t)));
                "/api/v1/query"
            }
            When::Range { start, end, step } => {
                pairs.extend([
                    ("start", seconds(start)),
                    ("end", seconds(end)),
                    ("step", format!("{step}ms")),
                ]);
                "/api/v1/query_range"
            }
        };
        Answer::from_json(&self.post(path, &pairs)?)
    }

    /// What `format_query` or `parse_query` say, or the error's text.
    pub(crate) fn text(&mut self, endpoint: &str, query: &str) -> Result<Result<serde_json::Value, String>> {
        let body = self.post(&format!("/api/v1/{endpoint}"), &[("query", query.to_owned())])?;
        // it cannot write a tree with NaN or Inf among the fill values, and answers in plain text
        let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(&body) else {
            return Ok(Err(String::from_utf8_lossy(&body).into_owned()));
        };
        match json["status"].as_str() {
            Some("success") => Ok(Ok(json["data"].take())),
            _ => Ok(Err(json["error"].as_str().unwrap_or_default().to_owned())),
        }
    }

    fn post(&mut self, path: &str, pairs: &[(&str, String)]) -> Result<Vec<u8>> {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (*k, v.as_str())).collect();
        match self.connection.form(path, &pairs) {
            Ok(answer) => Ok(answer.body),
            // a server closes a connection after an error of its own: once more with a new one
            Err(_) => {
                self.connection = Connection::open(self.port).with_context(|| self.last_words())?;
                Ok(self.connection.form(path, &pairs)?.body)
            }
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        format!("Prometheus is gone; its last words: {tail:#?}")
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // it holds nothing worth an orderly end
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends a process that did not become ready.
struct Process(Option<Child>);

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn wait_ready(port: u16, directory: &Path, process: &mut Process) -> Result<Connection> {
    for _ in 0..600 {
        if let Some(status) = process.0.as_mut().and_then(|p| p.try_wait().ok().flatten()) {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            bail!("Prometheus ended at once ({status}): {log}");
        }
        if let Ok(mut connection) = Connection::open(port)
            && connection.get("/-/ready").is_ok_and(|a| a.status == 200)
        {
            return Ok(connection);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("Prometheus is not ready after a minute: see {}", directory.join("log").display())
}
