//! A connection whose request targets may hold what RFC 3986 wants encoded: `curl 'host/api/v1/query?query=up{a="b"}>0'`.
//!
//! Go's servers take such targets, so scripts send them; the parser below axum refuses `"`, `<` and `>`. They are encoded here
//! on their way in. Invariant: nothing but the first line of a request is ever changed.

use bytes::{Buf as _, BytesMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};

/// A longer header line than this is none of the two that are looked for.
const MAX_NOTED: usize = 64;

/// A connection of a client.
#[derive(Debug)]
pub(crate) struct Lenient<I> {
    io: I,
    place: Place,
    /// What was read and changed, on its way to the reader.
    pending: BytesMut,
}

/// Where in the stream of requests the next byte stands.
#[derive(Debug)]
enum Place {
    /// In the first line of a request, or before it.
    RequestLine { begun: bool },
    /// In a header line: its beginning, and how long the body will be as far as it is known.
    Header { line: Vec<u8>, body: u64 },
    /// In a body that has so many bytes to go.
    Body(u64),
    /// The rest cannot be followed (a body in chunks, another protocol): it is left as it is.
    Opaque,
}

impl<I> Lenient<I> {
    pub(crate) fn new(io: I) -> Self {
        Lenient { io, place: Place::RequestLine { begun: false }, pending: BytesMut::new() }
    }
}

impl<I> Lenient<I> {
    /// Whether all requests that began to come have come as a whole, and been read.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.place, Place::RequestLine { begun: false }) && self.pending.is_empty()
    }
}

impl Place {
    /// Walks over bytes up to the first one that must be encoded, and returns how many those are.
    fn walk(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Place::Opaque => return bytes.len(),
                Place::Body(left) => {
                    let step = (*left).min((bytes.len() - at) as u64);
                    *left -= step;
                    at += step as usize;
                    if *left == 0 {
                        *self = Place::RequestLine { begun: false };
                    }
                }
                Place::RequestLine { begun } => {
                    match bytes[at..].iter().position(|b| must_encode(*b) || *b == b'\n') {
                        None => {
                            *begun = true;
                            return bytes.len();
                        }
                        Some(n) if bytes[at + n] != b'\n' => {
                            *begun = true;
                            return at + n;
                        }
                        Some(n) => {
                            at += n + 1;
                            *self = Place::Header { line: Vec::new(), body: 0 };
                        }
                    }
                }
                Place::Header { line, body } => {
                    let rest = &bytes[at..];
                    let end = rest.iter().position(|b| *b == b'\n');
                    let part = &rest[..end.unwrap_or(rest.len())];
                    line.extend(part.iter().take(MAX_NOTED.saturating_sub(line.len())));
                    at += part.len();
                    if end.is_some() {
                        at += 1;
                        match header(line) {
                            Header::End if *body == 0 => *self = Place::RequestLine { begun: false },
                            Header::End => *self = Place::Body(*body),
                            Header::Length(length) => *body = length,
                            Header::Untrackable => *self = Place::Opaque,
                            Header::Other => {}
                        }
                        if let Place::Header { line, .. } = self {
                            line.clear();
                        }
                    }
                }
            }
        }
        at
    }
}

/// What a header line says about where the next request begins.
enum Header {
    End,
    Length(u64),
    Untrackable,
    Other,
}

fn header(line: &[u8]) -> Header {
    let Ok(line) = std::str::from_utf8(line) else { return Header::Other };
    if line.trim_end().is_empty() {
        return Header::End;
    }
    let Some((name, value)) = line.split_once(':') else { return Header::Other };
    if name.eq_ignore_ascii_case("content-length") {
        return value.trim().parse().map_or(Header::Untrackable, Header::Length);
    }
    if name.eq_ignore_ascii_case("transfer-encoding") || name.eq_ignore_ascii_case("upgrade") {
        return Header::Untrackable;
    }
    Header::Other
}

/// Whether a byte of a request line is refused although it is no control character.
fn must_encode(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|')
}

impl<I: AsyncRead + Unpin> AsyncRead for Lenient<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.pending.is_empty() {
            let before = to.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, to))?;
            let mut rest = &to.filled()[before..];
            let mut kept = this.place.walk(rest);
            if kept == rest.len() {
                return Poll::Ready(Ok(()));
            }
            let first = before + kept;
            while kept < rest.len() {
                this.pending.extend_from_slice(&rest[..kept]);
                let byte = rest[kept];
                this.pending.extend_from_slice(format!("%{byte:02X}").as_bytes());
                rest = &rest[kept + 1..];
                kept = this.place.walk(rest);
            }
            this.pending.extend_from_slice(rest);
            // What came before the first change stands in both.
            this.pending.advance(first - before);
            to.set_filled(first);
        }
        let n = this.pending.len().min(to.remaining());
        to.put_slice(&this.pending[..n]);
        this.pending.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Lenient<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// What a reader gets of a stream that comes in parts of this size, read with a buffer of that size.
    fn read(stream: &[u8], part: usize, buffer: usize) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = io::duplex(part);
            let mut lenient = Lenient::new(server);
            let send = async move { client.write_all(stream).await.unwrap() };
            let receive = async move {
                let (mut all, mut some) = (Vec::new(), vec![0; buffer]);
                loop {
                    match lenient.read(&mut some).await.unwrap() {
                        0 => return String::from_utf8(all).unwrap(),
                        n => all.extend_from_slice(&some[..n]),
                    }
                }
            };
            tokio::join!(send, receive).1
        })
    }

    #[test]
    fn targets_are_encoded_and_nothing_else() {
        let stream = "GET /q?query=up{a=\"b\"}>0 HTTP/1.1\r\nA: \"<>\"\r\n\r\n\
            POST /w?x=<> HTTP/1.1\r\ncontent-LENGTH: 17\r\n\r\nGET /\"<>\" HTTP\r\n\r\
            GET /|^`\\ HTTP/1.1\r\n\r\nPOST /\" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\"\"\r\n";
        let expected = "GET /q?query=up{a=%22b%22}%3E0 HTTP/1.1\r\nA: \"<>\"\r\n\r\n\
            POST /w?x=%3C%3E HTTP/1.1\r\ncontent-LENGTH: 17\r\n\r\nGET /\"<>\" HTTP\r\n\r\
            GET /%7C%5E%60%5C HTTP/1.1\r\n\r\nPOST /%22 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\"\"\r\n";
        for (part, buffer) in [(1, 1), (3, 2), (7, 64), (1000, 5), (1000, 1000)] {
            assert_eq!(read(stream.as_bytes(), part, buffer), expected, "{part} {buffer}");
        }
    }

    proptest! {
        #[test]
        fn parts_make_no_difference(stream in "(GET|POST) [ -~]{0,30}\r\n(content-length: [0-9]\r\n)?\r\n[ -~]{0,20}\n?[ -~\n]{0,20}", part in 1usize..40, buffer in 1usize..40) {
            prop_assert_eq!(read(stream.as_bytes(), part, buffer), read(stream.as_bytes(), 1000, 1000));
        }
    }
}
