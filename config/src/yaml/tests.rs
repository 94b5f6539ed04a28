//! What goes in comes out, and mistakes are found where they stand.

use crate::prometheus::Config;

#[track_caller]
fn check_round_trip(text: &str, expected: &str) {
    let config = Config::parse(text, "t.yml").unwrap();
    let written = config.to_yaml();
    assert_eq!(written, expected);
    assert_eq!(Config::parse(&written, "written.yml").unwrap(), config);
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    assert_eq!(Config::parse(text, "t.yml").unwrap_err().to_string(), expected);
}

#[test]
fn round_trips() {
    check_round_trip("", "{}\n");
    check_round_trip(
        "scrape_configs:\n- job_name: a\n  bearer_token: x\n  proxy_url: http://p\n  static_configs: [{targets: ['h:1', \"0x10\"], labels: {a: 1, b: \"true\"}}]\n  honor_labels: yes\n  params: {m: ['']}\n  scrape_interval: 90s\n",
        "scrape_configs:\n- job_name: a\n  honor_labels: true\n  params:\n    m:\n    - ''\n  scrape_interval: 1m30s\n  bearer_token: x\n  proxy_url: http://p\n  static_configs:\n  - targets:\n    - h:1\n    - '0x10'\n    labels:\n      a: '1'\n      b: 'true'\n",
    );
    check_round_trip(
        "scrape_configs:\n- job_name: a\n  dns_sd_configs: [{names: [a], port: 9, type: A}]\n  consul_sd_configs: []\n",
        "scrape_configs:\n- job_name: a\n  dns_sd_configs:\n  - names:\n    - a\n    port: 9\n    type: A\n",
    );
}

#[test]
fn aliases_and_merge_keys() {
    check_round_trip(
        "global: &g {scrape_interval: 5s, scrape_timeout: 5s}\nscrape_configs:\n- {job_name: a, <<: *g, scrape_timeout: 4s}\n",
        "global:\n  scrape_interval: 5s\n  scrape_timeout: 5s\nscrape_configs:\n- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 4s\n",
    );
}

#[test]
fn errors_name_line_and_field() {
    check_error(
        "global:\n  scrape_interval: 1m\nscrape_configs:\n- job_name: a\n  scrape_intervall: 1m\n",
        "t.yml:5: scrape_configs[0].scrape_intervall: unknown field",
    );
    check_error(
        "scrape_configs:\n- job_name: a\n  tls_config:\n    insecure: true\n",
        "t.yml:4: scrape_configs[0].tls_config.insecure: unknown field",
    );
    check_error(
        "global:\n  scrape_interval: fast\n",
        "t.yml:2: global.scrape_interval: not a valid duration string: \"fast\"",
    );
    check_error(
        "global:\n  sample_limit: -1\n",
        "t.yml:2: global.sample_limit: expected a number that is not negative, found `-1`",
    );
    check_error("a: 1\na: 2\n", "t.yml:2: a: key \"a\" already set in map");
    check_error("scrape_configs:\n-\n", "t.yml:2: scrape_configs[0]: empty or null section");
    check_error("scrape_configs: {a: [}\n", "t.yml:1: not valid YAML: mismatched bracket '[' closed by '}'");
}

#[test]
fn secrets_are_shown_only_where_asked() {
    let config =
        Config::parse("scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: p}\n", "t")
            .unwrap();
    assert!(config.to_yaml().contains("password: p\n"));
    assert!(config.to_yaml_redacted().contains("password: <secret>\n"), "{}", config.to_yaml_redacted());
    assert!(!format!("{config:?}").contains("\"p\""));
}
