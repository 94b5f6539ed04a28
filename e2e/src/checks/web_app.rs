//! The web app, as a browser finds it behind `kubectl port-forward`.

use crate::Run;
use crate::wait::until;
use anyhow::{Context as _, Result, ensure};

/// The page, its script, and the API under it.
pub(crate) fn answers(run: &mut Run) -> Result<String> {
    let page = until("the page at /", || {
        let answer = run.server.get("/")?;
        // Prometheus leads from / to the query page; so may this.
        let answer = if (300..400).contains(&answer.status) { run.server.get("/query")? } else { answer };
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(answer)
    })?;
    ensure!(
        page.body.contains("<title>Pharos"),
        "no title in {:?}",
        page.body.chars().take(300).collect::<String>()
    );
    let script = page
        .body
        .split('"')
        .find(|part| part.ends_with(".js"))
        .context("the page names no script: was the web app built?")?;
    let path = format!("/{}", script.trim_start_matches("./").trim_start_matches('/'));
    let answer = run.server.get(&path)?;
    ensure!(
        answer.status == 200 && answer.body.len() > 10_000,
        "{path}: {}, {} bytes",
        answer.status,
        answer.body.len()
    );
    Ok(format!("the page and its script of {} kB", answer.body.len() / 1000))
}
