//! What is bad gets a clear answer and harms nothing else: configurations, targets, requests.
#![allow(clippy::unwrap_used)] // a test that cannot go on ends here

mod support;

use std::io::Write as _;
use std::process::Stdio;
use support::{Server, command, jobs, target, text};

#[test]
fn a_bad_configuration_is_refused_with_its_place() {
    for (config, place, field) in [
        ("global:\n  scrape_intervall: 5s\n", "prometheus.yml:2", "scrape_intervall"),
        ("scrape_configs:\n- job_name: a\n  scrape_interval: soon\n", "prometheus.yml:3", "scrape_interval"),
        (
            "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - target_label: x\n    regex: 'a(b'\n",
            "prometheus.yml:5",
            "regex",
        ),
        (
            "scrape_configs:\n- job_name: a\n- job_name: b\n  oauth2: {client_id: x, token_url: 'http://y', client_secret: z}\n",
            "prometheus.yml:4: scrape_configs[1].oauth2: is not supported",
            "job \"b\"",
        ),
        (
            "scrape_configs:\n- job_name: a\n  proxy_from_environment: true\n",
            "prometheus.yml:3: scrape_configs[0].proxy_from_environment: is not supported",
            "job \"a\"",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let output = command(dir.path(), &[]).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(place) && said.contains(field), "{config:?} gave {said}");
    }
}

#[test]
fn at_reload_the_old_configuration_stays_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let good = target(|stream| text(stream, "fine 1\n"));
    let server = Server::start(dir.path(), &jobs(&[("app", good)]), &[]);
    server.until("the target is scraped", |s| s.value("fine"), |v| *v == Some(1.0));

    std::fs::write(dir.path().join("prometheus.yml"), "scrape_configs: 7\n").unwrap();
    let (status, body) = server.post("/-/reload", "", b"");
    assert_eq!(status, 500);
    assert!(body.contains("scrape_configs") && body.contains("prometheus.yml:1"), "{body}");
    let yaml = server.data("/api/v1/status/config")["yaml"].as_str().unwrap().to_owned();
    assert!(yaml.contains("job_name: app"), "{yaml}");
    for default in
        ["  evaluation_interval: 1m\n", "  metrics_path: /metrics\n", "    retention:\n      time: '15d'\n"]
    {
        assert!(yaml.contains(default), "{default} is missing in {yaml}");
    }
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("prometheus_config_last_reload_successful 0"), "{metrics}");

    std::fs::write(dir.path().join("prometheus.yml"), jobs(&[("renamed", good)])).unwrap();
    server.signal("-HUP");
    server.until("the new job is scraped", |s| s.value("fine{job=\"renamed\"}"), |v| *v == Some(1.0));
    server.until("the old job's series end", |s| s.value("fine{job=\"app\"}"), Option::is_none);
}

#[test]
fn a_bad_target_is_down_with_the_reason_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let config = jobs(&[
        ("good", target(|stream| text(stream, "fine 1\n"))),
        ("garbage", target(|stream| text(stream, "fine 1\n\u{1}\u{2}{{{ not metrics\n"))),
        (
            "endless",
            target(|stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'a'; 1 << 16])?;
                }
            }),
        ),
        (
            "silent",
            target(|stream| {
                // reads until the scraper gives up
                std::io::copy(stream, &mut std::io::sink()).map(drop)
            }),
        ),
        (
            "refusing",
            target(|stream| {
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            }),
        ),
        ("nobody", nobody),
    ]);
    let server = Server::start(dir.path(), &config, &[]);
    let failing = ["garbage", "endless", "silent", "refusing", "nobody"];
    server.until("all targets were tried", |s| s.value("count(up)"), |v| *v == Some(6.0));
    let targets = server.until(
        "each failure has its reason",
        |s| s.data("/api/v1/targets")["activeTargets"].as_array().unwrap().clone(),
        |t| t.iter().all(|t| t["health"] != "unknown"),
    );
    for target in &targets {
        let job = target["labels"]["job"].as_str().unwrap();
        let (health, error) = (target["health"].as_str().unwrap(), target["lastError"].as_str().unwrap());
        assert_eq!(health, if failing.contains(&job) { "down" } else { "up" }, "{job}: {error}");
        assert_eq!(error.is_empty(), job == "good", "{job}: {error}");
    }
    let error = |job: &str| {
        let found = targets.iter().find(|t| t["labels"]["job"] == job).unwrap();
        found["lastError"].as_str().unwrap().to_owned()
    };
    assert!(error("endless").contains("limit"), "{}", error("endless"));
    assert!(error("refusing").contains("503"), "{}", error("refusing"));
    assert_eq!(server.value("up{job=\"good\"}"), Some(1.0));
    assert_eq!(server.value("fine{job=\"garbage\"}"), None);
}

#[test]
fn what_the_readme_calls_missing_is_missing() {
    let readme = include_str!("../../README.md");
    let (_, list) = readme.split_once("Still missing, and answered with 404:").unwrap();
    let (list, _) = list.split_once(".\n\n").unwrap();
    let paths: Vec<&str> = list.split('`').filter(|part| part.starts_with('/')).collect();
    assert!(paths.len() > 10, "{paths:?}");
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &[]);
    for path in paths {
        let (got, post) = (server.get(path).0, server.post(path, "", b"").0);
        assert!(got == 404 && [404, 405].contains(&post), "{path}: {got} {post}");
    }
}

#[test]
fn requests_that_make_no_sense_are_answered_in_prometheus_form() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &[]);
    for (path, status, kind, part) in [
        ("/api/v1/query?query=sum(", 400, "bad_data", "parse error"),
        ("/api/v1/query", 400, "bad_data", "invalid parameter \\\"query\\\""),
        ("/api/v1/query?query=up&time=yesterday", 400, "bad_data", "invalid parameter \\\"time\\\""),
        ("/api/v1/query_range?query=up&start=0&end=1&step=0", 400, "bad_data", "zero or negative"),
        ("/api/v1/query_range?query=up&start=2&end=1&step=1", 400, "bad_data", "end timestamp"),
        ("/api/v1/query_range?query=up&start=0&end=100000&step=1", 400, "bad_data", "11,000"),
        ("/api/v1/query_range?query=up[5m]&start=0&end=1&step=1", 400, "bad_data", "invalid expression type"),
        ("/api/v1/series", 400, "bad_data", "no match[]"),
        ("/api/v1/series?match[]={}", 400, "bad_data", "match[]"),
        ("/api/v1/labels?limit=-1", 400, "bad_data", "limit"),
        ("/api/v1/no_such_thing", 404, "not_found", ""),
    ] {
        let (got, body) = server.get(path);
        assert_eq!(got, status, "{path}: {body}");
        assert!(body.contains(&format!("\"errorType\":\"{kind}\"")) && body.contains(part), "{path}: {body}");
    }
    assert_eq!(server.data("/api/v1/query?query=1%2B1")["result"][1], "2");
    // as people type it at a shell
    assert_eq!(server.data("/api/v1/query?query=\"<^>`|\"")["result"][1], "<^>`|");
    assert_eq!(server.get("/-/quit").0, 405);
    assert_eq!(server.post("/-/quit", "", b"").0, 200);
}
