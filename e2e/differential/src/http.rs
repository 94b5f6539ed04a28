//! HTTP on one kept-open connection of this machine.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// No query of a run takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A connection to a port of this machine.
pub(crate) struct Connection {
    input: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Connection { input: BufReader::new(stream) })
    }

    /// `GET`.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"), &[])
    }

    /// `POST` of a form.
    pub(crate) fn form(&mut self, path: &str, pairs: &[(&str, &str)]) -> Result<Answer> {
        let body: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={}", escape(v))).collect();
        self.post(path, "Content-Type: application/x-www-form-urlencoded\r\n", body.join("&").as_bytes())
    }

    /// `POST`; each header ends with a line break.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let length = body.len();
        self.send(
            &format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n"),
            body,
        )
    }

    fn send(&mut self, head: &str, body: &[u8]) -> Result<Answer> {
        let request = [head.as_bytes(), body].concat();
        self.input.get_mut().write_all(&request).context("send a request")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("not an HTTP answer: {line:?}"))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", v)) => length = Some(v.trim().parse::<usize>()?),
                Some(("transfer-encoding", v)) => chunked = v.trim() == "chunked",
                Some(_) => {}
                None => break,
            }
        }
        let mut body = Vec::new();
        match length {
            _ if chunked => loop {
                let line = self.line()?;
                let size = usize::from_str_radix(&line, 16).with_context(|| format!("chunk of {line:?}"))?;
                self.bytes(size, &mut body)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            },
            Some(length) => self.bytes(length, &mut body)?,
            None if status == 204 => {}
            None => bail!("an answer of unknown length"),
        }
        Ok(Answer { status, body })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line).context("read an answer")?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => bail!("the answer ends after {line:?}"),
        }
    }

    fn bytes(&mut self, size: usize, body: &mut Vec<u8>) -> Result<()> {
        let read = self.input.by_ref().take(size as u64).read_to_end(body).context("read an answer")?;
        if read < size {
            bail!("the answer ends after {read} of {size} bytes");
        }
        Ok(())
    }
}

/// Escapes a value of a query string or form.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() {
            out.push(char::from(b));
        } else {
            out += &format!("%{b:02X}");
        }
    }
    out
}
