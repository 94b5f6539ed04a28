//! stat: interrupts, context switches, forks, boot time, and how many processes run or wait.

use super::shared::SharedFile;
use super::{Collector, Error, Text};

/// The vectors of the line `softirq`, after its total.
const SOFTIRQS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

pub(crate) struct Stat {
    file: SharedFile,
    softirqs: bool,
}

impl Stat {
    pub(crate) fn new(file: SharedFile, softirqs: bool) -> Self {
        Stat { file, softirqs }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Parsed {
    interrupts: Option<u64>,
    context_switches: Option<u64>,
    forks: Option<u64>,
    boot_time: Option<u64>,
    running: Option<u64>,
    blocked: Option<u64>,
    softirqs: Vec<u64>,
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(' ') else { continue };
        // the line of interrupts is long: only its total is looked at
        let first = || rest.split_ascii_whitespace().next()?.parse().ok();
        match key {
            "intr" => parsed.interrupts = first(),
            "ctxt" => parsed.context_switches = first(),
            "processes" => parsed.forks = first(),
            "btime" => parsed.boot_time = first(),
            "procs_running" => parsed.running = first(),
            "procs_blocked" => parsed.blocked = first(),
            "softirq" => {
                parsed.softirqs =
                    rest.split_ascii_whitespace().skip(1).map_while(|w| w.parse().ok()).collect();
            }
            _ => {}
        }
    }
    parsed
}

impl Collector for Stat {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let p = self.file.read(out.scrape(), parse)?;
        let mut counter = |name, help, value: Option<u64>| {
            if let Some(value) = value {
                out.counter(name, help, value as f64);
            }
        };
        counter("node_intr_total", "Total number of interrupts serviced.", p.interrupts);
        counter("node_context_switches_total", "Total number of context switches.", p.context_switches);
        counter("node_forks_total", "Total number of forks.", p.forks);
        let mut gauge = |name, help, value: Option<u64>| {
            if let Some(value) = value {
                out.gauge(name, help, value as f64);
            }
        };
        gauge("node_boot_time_seconds", "Node boot time, in unixtime.", p.boot_time);
        gauge("node_procs_running", "Number of processes in runnable state.", p.running);
        gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.", p.blocked);
        if self.softirqs && !p.softirqs.is_empty() {
            let name = "node_softirqs_total";
            out.counters(name, "Number of softirq calls.");
            for (vector, calls) in SOFTIRQS.iter().zip(&p.softirqs) {
                out.sample(name, [("vector", vector)], *calls as f64);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let text = "cpu  1 2\nintr 99 1 0 3\nctxt 5\nbtime 1700000000\nprocesses 7\nprocs_running 2\n\
                    procs_blocked 0\nsoftirq 6 1 2 3\n";
        let expected = Parsed {
            interrupts: Some(99),
            context_switches: Some(5),
            forks: Some(7),
            boot_time: Some(1_700_000_000),
            running: Some(2),
            blocked: Some(0),
            softirqs: vec![1, 2, 3],
        };
        assert_eq!(parse(text), expected);
    }
}
