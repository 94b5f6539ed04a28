//! Serving HTTP: bind with a clear error, serve until told to stop.

use crate::lenient::Lenient;
use crate::patience::Patient;
use axum::Router;
use axum::serve::Listener;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use crate::patience::Patience;

/// Why a port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// As asked for.
    pub address: String,
    /// What the system said.
    pub source: std::io::Error,
}

/// Listens on `host:port`; an empty host means all addresses.
///
/// # Errors
/// Where the address is none, or is taken.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let full = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    TcpListener::bind(&full).await.map_err(|source| BindError { address: address.to_owned(), source })
}

/// What connections may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a connection waits for its client.
    pub patience: Patience,
    /// How many there may be at once; further ones wait to be accepted. Listeners with clones of it share the number.
    pub connections: Option<Arc<Semaphore>>,
}

impl Default for Limits {
    /// As many connections as come; five minutes for requests, as Prometheus' servers, and one for a client that does not read.
    fn default() -> Self {
        let patience = Patience { read: Duration::from_secs(300), write: Duration::from_secs(60) };
        Limits { patience, connections: None }
    }
}

/// Serves until the token is cancelled, then finishes what is under way.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    serve_within(listener, router, stop, Limits::default()).await
}

/// The same within limits.
///
/// # Errors
/// Where the listener fails.
pub async fn serve_within(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) -> std::io::Result<()> {
    let listener = LimitedListener { listener, limits };
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Accepts connections whose request targets may hold characters that ought to be encoded, and no more than there is room for.
struct LimitedListener {
    listener: TcpListener,
    limits: Limits,
}

impl Listener for LimitedListener {
    type Io = Patient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let place = match &self.limits.connections {
            // it is never closed
            Some(places) => places.clone().acquire_owned().await.ok(),
            None => None,
        };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are written whole: waiting for more to send would only delay them. Where it cannot be set, they come late.
        let _ = stream.set_nodelay(true);
        (Patient::new(Lenient::new(stream), self.limits.patience, place), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
