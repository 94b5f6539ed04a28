//! `check config`: a configuration, and the files that it names.

use super::{Lints, Verdict, must_exist, read, rule_files};
use crate::{Outcome, text};
use clap::Args;
use config::prometheus::{AlertmanagerConfig, Config, ScrapeConfig, StaticConfig, TlsConfig};
use discovery::{ADDRESS, TargetGroup};
use model::{LabelsBuilder, relabel};
use promql::Features;
use scrape::Job;
use std::path::{Path, PathBuf};

/// What `check config` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Check the syntax only, not the files that the configuration names.
    #[arg(long)]
    syntax_only: bool,
    /// Lints to apply: all, duplicate-rules, none, too-long-scrape-interval.
    #[arg(long, default_value = "duplicate-rules")]
    lint: String,
    /// Exit with code 3 where a lint finds something.
    #[arg(long)]
    lint_fatal: bool,
    /// Leave out fields of rule files that are not known instead of refusing them.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Check for a server in agent mode.
    #[arg(long)]
    agent: bool,
    /// How long a sample counts as current; scrape intervals should be shorter.
    #[arg(long = "query.lookback-delta", hide = true, default_value = "5m", value_parser = crate::cli::duration)]
    lookback_delta: i64,
    /// Configuration files.
    #[arg(value_name = "CONFIG FILES", required = true)]
    files: Vec<PathBuf>,
}

/// A configuration that was found in order.
struct Checked {
    config: Config,
    rule_files: Vec<PathBuf>,
}

pub(crate) fn run(options: &Options, features: &Features) -> Outcome {
    must_exist(&options.files)?;
    let lints = Lints::parse(&options.lint, true);
    let mut verdict = Verdict::default();
    for file in &options.files {
        println!("Checking {}", file.display());
        let checked = check(file, options);
        match &checked {
            Ok(checked) => {
                if !checked.rule_files.is_empty() {
                    println!("  SUCCESS: {} rule files found", checked.rule_files.len());
                }
                println!(" SUCCESS: {} is valid prometheus config file syntax", file.display());
            }
            Err(error) => {
                eprintln!("  FAILED: {error}");
                verdict = Verdict { failed: true, error: true };
            }
        }
        println!();
        let Some(checked) = checked.ok().filter(|_| !options.syntax_only) else { continue };
        if lints.too_long_scrape_interval {
            verdict.failed |= lint_intervals(&checked.config, options.lookback_delta);
        }
        let rules =
            rule_files::check_files(&checked.rule_files, lints, options.ignore_unknown_fields, features);
        verdict.failed |= rules.failed;
        verdict.error |= rules.error;
    }
    verdict.outcome(options.lint_fatal)
}

fn lint_intervals(config: &Config, lookback_delta: i64) -> bool {
    let mut failed = false;
    for job in &config.scrape_configs {
        let interval = job.effective_interval(&config.global);
        if interval.as_ms() >= lookback_delta {
            eprintln!(
                "  FAILED: too long scrape interval found, data point will be marked as stale - job: {}, interval: {interval}",
                job.job_name
            );
            failed = true;
        }
    }
    failed
}

fn check(file: &Path, options: &Options) -> Result<Checked, String> {
    let name = file.display().to_string();
    let dir = file.parent().unwrap_or(Path::new(""));
    let parsing = |e: config::Error| {
        let line = e.line.map(|l| format!("line {l}: ")).unwrap_or_default();
        let field = if e.field.is_empty() { String::new() } else { format!("{}: ", e.field) };
        format!("parsing YAML file {}: {line}{field}{}", e.file, e.message)
    };
    let mut config = Config::parse(&read(file)?, &name).map_err(parsing)?;
    if options.agent {
        for_agent(&config)?;
    }
    config.resolve_paths(dir);
    for pattern in config.scrape_config_files.clone() {
        let mut files = discovery::file::matching(&pattern);
        files.sort();
        for more in files {
            let known = config.scrape_configs.len();
            config.add_scrape_config_file(&read(&more)?, &more.display().to_string()).map_err(parsing)?;
            // what its jobs name lies beside it
            let dir = more.parent().unwrap_or(Path::new(""));
            config.scrape_configs[known..].iter_mut().for_each(|job| job.resolve_paths(dir));
        }
    }
    let mut rule_files = Vec::new();
    if !options.syntax_only {
        for pattern in &config.rule_files {
            let mut found = discovery::file::matching(pattern);
            found.retain(|f| f.exists());
            if found.is_empty() && !pattern.contains('*') {
                return Err(format!("{pattern:?} does not point to an existing file"));
            }
            found.sort();
            rule_files.extend(found);
        }
    }
    for job in &config.scrape_configs {
        check_job(job, &config, options.syntax_only)?;
    }
    for alertmanagers in &config.alerting.alertmanagers {
        check_alertmanagers(alertmanagers, options.syntax_only)?;
    }
    Ok(Checked { config, rule_files })
}

/// An agent has no rules and no queries, and somewhere to send samples to.
fn for_agent(config: &Config) -> Result<(), String> {
    let alerting = &config.alerting;
    for (set, field) in [
        (!alerting.alertmanagers.is_empty() || !alerting.alert_relabel_configs.is_empty(), "alerting"),
        (!config.rule_files.is_empty(), "rule_files"),
        (!config.remote_read.is_empty(), "remote_read"),
    ] {
        if set {
            return Err(format!("field {field} is not allowed in agent mode"));
        }
    }
    if config.remote_write.is_empty() {
        return Err(
            "remote_write: at least one remote_write target must be specified in agent mode".to_owned()
        );
    }
    Ok(())
}

fn exists(what: &str, file: Option<&String>) -> Result<(), String> {
    let Some(file) = file.filter(|f| !f.is_empty()) else { return Ok(()) };
    match std::fs::metadata(file) {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("error checking {what} {file:?}: stat {file}: {}", text::reason(&e))),
    }
}

fn check_tls(tls: Option<&TlsConfig>, syntax_only: bool) -> Result<(), String> {
    let Some(tls) = tls else { return Ok(()) };
    let is_set = |f: &Option<String>| f.as_ref().is_some_and(|f| !f.is_empty());
    if is_set(&tls.cert_file) && !is_set(&tls.key_file) && tls.key.is_none() {
        let cert = tls.cert_file.as_deref().unwrap_or_default();
        return Err(format!("client cert file {cert:?} specified without client key file"));
    }
    if is_set(&tls.key_file) && !is_set(&tls.cert_file) && tls.cert.is_none() {
        let key = tls.key_file.as_deref().unwrap_or_default();
        return Err(format!("client key file {key:?} specified without client cert file"));
    }
    if syntax_only {
        return Ok(());
    }
    exists("client cert file", tls.cert_file.as_ref())?;
    exists("client key file", tls.key_file.as_ref())
}

fn check_job(job: &ScrapeConfig, config: &Config, syntax_only: bool) -> Result<(), String> {
    if !syntax_only {
        let authorization = job.http.authorization.as_ref().and_then(|a| a.credentials_file.as_ref());
        let file = authorization.or(job.http.bearer_token_file.as_ref());
        exists("authorization credentials or bearer token file", file)?;
    }
    check_tls(job.http.tls_config.as_ref(), syntax_only)?;
    for kubernetes in &job.sd.kubernetes_sd_configs {
        check_tls(kubernetes.http.tls_config.as_ref(), syntax_only)?;
    }
    let runnable = Job::new(job, &config.global);
    let check_groups = |groups: &[TargetGroup]| -> Result<(), String> {
        // what this version cannot run, but the original can, is in order as a configuration
        let Ok(runnable) = &runnable else { return Ok(()) };
        groups.iter().enumerate().try_for_each(|(i, group)| {
            let rejected = scrape::target::rejected(group, runnable);
            rejected.map_or(Ok(()), |(at, why)| Err(format!("instance {at} in group {i}: {why}")))
        })
    };
    check_groups(&static_groups(&job.sd.static_configs))?;
    for path in job.sd.file_sd_configs.iter().flat_map(|sd| &sd.files).filter(|_| !syntax_only) {
        let subject = format!("scrape job {:?}", job.job_name);
        for groups in target_files(path, &subject)? {
            check_groups(&groups)?;
        }
    }
    Ok(())
}

fn static_groups(configs: &[StaticConfig]) -> Vec<TargetGroup> {
    let group = |c: &StaticConfig| TargetGroup {
        source: String::new(),
        labels: c.labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
        targets: c.targets.iter().map(|t| [(ADDRESS.to_owned(), t.clone())].into()).collect(),
    };
    configs.iter().map(group).collect()
}

/// The groups in the files of a pattern; that there are none is only warned of.
fn target_files(pattern: &str, subject: &str) -> Result<Vec<Vec<TargetGroup>>, String> {
    let mut files = discovery::file::matching(pattern);
    files.retain(|f| f.exists());
    if files.is_empty() {
        println!("  WARNING: file {pattern:?} for file_sd in {subject} does not exist");
    }
    files
        .iter()
        .map(|file| {
            let name = file.display().to_string();
            if !matches!(file.extension().and_then(|e| e.to_str()), Some("json" | "yml" | "yaml")) {
                return Err(format!("checking SD file {name:?}: invalid file extension"));
            }
            let groups = discovery::file::parse(&read(file)?, &name);
            groups.map_err(|e| format!("checking SD file {name:?}: {e}"))
        })
        .collect()
}

fn check_alertmanagers(config: &AlertmanagerConfig, syntax_only: bool) -> Result<(), String> {
    check_tls(config.http.tls_config.as_ref(), syntax_only)?;
    let rules: Result<Vec<_>, _> = config.relabel_configs.iter().map(|r| r.compile(false)).collect();
    let rules = rules.map_err(|e| format!("alerting: relabel_configs: {e}"))?;
    check_addresses(&static_groups(&config.sd.static_configs), &rules)?;
    for path in config.sd.file_sd_configs.iter().flat_map(|sd| &sd.files).filter(|_| !syntax_only) {
        for groups in target_files(path, "alertmanager config")? {
            check_addresses(&groups, &rules)?;
        }
    }
    Ok(())
}

/// Whether all targets that relabelling keeps are hosts.
fn check_addresses(groups: &[TargetGroup], rules: &[relabel::Config]) -> Result<(), String> {
    for group in groups {
        for target in &group.targets {
            let mut builder = LabelsBuilder::default();
            for (name, value) in group.labels.iter().chain(target) {
                builder.set(name, value);
            }
            if relabel::process(rules, &mut builder) && builder.get(ADDRESS).contains('/') {
                return Err(format!("{:?} is not a valid hostname", builder.get(ADDRESS)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a configuration that lies beside those files.
    fn outcome(config: &str, files: &[(&str, &str)]) -> Result<usize, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let options = Options {
            syntax_only: false,
            lint: String::new(),
            lint_fatal: false,
            ignore_unknown_fields: false,
            agent: config.contains("agent"),
            lookback_delta: 300_000,
            files: Vec::new(),
        };
        let root = format!("{}/", dir.path().display());
        check(&file, &options).map(|c| c.rule_files.len()).map_err(|e| e.replace(&root, ""))
    }

    #[test]
    fn files_that_are_named_must_be_there_and_in_order() {
        let job = |rest: &str| format!("scrape_configs:\n- job_name: a\n{rest}");
        for (config, files, expected) in [
            ("rule_files: ['*.rules', b.yml]\n".to_owned(), vec![("a.rules", ""), ("b.yml", "")], Ok(2)),
            (
                "rule_files: [b.yml]\n".to_owned(),
                vec![],
                Err(r#""b.yml" does not point to an existing file"#),
            ),
            (
                job("  scrape_interval: x\n"),
                vec![],
                Err(
                    r#"parsing YAML file prometheus.yml: line 3: scrape_configs[0].scrape_interval: not a valid duration string: "x""#,
                ),
            ),
            (
                job("  bearer_token_file: t\n"),
                vec![],
                Err(
                    "error checking authorization credentials or bearer token file \"t\": stat t: no such file or directory",
                ),
            ),
            (
                job("  tls_config: {cert_file: c, key_file: k}\n"),
                vec![("c", "")],
                Err("error checking client key file \"k\": stat k: no such file or directory"),
            ),
            (
                job("  file_sd_configs: [{files: [t.json]}]\n"),
                vec![("t.json", "[{\"targets\": [\"h/p\"]}]")],
                Err(r#"instance 0 in group 0: "h/p" is not a valid hostname"#),
            ),
            (job("  file_sd_configs: [{files: ['none*.json']}]\n"), vec![], Ok(0)),
            (
                job("  relabel_configs: [{target_label: a, replacement: b}]\n  static_configs: [{targets: [ok, 'http://x']}]\n"),
                vec![],
                Err(r#"instance 1 in group 0: "http://x" is not a valid hostname"#),
            ),
            (
                "# agent\nrule_files: [a]\n".to_owned(),
                vec![],
                Err("field rule_files is not allowed in agent mode"),
            ),
            (
                "# agent\n".to_owned(),
                vec![],
                Err("remote_write: at least one remote_write target must be specified in agent mode"),
            ),
            (
                "alerting: {alertmanagers: [{relabel_configs: [{target_label: a, replacement: b}], static_configs: [{targets: ['h/x']}]}]}\n".to_owned(),
                vec![],
                Err(r#""h/x" is not a valid hostname"#),
            ),
        ] {
            assert_eq!(outcome(&config, &files), expected.map_err(str::to_owned), "{config}");
        }
    }
}
