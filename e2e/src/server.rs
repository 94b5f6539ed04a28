//! The server's HTTP API, through a forwarded port that is renewed when the server has been away.

use crate::forward::Forward;
use crate::{MONITORING, http};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The governing service, named as prometheus-operator names it.
const SERVICE: &str = "service/prometheus-operated";
const PORT: u16 = 9090;

/// A client of the installed server.
#[derive(Default)]
pub(crate) struct Server {
    forward: Option<Forward>,
}

/// A series at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    labels: Value,
    pub(crate) value: f64,
}

impl Sample {
    /// A label's value; empty when it is not there.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

impl Server {
    /// Forgets the forwarded port: the pod behind it is another one now.
    pub(crate) fn reconnect(&mut self) {
        self.forward = None;
    }

    /// Fetches a path from the server.
    pub(crate) fn get(&mut self, path: &str) -> Result<http::Answer> {
        let forward = match self.forward.take() {
            Some(forward) => forward,
            None => Forward::start(MONITORING, SERVICE, PORT)?,
        };
        // Kept only if it works, so that the next try makes a new one.
        let answer = http::get(forward.port, path).with_context(|| format!("GET {path}"))?;
        self.forward = Some(forward);
        Ok(answer)
    }

    /// The `data` of an answer of the API.
    pub(crate) fn api(&mut self, path: &str) -> Result<Value> {
        let answer = self.get(path)?;
        let mut body: Value =
            serde_json::from_str(&answer.body).with_context(|| format!("GET {path}: {:?}", answer.body))?;
        if body["status"] != "success" {
            bail!("GET {path}: {}: {}", answer.status, body["error"]);
        }
        Ok(body["data"].take())
    }

    /// An instant query, now.
    pub(crate) fn query(&mut self, expression: &str) -> Result<Vec<Sample>> {
        self.query_path(&format!("/api/v1/query?query={}", http::escape(expression)))
    }

    /// An instant query at a time, in seconds since 1970.
    pub(crate) fn query_at(&mut self, expression: &str, time: f64) -> Result<Vec<Sample>> {
        self.query_path(&format!("/api/v1/query?query={}&time={time:.3}", http::escape(expression)))
    }

    fn query_path(&mut self, path: &str) -> Result<Vec<Sample>> {
        let data = self.api(path)?;
        let Some(result) = data["result"].as_array() else { bail!("GET {path}: not a vector: {data}") };
        result
            .iter()
            .map(|series| sample(series).with_context(|| format!("GET {path}: not a sample: {series}")))
            .collect()
    }

    /// The only sample of a query.
    pub(crate) fn value(&mut self, expression: &str) -> Result<f64> {
        match self.query(expression)?.as_slice() {
            [sample] => Ok(sample.value),
            samples => bail!("{expression} has {} series, not one", samples.len()),
        }
    }

    /// The stored samples of a range selector at a time, exactly as the API shows them.
    pub(crate) fn stored(&mut self, selector: &str, time: f64) -> Result<Value> {
        let data = self.api(&format!("/api/v1/query?query={}&time={time:.3}", http::escape(selector)))?;
        Ok(data["result"].clone())
    }

    /// The server's time, in seconds since 1970.
    pub(crate) fn time(&mut self) -> Result<f64> {
        let data = self.api(&format!("/api/v1/query?query={}", http::escape("time()")))?;
        data["result"][0].as_f64().with_context(|| format!("time() gave {data}"))
    }

    /// The active targets.
    pub(crate) fn targets(&mut self) -> Result<Vec<Value>> {
        match self.api("/api/v1/targets?state=active")?["activeTargets"].take() {
            Value::Array(targets) => Ok(targets),
            other => bail!("activeTargets is {other}"),
        }
    }

    /// The active targets of one ServiceMonitor, `NAMESPACE/NAME`.
    pub(crate) fn targets_of(&mut self, monitor: &str) -> Result<Vec<Value>> {
        let pool = format!("serviceMonitor/{monitor}/");
        let mut targets = self.targets()?;
        targets.retain(|target| target["scrapePool"].as_str().is_some_and(|name| name.starts_with(&pool)));
        Ok(targets)
    }
}

fn sample(series: &Value) -> Option<Sample> {
    let value = series["value"][1].as_str()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        digits => digits.parse().ok()?,
    };
    Some(Sample { labels: series["metric"].clone(), value })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn samples() {
        let parsed = super::sample(&json!({"metric": {"job": "app"}, "value": [1.5, "+Inf"]})).unwrap();
        assert_eq!((parsed.label("job"), parsed.label("pod"), parsed.value), ("app", "", f64::INFINITY));
        assert!(super::sample(&json!({"metric": {}, "value": [1.5, "many"]})).is_none());
    }
}
