//! The families of a container, and how they are written: one table, one row a family.

use super::process::{Interface, Processes};
use super::stats::{Device, Memory, Stats};
use std::fmt::Write as _;

/// A container (or slice, or pod, or the machine) at one moment.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    /// `container="",id="/",…`: the labels of all its series.
    pub(crate) labels: String,
    /// When it was read, in Unix milliseconds.
    pub(crate) at: i64,
    /// When its cgroup was made, in Unix seconds.
    pub(crate) started: Option<f64>,
    pub(crate) stats: Stats,
    pub(crate) processes: Processes,
    /// Only of the owner of a network namespace: a pod's sandbox, and the machine.
    pub(crate) interfaces: Vec<Interface>,
    /// Only of the machine: mounted block devices.
    pub(crate) filesystems: Vec<super::disks::Filesystem>,
}

/// Takes the samples of one family of one container.
pub(crate) struct Line<'a> {
    out: &'a mut String,
    name: &'static str,
    labels: &'a str,
    stamp: Option<i64>,
}

impl Line<'_> {
    fn value(&mut self, value: f64) {
        self.with(&[], value);
    }
    fn maybe(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.value(value);
        }
    }
    fn with(&mut self, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(self.name);
        self.out.push('{');
        self.out.push_str(self.labels);
        for (name, text) in labels {
            let _ = write!(self.out, ",{name}=\"");
            push_escaped(self.out, text);
            self.out.push('"');
        }
        self.out.push_str("} ");
        self.out.push_str(&model::float::format_general(value));
        if let Some(stamp) = self.stamp {
            let _ = write!(self.out, " {stamp}");
        }
        self.out.push('\n');
    }
}

/// A label's value with `\`, `"` and line feeds escaped.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

struct Family {
    name: &'static str,
    help: &'static str,
    counter: bool,
    /// Whether samples bear the time at which the container was read.
    stamped: bool,
    write: fn(&Sampled, &mut Line<'_>),
}

type Write = fn(&Sampled, &mut Line<'_>);

const fn counter(name: &'static str, help: &'static str, write: Write) -> Family {
    Family { name, help, counter: true, stamped: true, write }
}
const fn gauge(name: &'static str, help: &'static str, write: Write) -> Family {
    Family { name, help, counter: false, stamped: true, write }
}
/// A gauge that says what is configured, not what was measured.
const fn spec(name: &'static str, help: &'static str, write: Write) -> Family {
    Family { name, help, counter: false, stamped: false, write }
}

fn memory(s: &Sampled, l: &mut Line<'_>, figure: fn(&Memory) -> u64) {
    l.maybe(s.stats.memory.as_ref().map(|m| figure(m) as f64));
}

/// Figures of throttling, where there is a quota.
fn quota(s: &Sampled, l: &mut Line<'_>, value: f64) {
    if s.stats.spec.quota.is_some() {
        l.value(value);
    }
}

fn device(s: &Sampled, l: &mut Line<'_>, figure: fn(&Device) -> u64) {
    for d in &s.stats.devices {
        l.with(&[("device", &d.name)], figure(d) as f64);
    }
}

fn filesystem(s: &Sampled, l: &mut Line<'_>, figure: fn(&super::disks::Filesystem) -> f64) {
    for f in &s.filesystems {
        l.with(&[("device", &f.device)], figure(f));
    }
}

/// A figure of block devices: of a container from its cgroup, of the machine from the disks themselves.
fn device_or_disk(
    s: &Sampled,
    l: &mut Line<'_>,
    of_device: fn(&Device) -> u64,
    of_disk: fn(&super::disks::Filesystem) -> f64,
) {
    if s.filesystems.is_empty() {
        device(s, l, of_device);
    } else {
        filesystem(s, l, of_disk);
    }
}

fn network(s: &Sampled, l: &mut Line<'_>, column: usize) {
    for i in &s.interfaces {
        l.with(&[("interface", &i.name)], i.values[column] as f64);
    }
}

fn pressure(s: &Sampled, l: &mut Line<'_>, resource: usize, full: bool) {
    l.maybe(s.stats.pressure[resource].map(|p| if full { p.full } else { p.some }));
}

fn failures(s: &Sampled, l: &mut Line<'_>) {
    let Some(m) = &s.stats.memory else { return };
    for (kind, counts) in [("pgfault", m.pgfault), ("pgmajfault", m.pgmajfault)] {
        for (scope, count) in ["container", "hierarchy"].into_iter().zip(counts) {
            l.with(&[("failure_type", kind), ("scope", scope)], count as f64);
        }
    }
}

fn device_usage(s: &Sampled, l: &mut Line<'_>) {
    for d in &s.stats.devices {
        let (major, minor) = (d.number.0.to_string(), d.number.1.to_string());
        for (operation, bytes) in [("Read", d.read_bytes), ("Write", d.written_bytes)] {
            let labels =
                [("device", d.name.as_str()), ("major", &major), ("minor", &minor), ("operation", operation)];
            l.with(&labels, bytes as f64);
        }
    }
}

const FAMILIES: &[Family] = &[
    counter("container_blkio_device_usage_total", "Blkio Device bytes usage", device_usage),
    counter("container_cpu_cfs_burst_periods_total", "Number of periods when burst occurs.", |s, l| {
        quota(s, l, s.stats.cpu.bursts as f64);
    }),
    counter(
        "container_cpu_cfs_burst_seconds_total",
        "Total time duration the container has been bursted.",
        |s, l| {
            quota(s, l, s.stats.cpu.burst);
        },
    ),
    counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", |s, l| {
        quota(s, l, s.stats.cpu.periods as f64);
    }),
    counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.", |s, l| {
        quota(s, l, s.stats.cpu.throttled_periods as f64);
    }),
    counter(
        "container_cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled.",
        |s, l| quota(s, l, s.stats.cpu.throttled),
    ),
    counter(
        "container_cpu_system_seconds_total",
        "Cumulative system cpu time consumed in seconds.",
        |s, l| {
            l.maybe(s.stats.cpu.system);
        },
    ),
    counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", |s, l| {
        // a cgroup that never ran anything has no series
        if let Some(usage) = s.stats.cpu.usage.filter(|u| *u > 0.0) {
            l.with(&[("cpu", "total")], usage);
        }
    }),
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.", |s, l| {
        l.maybe(s.stats.cpu.user);
    }),
    gauge("container_file_descriptors", "Number of open file descriptors for the container.", |s, l| {
        l.value(s.processes.descriptors as f64);
    }),
    gauge("container_fs_inodes_free", "Number of available Inodes", |s, l| {
        filesystem(s, l, |f| f.inodes_free)
    }),
    gauge("container_fs_inodes_total", "Number of Inodes", |s, l| filesystem(s, l, |f| f.inodes)),
    gauge("container_fs_io_current", "Number of I/Os currently in progress", |s, l| {
        filesystem(s, l, |f| f.io_current);
    }),
    gauge(
        "container_fs_limit_bytes",
        "Number of bytes that can be consumed by the container on this filesystem.",
        |s, l| filesystem(s, l, |f| f.limit),
    ),
    counter("container_fs_reads_bytes_total", "Cumulative count of bytes read", |s, l| {
        device(s, l, |d| d.read_bytes);
    }),
    counter("container_fs_reads_merged_total", "Cumulative count of reads merged", |s, l| {
        filesystem(s, l, |f| f.reads_merged);
    }),
    counter("container_fs_reads_total", "Cumulative count of reads completed", |s, l| {
        device_or_disk(s, l, |d| d.reads, |f| f.reads);
    }),
    counter("container_fs_sector_reads_total", "Cumulative count of sector reads completed", |s, l| {
        filesystem(s, l, |f| f.sectors_read);
    }),
    counter("container_fs_sector_writes_total", "Cumulative count of sector writes completed", |s, l| {
        filesystem(s, l, |f| f.sectors_written);
    }),
    gauge(
        "container_fs_usage_bytes",
        "Number of bytes that are consumed by the container on this filesystem.",
        |s, l| filesystem(s, l, |f| f.usage),
    ),
    counter("container_fs_writes_bytes_total", "Cumulative count of bytes written", |s, l| {
        device(s, l, |d| d.written_bytes);
    }),
    counter("container_fs_writes_merged_total", "Cumulative count of writes merged", |s, l| {
        filesystem(s, l, |f| f.writes_merged);
    }),
    counter("container_fs_writes_total", "Cumulative count of writes completed", |s, l| {
        device_or_disk(s, l, |d| d.writes, |f| f.writes);
    }),
    gauge("container_last_seen", "Last time a container was seen by the exporter", |s, l| {
        l.value((s.at / 1000) as f64);
    }),
    gauge("container_memory_cache", "Number of bytes of page cache memory.", |s, l| {
        memory(s, l, |m| m.cache)
    }),
    counter("container_memory_failcnt", "Number of memory usage hits limits", |s, l| {
        memory(s, l, |m| m.failcnt)
    }),
    counter("container_memory_failures_total", "Cumulative count of memory allocation failures.", failures),
    gauge("container_memory_kernel_usage", "Size of kernel memory allocated in bytes.", |s, l| {
        l.maybe(s.stats.memory.as_ref().and_then(|m| m.kernel).map(|n| n as f64));
    }),
    gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.", |s, l| {
        memory(s, l, |m| m.mapped_file);
    }),
    gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes", |s, l| {
        l.maybe(s.stats.memory.as_ref().and_then(|m| m.max_usage).map(|n| n as f64));
    }),
    gauge("container_memory_rss", "Size of RSS in bytes.", |s, l| memory(s, l, |m| m.rss)),
    gauge("container_memory_swap", "Container swap usage in bytes.", |s, l| memory(s, l, |m| m.swap)),
    gauge("container_memory_total_active_file_bytes", "Current total active file in bytes.", |s, l| {
        memory(s, l, |m| m.active_file);
    }),
    gauge("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.", |s, l| {
        memory(s, l, |m| m.inactive_file);
    }),
    gauge(
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        |s, l| memory(s, l, |m| m.usage),
    ),
    gauge("container_memory_working_set_bytes", "Current working set in bytes.", |s, l| {
        memory(s, l, |m| m.working_set);
    }),
    counter("container_network_receive_bytes_total", "Cumulative count of bytes received", |s, l| {
        network(s, l, 0)
    }),
    counter(
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        |s, l| network(s, l, 2),
    ),
    counter(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        |s, l| network(s, l, 3),
    ),
    counter("container_network_receive_packets_total", "Cumulative count of packets received", |s, l| {
        network(s, l, 1);
    }),
    counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", |s, l| {
        network(s, l, 4);
    }),
    counter(
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        |s, l| network(s, l, 6),
    ),
    counter(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        |s, l| network(s, l, 7),
    ),
    counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted", |s, l| {
        network(s, l, 5);
    }),
    counter(
        "container_oom_events_total",
        "Count of out of memory events observed for the container",
        |s, l| memory(s, l, |m| m.oom_kills),
    ),
    counter(
        "container_pressure_cpu_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to CPU congestion.",
        |s, l| pressure(s, l, 0, true),
    ),
    counter(
        "container_pressure_cpu_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to CPU congestion.",
        |s, l| pressure(s, l, 0, false),
    ),
    counter(
        "container_pressure_io_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to IO congestion.",
        |s, l| pressure(s, l, 2, true),
    ),
    counter(
        "container_pressure_io_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to IO congestion.",
        |s, l| pressure(s, l, 2, false),
    ),
    counter(
        "container_pressure_memory_stalled_seconds_total",
        "Total time duration no tasks in the container could make progress due to memory congestion.",
        |s, l| pressure(s, l, 1, true),
    ),
    counter(
        "container_pressure_memory_waiting_seconds_total",
        "Total time duration tasks in the container have waited due to memory congestion.",
        |s, l| pressure(s, l, 1, false),
    ),
    gauge("container_processes", "Number of processes running inside the container.", |s, l| {
        l.value(s.processes.count as f64);
    }),
    gauge("container_sockets", "Number of open sockets for the container.", |s, l| {
        l.value(s.processes.sockets as f64);
    }),
    spec("container_spec_cpu_period", "CPU period of the container.", |s, l| {
        l.maybe(s.stats.spec.period.map(|n| n as f64));
    }),
    spec("container_spec_cpu_quota", "CPU quota of the container.", |s, l| {
        l.maybe(s.stats.spec.quota.map(|n| n as f64));
    }),
    spec("container_spec_cpu_shares", "CPU share of the container.", |s, l| {
        l.maybe(s.stats.spec.shares.map(|n| n as f64));
    }),
    spec("container_spec_memory_limit_bytes", "Memory limit for the container.", |s, l| {
        l.value(s.stats.spec.memory as f64);
    }),
    spec(
        "container_spec_memory_reservation_limit_bytes",
        "Memory reservation limit for the container.",
        |s, l| l.value(s.stats.spec.memory_reservation as f64),
    ),
    spec("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.", |s, l| {
        l.value(s.stats.spec.memory_swap as f64);
    }),
    spec(
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds.",
        |s, l| {
            l.maybe(s.started);
        },
    ),
    gauge("container_threads", "Number of threads running inside the container", |s, l| {
        l.maybe(s.stats.threads.map(|n| n as f64));
    }),
    gauge(
        "container_threads_max",
        "Maximum number of threads allowed inside the container, infinity if value is zero",
        |s, l| l.maybe(s.stats.threads_max.map(|n| n as f64)),
    ),
    gauge(
        "container_ulimits_soft",
        "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
        |s, l| {
            if let Some(limit) = s.processes.max_open_files {
                l.with(&[("ulimit", "max_open_files")], limit as f64);
            }
        },
    ),
];

/// Appends all families; those without a sample are left out.
pub(crate) fn write(out: &mut String, containers: &[Sampled]) {
    for family in FAMILIES {
        let begun = out.len();
        let kind = if family.counter { "counter" } else { "gauge" };
        let _ = write!(out, "# HELP {} {}\n# TYPE {} {kind}\n", family.name, family.help, family.name);
        let head = out.len();
        for container in containers {
            let stamp = family.stamped.then_some(container.at);
            let mut line = Line { out: &mut *out, name: family.name, labels: &container.labels, stamp };
            (family.write)(container, &mut line);
        }
        if out.len() == head {
            out.truncate(begun);
        }
    }
}
