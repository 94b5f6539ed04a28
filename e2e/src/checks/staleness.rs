//! Series of what is no more.

use crate::wait::{Timer, until};
use crate::{APPLICATION, Run};
use anyhow::{Context as _, Result, ensure};

/// A deleted pod's series leave the instant queries long before they would age out of them, stay in the past, and its
/// successor's appear.
pub(crate) fn deleted_pod(run: &mut Run) -> Result<String> {
    let pods = run.kube.list(&["--namespace", APPLICATION, "pods", "--selector=app=app"])?;
    let pod = pods
        .iter()
        .find_map(|pod| pod["metadata"]["name"].as_str())
        .context("no pod of the application")?
        .to_owned();
    let selectors = [
        format!("app_build_info{{pod=\"{pod}\"}}"),
        format!("up{{namespace=\"{APPLICATION}\",pod=\"{pod}\"}}"),
    ];
    for selector in &selectors {
        until(&format!("{selector} to be there at first"), || run.server.value(selector))?;
    }
    let seen = run.server.time()?;

    run.kube.kubectl(&["--namespace", APPLICATION, "delete", "pod", &pod])?;
    let timer = Timer::measure();
    for selector in &selectors {
        until(&format!("{selector} to be stale"), || {
            let left = run.server.query(selector)?;
            ensure!(left.is_empty(), "{} series", left.len());
            Ok(())
        })?;
    }
    let stale = timer.elapsed();
    let past = run.server.query_at(&selectors[0], seen)?;
    ensure!(past.len() == 1, "{} series of the pod at a time when it ran", past.len());
    until("two running pods' series", || {
        let samples = run.server.query("app_build_info")?;
        ensure!(samples.len() == 2 && samples.iter().all(|sample| sample.label("pod") != pod), "{samples:?}");
        Ok(())
    })?;
    Ok(format!("stale {:.1} s after the deletion, still there in the past", stale.as_secs_f64()))
}
