//! A served connection that waits for its client no longer than it should, and its place among all connections.
//!
//! Three waits have an end: for a request, or the rest of one; between two requests; and for a client to read its answer. While a
//! request is being answered, nothing is waited for: a query has limits of its own.

use crate::lenient::Lenient;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

/// What a connection may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a whole request to come, and for the next one on an idle connection.
    pub read: Duration,
    /// For a client that does not read its answer.
    pub write: Duration,
}

/// What the connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The last request has its answer, as far as it was written, or there was none yet.
    Idle,
    /// A request has begun to come.
    Receiving,
    /// One has come, and has no answer yet.
    Answering,
}

/// A connection of a client.
#[derive(Debug)]
pub(crate) struct Patient<I> {
    io: Lenient<I>,
    patience: Patience,
    phase: Phase,
    /// Runs while a request is waited for.
    read: Option<Pin<Box<Sleep>>>,
    /// Runs while the client does not read.
    write: Option<Pin<Box<Sleep>>>,
    /// The place among all connections, given back with the connection.
    _place: Option<OwnedSemaphorePermit>,
}

impl<I> Patient<I> {
    pub(crate) fn new(io: Lenient<I>, patience: Patience, place: Option<OwnedSemaphorePermit>) -> Self {
        Patient { io, patience, phase: Phase::Idle, read: None, write: None, _place: place }
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase != phase || phase == Phase::Idle {
            self.phase = phase;
            self.read = None;
        }
    }

    /// The result of a try to write: progress ends the wait, its end ends the connection.
    fn wrote<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
        progress: impl FnOnce(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        match &result {
            Poll::Ready(Ok(done)) => {
                self.write = None;
                if progress(done) {
                    self.enter(Phase::Idle);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let wait = self.patience.write;
                if self
                    .write
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)))
                    .as_mut()
                    .poll(cx)
                    .is_ready()
                {
                    return Poll::Ready(Err(timed_out("the client does not read its answer")));
                }
            }
        }
        result
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = to.filled().len();
        let result = Pin::new(&mut this.io).poll_read(cx, to);
        match &result {
            Poll::Ready(Ok(())) if to.filled().len() > before => {
                let phase = if this.io.is_between_requests() { Phase::Answering } else { Phase::Receiving };
                this.enter(phase);
            }
            Poll::Pending if this.phase != Phase::Answering => {
                let wait = this.patience.read;
                if this
                    .read
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)))
                    .as_mut()
                    .poll(cx)
                    .is_ready()
                {
                    return Poll::Ready(Err(timed_out("no request came in time")));
                }
            }
            _ => {}
        }
        result
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(result, cx, |n| *n > 0)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.wrote(result, cx, |n| *n > 0)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.wrote(result, cx, |()| false)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.wrote(result, cx, |()| false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    const PATIENCE: Patience = Patience { read: Duration::from_secs(300), write: Duration::from_secs(60) };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connection() -> (Patient<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(1000);
        (Patient::new(Lenient::new(server), PATIENCE, None), client)
    }

    async fn waited<T>(what: impl Future<Output = T>) -> (T, u64) {
        let began = tokio::time::Instant::now();
        (what.await, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_comes_in_time_or_not_at_all() {
        let mut all = [0; 100];
        // nothing
        let (mut server, mut client) = connection();
        let (read, seconds) = waited(server.read(&mut all)).await;
        assert_eq!((read.unwrap_err().kind(), seconds), (io::ErrorKind::TimedOut, 300));
        // a part, and later another: the time is that of the whole
        let (mut server, mut client2) = connection();
        client2.write_all(&REQUEST[..5]).await.unwrap();
        assert_eq!(server.read(&mut all).await.unwrap(), 5);
        let rest = async {
            tokio::time::sleep(Duration::from_secs(200)).await;
            client2.write_all(&REQUEST[5..9]).await.unwrap();
            std::future::pending::<()>().await
        };
        let reading = async {
            assert_eq!(server.read(&mut [0; 100]).await.unwrap(), 4);
            server.read(&mut [0; 100]).await.unwrap_err().kind()
        };
        let (kind, seconds) = waited(async {
            tokio::select! { kind = reading => kind, () = rest => io::ErrorKind::Other }
        })
        .await;
        assert_eq!((kind, seconds), (io::ErrorKind::TimedOut, 300));
        client.shutdown().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn answering_takes_its_time_and_reading_does_not() {
        let (mut server, mut client) = connection();
        client.write_all(REQUEST).await.unwrap();
        let mut all = [0; 100];
        assert_eq!(server.read(&mut all).await.unwrap(), REQUEST.len());
        // a long query: the server waits for the client to go away meanwhile
        let long = tokio::time::timeout(Duration::from_secs(5000), server.read(&mut all)).await;
        assert!(long.is_err(), "{long:?}");
        // the answer, read slowly but read
        let slow = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_secs(59)).await;
                client.read_exact(&mut [0; 100]).await.unwrap();
            }
        };
        let answer = [0; 2000];
        let (written, ()) = tokio::join!(server.write_all(&answer), slow);
        written.unwrap();
        // idle, then gone
        let (read, seconds) = waited(server.read(&mut all)).await;
        assert_eq!((read.unwrap_err().kind(), seconds), (io::ErrorKind::TimedOut, 300));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_left() {
        let (mut server, _client) = connection();
        let (written, seconds) = waited(server.write_all(&[0; 2000])).await;
        assert_eq!((written.unwrap_err().kind(), seconds), (io::ErrorKind::TimedOut, 60));
    }
}
