//! The few words of HTTP that the checks need: GET on a local port.

use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// No answer of a healthy server takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Fetches a path, with its query already escaped, from a port of this machine.
pub(crate) fn get(port: u16, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP 1.0: the answer is not chunked and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read the answer")?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Result<Answer> {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        bail!("not an HTTP answer: {:?}", text.chars().take(80).collect::<String>());
    };
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok(Answer { status: status.with_context(|| format!("no status in {head:?}"))?, body: body.to_owned() })
}

/// Escapes a value of a query string.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            // writing to a string does not fail
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let answer = parse("HTTP/1.0 404 Not Found\r\ncontent-length: 4\r\n\r\ngone").unwrap();
        assert_eq!(answer, Answer { status: 404, body: "gone".into() });
        assert!(parse("garbage").is_err());
        assert!(parse("HTTP/1.0 many\r\n\r\n").is_err());
    }

    #[test]
    fn escaping() {
        assert_eq!(escape("up{a=\"b c\"}"), "up%7Ba%3D%22b%20c%22%7D");
    }
}
