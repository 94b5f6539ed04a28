//! `kubectl port-forward`, as a user runs it beside the browser.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A local port that leads to a port in the cluster, as long as it lives.
pub(crate) struct Forward {
    child: Child,
    pub(crate) port: u16,
}

impl Forward {
    /// Forwards any free local port to `port` of `object`, such as `service/pharos-server`.
    pub(crate) fn start(namespace: &str, object: &str, port: u16) -> Result<Forward> {
        let mut child = Command::new("kubectl")
            .args(["--namespace", namespace, "port-forward", object, &format!(":{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start kubectl port-forward")?;
        let stdout = child.stdout.take();
        // From here on, dropping it ends the process.
        let mut forward = Forward { child, port: 0 };
        let mut stdout = BufReader::new(stdout.context("no output of kubectl")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        // It says a word for each connection, and would die of a closed pipe or wait for a full one. Ends with the process.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let Some(local) = local_port(&line) else { bail!("kubectl port-forward {object} said {line:?}") };
        forward.port = local;
        Ok(forward)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // fails only when it has ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port in `Forwarding from 127.0.0.1:40123 -> 9090`.
fn local_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn local_port() {
        assert_eq!(super::local_port("Forwarding from 127.0.0.1:40123 -> 9090\n"), Some(40123));
        assert_eq!(super::local_port("error: no such service\n"), None);
    }
}
