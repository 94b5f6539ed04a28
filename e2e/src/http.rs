//! The few words of HTTP that the checks need: GET on a local port.

use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
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
    // The connection is kept open: kubectl resets a forwarded connection that the pod closes, and the answer's end with it.
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")?;
    read_answer(&mut BufReader::new(stream))
}

fn read_answer(input: &mut impl BufRead) -> Result<Answer> {
    let status_line = read_line(input)?;
    let status = status_line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("not an HTTP answer: {status_line:?}"))?;
    let (mut length, mut chunked) = (None, false);
    loop {
        let line = read_line(input)?.to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = Some(value.trim().parse().context("content-length")?),
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    match length {
        _ if chunked => loop {
            let line = read_line(input)?;
            let size =
                usize::from_str_radix(&line, 16).with_context(|| format!("not a chunk's size: {line:?}"))?;
            read_bytes(input, size, &mut body)?;
            read_line(input)?;
            if size == 0 {
                break;
            }
        },
        Some(length) => read_bytes(input, length, &mut body)?,
        None => bail!("an answer of unknown length"),
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    input.read_line(&mut line).context("read the answer")?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => bail!("the answer ends after {line:?}"),
    }
}

fn read_bytes(input: &mut impl BufRead, size: usize, body: &mut Vec<u8>) -> Result<()> {
    let start = body.len();
    input.take(size as u64).read_to_end(body).context("read the answer")?;
    let read = body.len() - start;
    if read < size {
        bail!("the answer ends after {read} of {size} bytes");
    }
    Ok(())
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

    #[track_caller]
    fn check(text: &str, expected: Option<(u16, &str)>) {
        let answer = read_answer(&mut text.as_bytes()).ok();
        assert_eq!(answer, expected.map(|(status, body)| Answer { status, body: body.to_owned() }));
    }

    #[test]
    fn answers() {
        check("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone and more", Some((404, "gone")));
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            Some((200, "abcd")),
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", None);
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", None);
        check("HTTP/1.1 many\r\n\r\n", None);
        check("garbage", None);
    }

    #[test]
    fn escaping() {
        assert_eq!(escape("up{a=\"b c\"}"), "up%7Ba%3D%22b%20c%22%7D");
    }
}
