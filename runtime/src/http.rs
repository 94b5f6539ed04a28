//! Serving HTTP: bind with a clear error, serve until told to stop.

use crate::lenient::Lenient;
use axum::Router;
use axum::serve::Listener;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

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

/// Serves until the token is cancelled, then finishes what is under way.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(LenientListener(listener), router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Accepts connections whose request targets may hold characters that ought to be encoded.
struct LenientListener(TcpListener);

impl Listener for LenientListener {
    type Io = Lenient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are written whole: waiting for more to send would only delay them. Where it cannot be set, they come late.
        let _ = stream.set_nodelay(true);
        (Lenient::new(stream), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
