//! `pharos up`: agent, server and web app in one process, for the machine it runs on.

use runtime::{Supervisor, SystemClock, logs};
use std::path::PathBuf;
use std::time::Duration;

/// Flags of `pharos up`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where the web app and the HTTP API listen.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:9090")]
    web_listen_address: String,
    /// Where the agent listens; where that is taken, on any free port of this machine.
    #[arg(long = "agent.listen-address", default_value = "127.0.0.1:9100")]
    agent_listen_address: String,
    /// Directory of the data; kept from start to start.
    #[arg(long = "storage.tsdb.path", default_value = "data/")]
    storage_path: PathBuf,
    /// How long to keep samples.
    #[arg(long = "storage.tsdb.retention.time", default_value = "15d")]
    retention_time: String,
    /// How often to look.
    #[arg(long = "scrape-interval", default_value = "5s")]
    scrape_interval: String,
    /// Least severe messages to log.
    #[arg(long = "log.level", default_value = "warn", value_parser = ["debug", "info", "warn", "error"])]
    log_level: String,
}

/// What the first page shows: title and expression.
const HOME: [(&str, &str); 4] = [
    ("CPU: cores in use", "sum by (mode) (rate(node_cpu_seconds_total{mode!=\"idle\"}[1m]))"),
    ("Memory: bytes", "{__name__=~\"node_memory_(MemTotal|MemAvailable|Cached)_bytes\"}"),
    (
        "Disks: bytes read and written a second",
        "sum by (device) (rate(node_disk_read_bytes_total[1m]) + rate(node_disk_written_bytes_total[1m]))",
    ),
    (
        "Network: bytes received and sent a second",
        "sum by (device) (rate(node_network_receive_bytes_total[1m]) + rate(node_network_transmit_bytes_total[1m]))",
    ),
];

fn home_query() -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (i, (title, expr)) in HOME.iter().enumerate() {
        query.append_pair(&format!("g{i}.expr"), expr).append_pair(&format!("g{i}.title"), title);
        query.append_pair(&format!("g{i}.tab"), "graph").append_pair(&format!("g{i}.range_input"), "5m");
    }
    query.append_pair("refresh", "5").finish()
}

/// Scrapes the agent's node and container metrics, and the server itself.
fn configuration(interval: &str, agent: &str, server: &str) -> String {
    format!(
        "global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\n\
         scrape_configs:\n\
         - job_name: node\n\
         \x20 static_configs: [{{targets: ['{agent}']}}]\n\
         - job_name: containers\n\
         \x20 metrics_path: /metrics/cadvisor\n\
         \x20 static_configs: [{{targets: ['{agent}']}}]\n\
         - job_name: pharos\n\
         \x20 static_configs: [{{targets: ['{server}']}}]\n"
    )
}

/// Starts everything; says where to look.
pub(crate) async fn start(options: Options, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    logs::init(&options.log_level, logs::Format::Logfmt).map_err(anyhow::Error::msg)?;
    let clock = SystemClock::shared();
    let listener = match runtime::http::bind(&options.agent_listen_address).await {
        Ok(listener) => listener,
        Err(taken) => {
            eprintln!("{taken}; the agent takes another port");
            runtime::http::bind("127.0.0.1:0").await?
        }
    };
    let agent_address = listener.local_addr()?.to_string();
    let mut line = server::CommandLine::parse([
        format!("--web.listen-address={}", options.web_listen_address),
        format!("--storage.tsdb.path={}", options.storage_path.display()),
        format!("--storage.tsdb.retention.time={}", options.retention_time),
    ])?;
    line.options.home_query = Some(home_query());
    let text = configuration(&options.scrape_interval, &agent_address, &options.web_listen_address);
    let source = server::ConfigSource::Inline(text);
    let addresses = server::start(line, source, clock.clone(), supervisor).await?;

    // made after the server's stages, so that it stops after them: the last scrape still finds it
    let stage = supervisor.stage("agent", Duration::from_secs(5));
    let agent_options = <agent::Options as Default>::default();
    crate::serve(&stage, listener, agent::Agent::new(agent_options, clock, stage.clone())?.router());
    for address in addresses {
        eprintln!("Pharos is up: http://{address}");
    }
    eprintln!(
        "The agent's metrics: http://{agent_address}/metrics. Data: {}. Ctrl-C stops.",
        options.storage_path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_page_asks_four_questions() {
        let query = super::home_query();
        assert!(query.contains("g3.expr=sum+by") && !query.contains("g4."), "{query}");
    }

    #[test]
    fn the_configuration_is_one() {
        let text = super::configuration("5s", "127.0.0.1:9100", "127.0.0.1:9090");
        assert_eq!(text.matches("job_name").count(), 3);
        assert!(text.contains("\n  metrics_path"));
    }
}
