//! `check healthy` and `check ready`.

use crate::http::Server;
use crate::{Failure, Outcome};
use clap::Args;
use std::path::PathBuf;

/// What `check healthy` and `check ready` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// File with options of the HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE")]
    http_config_file: Option<PathBuf>,
    /// URL of the server.
    #[arg(long, default_value = "http://localhost:9090")]
    url: String,
}

pub(crate) fn run(options: &Options, what: &str) -> Outcome {
    let server = Server::new(&options.url, options.http_config_file.as_deref(), &[])?;
    let answer = server.get(&format!("/-/{what}"), &[])?;
    if !answer.status.is_success() {
        let (url, status) = (server.name(), answer.status.as_u16());
        return Err(Failure::new(format!("check failed: URL={url}, status={status}")));
    }
    eprintln!("  SUCCESS:  {}", String::from_utf8_lossy(&answer.body));
    Ok(())
}
