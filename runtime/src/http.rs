//! Serving HTTP: bind with a clear error, serve until told to stop.

use axum::Router;
use axum::serve::ListenerExt as _;
use std::net::SocketAddr;
use tokio::net::TcpListener;
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
    // an answer's last packet must not wait for the acknowledgement of the one before
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
