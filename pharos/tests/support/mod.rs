//! A real server process on loopback, targets for it to scrape, and a few lines of HTTP.
#![allow(dead_code, unreachable_pub)] // each test program uses its part
#![allow(clippy::disallowed_methods)] // a real process is waited for by the real clock

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Nothing here takes longer on the slowest machine, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of log that a test may leave unread; the reader then waits, and so does the server.
const LOG_CAPACITY: usize = 100_000;

/// A `pharos server` that ends with the test.
pub struct Server {
    child: Child,
    log: Receiver<String>,
    seen: String,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server on a free port; waits until it says that it is ready.
    pub fn start(dir: &Path, config: &str, flags: &[&str]) -> Server {
        std::fs::write(dir.join("prometheus.yml"), config).unwrap();
        Server::restart(dir, flags)
    }

    /// Starts a server on what is there already.
    pub fn restart(dir: &Path, flags: &[&str]) -> Server {
        let mut server = Server::with_log(dir, flags, LOG_CAPACITY);
        server.wait_until_ready();
        server
    }

    /// Starts a server whose log is read up to the line that says that it is ready, and then no further.
    pub fn with_unread_log(dir: &Path) -> Server {
        // the reader's thread hands over a line only when the test takes it
        let mut server = Server::with_log(dir, &[], 0);
        server.wait_until_ready();
        server
    }

    fn with_log(dir: &Path, flags: &[&str], capacity: usize) -> Server {
        let mut child = command(dir, flags).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = sync_channel(capacity);
        std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { return };
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Server { child, log, seen: String::new(), address: ([127, 0, 0, 1], 0).into() }
    }

    fn wait_until_ready(&mut self) {
        let ready = self.wait_for_log("ready to receive web requests");
        let port =
            ready.split("127.0.0.1:").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
        self.address.set_port(port.parse().unwrap());
    }

    /// A line of the log that contains a text, be it there already.
    pub fn find_in_log(&mut self, text: &str) -> String {
        match self.seen.lines().find(|line| line.contains(text)) {
            Some(line) => line.to_owned(),
            None => self.wait_for_log(text),
        }
    }

    /// The next line of the log that contains a text.
    pub fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("the log never said {text:?}:\n{}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the server ended before it said {text:?}:\n{}", self.seen)
                }
            }
        }
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        request(self.address, &format!("GET {path} HTTP/1.1\r\n"), b"")
    }

    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n{headers}", body.len());
        request(self.address, &head, body)
    }

    /// The `data` of a successful answer.
    pub fn data(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        let mut answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{body}");
        answer["data"].take()
    }

    /// The value of an instant query with one result, or none.
    pub fn value(&self, query: &str) -> Option<f64> {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let data = self.data(&format!("/api/v1/query?query={encoded}"));
        data["result"][0]["value"][1].as_str().map(|v| v.parse().unwrap())
    }

    /// Asks until the answer satisfies; panics with the last one where it never does.
    pub fn until<T: std::fmt::Debug>(
        &self,
        what: &str,
        ask: impl Fn(&Server) -> T,
        good: impl Fn(&T) -> bool,
    ) -> T {
        let began = std::time::Instant::now();
        loop {
            let answer = ask(self);
            if good(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: last answer {answer:?}");
            // new log lines are the server's own sign that something happened; else look again after a moment
            let _ = self.log.recv_timeout(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().unwrap().code()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with its usual flags.
pub fn command(dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command
        .arg("server")
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle", "--web.enable-admin-api"])
        .args(["--web.enable-remote-write-receiver"])
        .args(flags);
    command
}

fn request(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{head}Host: localhost\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunk(body) } else { body.to_owned() })
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}

/// A target on loopback; lives as long as the test program. `behave` is what it does with a connection, after the request was read.
pub fn target(behave: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let behave = std::sync::Arc::new(behave);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let behave = behave.clone();
            std::thread::spawn(move || {
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone()?);
                while reader.read_line(&mut line)? > 2 {
                    line.clear();
                }
                behave(&mut stream)
            });
        }
    });
    address
}

/// A well-behaved exposition.
pub fn text(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A configuration with one job a target.
pub fn jobs(targets: &[(&str, SocketAddr)]) -> String {
    let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n");
    for (job, address) in targets {
        config += &format!(
            "- {{job_name: {job}, body_size_limit: 1MB, static_configs: [{{targets: ['{address}']}}]}}\n"
        );
    }
    config
}
