//! From discovered labels to a target: defaults, relabelling, URL.

use crate::job::Job;
use crate::status::{DroppedTarget, RejectedTarget};
use discovery::TargetGroup;
use model::{Labels, LabelsBuilder, duration, relabel};
use url::Url;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";

/// Why discovered labels make no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nowhere to go.
    #[error("no address")]
    NoAddress,
    /// Not a host and port.
    #[error("{0:?} is not a valid hostname")]
    BadAddress(String),
    /// Scheme, address, path and parameters do not make a URL.
    #[error("{url:?} is not a valid URL: {reason}")]
    BadUrl {
        /// What they make.
        url: String,
        /// Why not.
        reason: String,
    },
    /// `__scrape_interval__` or `__scrape_timeout__` is none.
    #[error("error parsing {label}: {reason}")]
    BadDuration {
        /// Which label.
        label: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A scrape may take longer than until the next.
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutAboveInterval {
        /// The timeout.
        timeout: String,
        /// The interval.
        interval: String,
    },
}

/// Someone to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What tells it from others: all labels after relabelling but the `__meta_` ones and those of its times.
    pub key: Labels,
    /// The labels that its series get.
    pub labels: Labels,
    /// Where.
    pub url: Url,
    /// Time between scrapes, milliseconds.
    pub interval_ms: i64,
    /// Time for one scrape, milliseconds.
    pub timeout_ms: i64,
}

/// What a group comes to under a job.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Each with its labels as discovered.
    pub(crate) targets: Vec<(Target, Labels)>,
    /// The first dropped ones, and how many there are in all.
    pub(crate) dropped: Vec<DroppedTarget>,
    pub(crate) dropped_count: usize,
    pub(crate) rejected: Vec<RejectedTarget>,
}

/// Targets of a group; remembers at most `keep_dropped` dropped ones.
pub(crate) fn resolve(group: &TargetGroup, job: &Job, keep_dropped: usize) -> Resolved {
    let mut resolved = Resolved::default();
    for own in &group.targets {
        let shared = group.labels.iter().filter(|(name, _)| !own.contains_key(*name));
        let mut builder = discovered(own.iter().chain(shared), job);
        let discovered = builder.finish();
        let pool = || job.name.clone();
        if !relabel::process(&job.relabel, &mut builder) {
            resolved.dropped_count += 1;
            if resolved.dropped.len() < keep_dropped {
                resolved.dropped.push(DroppedTarget { pool: pool(), discovered });
            }
            continue;
        }
        match Target::new(builder, job) {
            Ok(target) => resolved.targets.push((target, discovered)),
            Err(e) => {
                resolved.rejected.push(RejectedTarget { pool: pool(), discovered, reason: e.to_string() });
            }
        }
    }
    resolved
}

/// The first target of a group that relabelling keeps and that cannot be scraped: its index, and why.
pub fn rejected(group: &TargetGroup, job: &Job) -> Option<(usize, String)> {
    group.targets.iter().enumerate().find_map(|(i, own)| {
        let one =
            TargetGroup { source: String::new(), labels: group.labels.clone(), targets: vec![own.clone()] };
        resolve(&one, job, 0).rejected.pop().map(|rejected| (i, rejected.reason))
    })
}

/// The labels that relabelling begins with.
fn discovered<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>, job: &Job) -> LabelsBuilder {
    let mut builder = LabelsBuilder::default();
    for (name, value) in labels {
        builder.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if builder.get(name).is_empty() {
            builder.set(name, value);
        }
    };
    default("job", &job.name);
    default(INTERVAL, &duration::format_ms(job.interval_ms));
    default(TIMEOUT, &duration::format_ms(job.timeout_ms));
    default(METRICS_PATH, &job.metrics_path);
    default(SCHEME, &job.scheme);
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    builder
}

impl Target {
    fn new(mut builder: LabelsBuilder, job: &Job) -> Result<Self, Error> {
        let address = builder.get(ADDRESS).to_owned();
        if address.is_empty() {
            return Err(Error::NoAddress);
        }
        if address.contains('/') {
            return Err(Error::BadAddress(address));
        }
        let interval_ms = positive(&builder, INTERVAL)?;
        let timeout_ms = positive(&builder, TIMEOUT)?;
        if timeout_ms > interval_ms {
            let [timeout, interval] = [TIMEOUT, INTERVAL].map(|l| builder.get(l).to_owned());
            return Err(Error::TimeoutAboveInterval { timeout, interval });
        }
        builder.retain(|name, _| !name.starts_with(META_PREFIX));
        if builder.get("instance").is_empty() {
            builder.set("instance", &address);
        }
        let url = url(&builder, &address, job)?;
        builder.del(INTERVAL).del(TIMEOUT);
        let key = builder.finish();
        let labels = Labels::from_sorted(key.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX)));
        Ok(Target { key, labels, url, interval_ms, timeout_ms })
    }

    /// Spreads targets over an interval: a number that stays the same for the same target.
    pub(crate) fn spread(&self) -> u64 {
        // the packed form has much in common among targets: mix all bits into the low ones
        let mut h = self.key.hash64() ^ 0x9e37_79b9_7f4a_7c15;
        h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        h ^ (h >> 31)
    }
}

fn positive(builder: &LabelsBuilder, label: &'static str) -> Result<i64, Error> {
    let bad = |reason: String| Error::BadDuration { label, reason };
    match duration::parse_ms(builder.get(label)) {
        Ok(0) => Err(bad("must not be 0".to_owned())),
        Ok(ms) => Ok(ms),
        Err(e) => Err(bad(e.to_string())),
    }
}

fn url(builder: &LabelsBuilder, address: &str, job: &Job) -> Result<Url, Error> {
    let base = format!("{}://{address}", builder.get(SCHEME));
    let bad = |reason: String| Error::BadUrl { url: base.clone(), reason };
    let mut url = Url::parse(&base).map_err(|e| bad(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("scheme must be http or https".to_owned()));
    }
    url.set_path(builder.get(METRICS_PATH));
    let mut params: std::collections::BTreeMap<String, Vec<String>> = job.params.iter().cloned().collect();
    for (name, value) in builder.iter() {
        if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::prometheus::Config;
    use expect_test::{Expect, expect};

    /// Resolves one target with these labels under a job with these further lines.
    #[track_caller]
    fn check(job: &str, labels: &[(&str, &str)], expected: Expect) {
        let indented: String = job.lines().map(|l| format!("    {l}\n")).collect();
        let text = format!("scrape_configs:\n  - job_name: j\n{indented}");
        let config = Config::parse(&text, "test.yml").unwrap();
        let job = Job::new(&config.scrape_configs[0], &config.global).unwrap();
        let own = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let shared = [("__meta_a", "m"), ("team", "infra")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let group = TargetGroup { source: String::new(), labels: shared.into(), targets: vec![own] };
        let resolved = resolve(&group, &job, 10);
        let mut told: Vec<String> = Vec::new();
        for (t, discovered) in resolved.targets {
            told.push(format!(
                "{} {} every {} ms within {} ms",
                t.labels, t.url, t.interval_ms, t.timeout_ms
            ));
            assert_eq!(discovered.get("__meta_a"), "m");
        }
        told.extend(resolved.dropped.iter().map(|d| format!("dropped {}", d.discovered)));
        told.extend(resolved.rejected.iter().map(|r| format!("rejected: {}", r.reason)));
        expected.assert_eq(&told.join("\n"));
    }

    #[test]
    fn defaults() {
        check(
            "",
            &[("__address__", "h:1"), ("team", "own")],
            expect![[
                r#"{instance="h:1", job="j", team="own"} http://h:1/metrics every 60000 ms within 10000 ms"#
            ]],
        );
        check(
            "scheme: https\nmetrics_path: /m\nscrape_interval: 5s\nparams: {b: [x y, z], a: ['1']}",
            &[("__address__", "[::1]:9"), ("__param_b", "first"), ("instance", "i"), ("__param_c", "3")],
            expect![[
                r#"{instance="i", job="j", team="infra"} https://[::1]:9/m?a=1&b=first&b=z&c=3 every 5000 ms within 5000 ms"#
            ]],
        );
    }

    #[test]
    fn relabelling_decides() {
        check(
            "relabel_configs:\n  - {source_labels: [__meta_a], target_label: a}\n  - {target_label: __metrics_path__, replacement: /x}\n  - {target_label: __scrape_interval__, replacement: 1m30s}",
            &[("__address__", "h")],
            expect![[
                r#"{a="m", instance="h", job="j", team="infra"} http://h/x every 90000 ms within 10000 ms"#
            ]],
        );
        check(
            "relabel_configs:\n  - {source_labels: [__meta_a], regex: m, action: drop}",
            &[("__address__", "h")],
            expect![[
                r#"dropped {__address__="h", __meta_a="m", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="j", team="infra"}"#
            ]],
        );
    }

    #[test]
    fn bad_targets_say_why() {
        check("", &[("x", "y")], expect!["rejected: no address"]);
        check("", &[("__address__", "h/p")], expect![[r#"rejected: "h/p" is not a valid hostname"#]]);
        check(
            "",
            &[("__address__", "h:port")],
            expect![[r#"rejected: "http://h:port" is not a valid URL: invalid port number"#]],
        );
        check(
            "",
            &[("__address__", "h"), ("__scrape_interval__", "soon")],
            expect![[r#"rejected: error parsing __scrape_interval__: not a valid duration string: "soon""#]],
        );
        check(
            "",
            &[("__address__", "h"), ("__scrape_timeout__", "0s")],
            expect!["rejected: error parsing __scrape_timeout__: must not be 0"],
        );
        check(
            "",
            &[("__address__", "h"), ("__scrape_timeout__", "2m")],
            expect![[r#"rejected: scrape timeout cannot be greater than scrape interval ("2m" > "1m")"#]],
        );
    }
}
