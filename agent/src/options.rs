//! The agent's flags: those of node_exporter that its collectors understand, and the agent's own.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Parser as _};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Everything that can be set about an agent. `Options::default()` is what an empty command line gives.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Addresses on which to expose metrics, for example `:9100` or `[::1]:9100`. Repeatable.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9100")]
    pub listen_address: Vec<String>,
    /// Path of the node metrics; `/cadvisor` and `/kube-state` lie below it.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: String,
    /// Leave out the metrics about the agent itself (process_*, pharos_*).
    #[arg(long = "web.disable-exporter-metrics")]
    pub disable_exporter_metrics: bool,
    /// How many scrapes are served at the same time; 0: no limit.
    #[arg(long = "web.max-requests", value_name = "COUNT", default_value_t = 40)]
    pub max_requests: usize,

    /// Only log messages of this severity or above.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", value_parser = PossibleValuesParser::new(["debug", "info", "warn", "error"]))]
    pub log_level: String,
    /// Form of log lines.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", value_parser = PossibleValuesParser::new(["logfmt", "json"]))]
    pub log_format: String,

    /// Where the host's /proc is mounted.
    #[arg(long = "path.procfs", value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Where the host's /sys is mounted.
    #[arg(long = "path.sysfs", value_name = "DIR", default_value = "/sys")]
    pub sysfs: PathBuf,
    /// Where the host's root file system is mounted.
    #[arg(long = "path.rootfs", value_name = "DIR", default_value = "/")]
    pub rootfs: PathBuf,
    /// Where udev keeps its data.
    #[arg(long = "path.udev.data", value_name = "DIR", default_value = "/run/udev/data")]
    pub udev: PathBuf,

    /// Which collectors run.
    #[command(flatten)]
    pub collectors: Collectors,
    /// What single collectors leave out or add.
    #[command(flatten)]
    pub node: NodeOptions,

    /// Serve container metrics at TELEMETRY-PATH/cadvisor [default: true].
    #[arg(long = "cadvisor", value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub cadvisor: bool,
    /// Where the host's cgroup tree is mounted [default: SYSFS/fs/cgroup].
    #[arg(long = "cgroup-root", value_name = "DIR")]
    pub cgroup_root: Option<PathBuf>,
    /// Serve the state of the cluster's objects at TELEMETRY-PATH/kube-state, where there is access to Kubernetes.
    #[arg(long = "kube-state", value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub kube_state: bool,
    /// Talk to Kubernetes: `auto` where a kubeconfig or a service account is found, `off` never.
    #[arg(long = "kubernetes", value_name = "MODE", default_value = "auto", value_parser = PossibleValuesParser::new(["auto", "off"]))]
    pub kubernetes: String,
    /// The Kubernetes node this agent runs on [default: $NODE_NAME]; without it, an elected agent covers the pods of
    /// all nodes.
    #[arg(long = "node-name", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Name of the lease through which the agent of the cluster-wide objects is elected.
    #[arg(long = "kube-state.lease-name", value_name = "NAME", default_value = "pharos-agent-kube-state")]
    pub lease_name: String,
    /// Namespace of that lease [default: $POD_NAMESPACE, else the service account's].
    #[arg(long = "kube-state.lease-namespace", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Who this agent is in the election [default: $POD_NAME, else the host's name].
    #[arg(long = "kube-state.identity", value_name = "NAME")]
    pub identity: Option<String>,
}

/// Options of single node collectors; an include and an exclude of the same thing exclude each other.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeOptions {
    /// Expose node_cpu_guest_seconds_total [default: true].
    #[arg(long = "collector.cpu.guest", overrides_with = "no_cpu_guest")]
    pub cpu_guest: bool,
    /// Leave node_cpu_guest_seconds_total out.
    #[arg(long = "no-collector.cpu.guest", hide = true)]
    pub no_cpu_guest: bool,
    /// Expose node_cpu_info.
    #[arg(long = "collector.cpu.info", overrides_with = "no_cpu_info")]
    pub cpu_info: bool,
    /// Leave node_cpu_info out.
    #[arg(long = "no-collector.cpu.info", hide = true)]
    pub no_cpu_info: bool,
    /// Processor flags to expose, as a regular expression (turns node_cpu_info on).
    #[arg(long = "collector.cpu.info.flags-include", value_name = "REGEX")]
    pub cpu_flags_include: Option<String>,
    /// Processor bugs to expose, as a regular expression (turns node_cpu_info on).
    #[arg(long = "collector.cpu.info.bugs-include", value_name = "REGEX")]
    pub cpu_bugs_include: Option<String>,
    /// Disks to leave out [default: `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`].
    #[arg(long = "collector.diskstats.device-exclude", value_name = "REGEX")]
    pub diskstats_device_exclude: Option<String>,
    /// Disks to show, instead of an exclusion.
    #[arg(long = "collector.diskstats.device-include", value_name = "REGEX")]
    pub diskstats_device_include: Option<String>,
    /// Mount points to leave out.
    #[arg(long = "collector.filesystem.mount-points-exclude", value_name = "REGEX")]
    pub filesystem_mount_points_exclude: Option<String>,
    /// Mount points to show, instead of an exclusion.
    #[arg(long = "collector.filesystem.mount-points-include", value_name = "REGEX")]
    pub filesystem_mount_points_include: Option<String>,
    /// File system types to leave out.
    #[arg(long = "collector.filesystem.fs-types-exclude", value_name = "REGEX")]
    pub filesystem_fs_types_exclude: Option<String>,
    /// File system types to show, instead of an exclusion.
    #[arg(long = "collector.filesystem.fs-types-include", value_name = "REGEX")]
    pub filesystem_fs_types_include: Option<String>,
    /// How long a mount may take to answer before it is called stuck and left alone until it does.
    #[arg(long = "collector.filesystem.mount-timeout", value_name = "DURATION", default_value = "5s")]
    pub filesystem_mount_timeout: String,
    /// How many mounts are asked at the same time (accepted for compatibility: one thread asks until it gets stuck,
    /// then another takes over).
    #[arg(
        long = "collector.filesystem.stat-workers",
        value_name = "COUNT",
        default_value_t = 4,
        hide = true
    )]
    pub filesystem_stat_workers: usize,
    /// Network devices to leave out of netclass.
    #[arg(long = "collector.netclass.ignored-devices", value_name = "REGEX", default_value = "^$")]
    pub netclass_ignored_devices: String,
    /// Leave node_network_speed_bytes out where the driver does not know the speed.
    #[arg(long = "collector.netclass.ignore-invalid-speed")]
    pub netclass_ignore_invalid_speed: bool,
    /// Network devices to leave out of netdev.
    #[arg(long = "collector.netdev.device-exclude", value_name = "REGEX")]
    pub netdev_device_exclude: Option<String>,
    /// Network devices to show in netdev, instead of an exclusion.
    #[arg(long = "collector.netdev.device-include", value_name = "REGEX")]
    pub netdev_device_include: Option<String>,
    /// Fields of /proc/net/{netstat,snmp,snmp6} to expose.
    #[arg(long = "collector.netstat.fields", value_name = "REGEX", default_value = crate::options::NETSTAT_FIELDS)]
    pub netstat_fields: String,
    /// Expose softirq calls per vector.
    #[arg(long = "collector.stat.softirq")]
    pub stat_softirq: bool,
    /// Fields of /proc/vmstat to expose.
    #[arg(
        long = "collector.vmstat.fields",
        value_name = "REGEX",
        default_value = "^(oom_kill|pgpg|pswp|pg.*fault).*"
    )]
    pub vmstat_fields: String,
}

/// The fields of netstat that are shown unless told otherwise.
pub(crate) const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|\
    Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
    Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
    Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

impl Options {
    /// `--node-name`, else `$NODE_NAME`.
    pub(crate) fn node_name(&self) -> Option<String> {
        or_env(&self.node_name, "NODE_NAME")
    }
    /// `--kube-state.lease-namespace`, else `$POD_NAMESPACE`.
    pub(crate) fn lease_namespace(&self) -> Option<String> {
        or_env(&self.lease_namespace, "POD_NAMESPACE")
    }
    /// `--kube-state.identity`, else `$POD_NAME`.
    pub(crate) fn identity(&self) -> Option<String> {
        or_env(&self.identity, "POD_NAME")
    }
}

fn or_env(value: &Option<String>, variable: &str) -> Option<String> {
    value.clone().or_else(|| std::env::var(variable).ok()).filter(|v| !v.is_empty())
}

impl Default for Options {
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct CommandLine {
            #[command(flatten)]
            options: Options,
        }
        // every flag has a default, so only a bad value in the environment can make this fail
        CommandLine::try_parse_from(["agent"])
            .unwrap_or_else(|e| unreachable!("the flags' own defaults are refused: {e}"))
            .options
    }
}

/// A collector of node_exporter and its flags.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    on: &'static str,
    off: &'static str,
    /// Whether it runs unless told otherwise; `None`: the agent does not have it, so that it can only be turned off.
    default: Option<bool>,
}

macro_rules! collectors {
    ($($default:expr => [$($name:literal),* $(,)?]),* $(,)?) => {
        &[$($(Known {
            name: $name,
            on: concat!("collector.", $name),
            off: concat!("no-collector.", $name),
            default: $default,
        },)*)*]
    };
}

/// All collectors of node_exporter.
pub(crate) const COLLECTORS: &[Known] = collectors! {
    Some(true) => [
        "cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netdev", "pressure", "stat", "time", "uname", "vmstat", "conntrack", "entropy", "netclass", "netstat", "sockstat",
    ],
    None => [
        "arp", "bcache", "bcachefs", "bonding", "btrfs", "buddyinfo", "cgroups", "cpu_vulnerabilities", "cpufreq", "dmi", "dmmultipath", "drbd", "drm", "edac", "ethtool", "fibrechannel", "hwmon", "infiniband", "interrupts", "ipvs", "kernel_hung", "ksmd", "lnstat", "logind", "mdadm", "meminfo_numa", "mountstats", "network_route", "nfs", "nfsd", "ntp", "nvme", "nvmesubsystem", "os", "pcidevice", "perf", "powersupplyclass", "processes", "qdisc", "rapl", "runit", "schedstat", "selinux", "slabinfo", "softirqs", "softnet", "supervisord", "swap", "sysctl", "systemd", "tapestats", "tcpstat", "textfile", "thermal_zone", "timex", "udp_queues", "watchdog", "wifi", "xfrm", "xfs", "zfs", "zoneinfo"
    ],
};

/// The set of collectors that run: `--collector.NAME`, `--no-collector.NAME`, `--collector.disable-defaults`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collectors(BTreeSet<&'static str>);

impl Collectors {
    /// Whether a collector runs.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Those that run, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// Exactly these; names that the agent does not have are left out.
    pub fn only(names: &[&str]) -> Self {
        let chosen = COLLECTORS.iter().filter(|c| c.default.is_some() && names.contains(&c.name));
        Collectors(chosen.map(|c| c.name).collect())
    }
}

impl FromArgMatches for Collectors {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let no_defaults = matches.get_flag("collector.disable-defaults");
        let mut running = BTreeSet::new();
        for known in COLLECTORS {
            let asked = matches.get_flag(known.on);
            let Some(default) = known.default else {
                if asked {
                    let why = format!("--{}: the agent has no such collector\n", known.on);
                    return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, why));
                }
                continue;
            };
            if asked || (default && !no_defaults && !matches.get_flag(known.off)) {
                running.insert(known.name);
            }
        }
        Ok(Collectors(running))
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Collectors {
    fn augment_args(command: Command) -> Command {
        let command = command.arg(
            Arg::new("collector.disable-defaults")
                .long("collector.disable-defaults")
                .action(ArgAction::SetTrue)
                .help("Run only the collectors that are asked for"),
        );
        COLLECTORS.iter().fold(command, |command, Known { on, off, default, .. }| {
            let help = match default {
                Some(true) => "Run this collector (default; --no-… turns it off)",
                _ => "Run this collector",
            };
            let arg = |id: &'static str, other: &'static str| {
                Arg::new(id).long(id).action(ArgAction::SetTrue).overrides_with(other)
            };
            command.arg(arg(on, off).hide(default.is_none()).help(help)).arg(arg(off, on).hide(true))
        })
    }
    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn parse(args: &[&str]) -> Result<Options, String> {
        CommandLine::try_parse_from(std::iter::once(&"agent").chain(args))
            .map(|c| c.options)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn collectors_can_be_turned_on_and_off() {
        let options = parse(&["--no-collector.cpu", "--no-collector.wifi"]).unwrap();
        assert!(!options.collectors.has("cpu") && options.collectors.has("meminfo"));
        let options = parse(&["--collector.disable-defaults", "--collector.cpu"]).unwrap();
        assert_eq!(options.collectors, Collectors::only(&["cpu"]));
        let options = parse(&["--no-collector.cpu", "--collector.cpu"]).unwrap();
        assert!(options.collectors.has("cpu"), "the last one wins");
        assert!(parse(&["--collector.wifi"]).unwrap_err().contains("--collector.wifi"));
    }

    #[test]
    fn defaults_are_those_of_an_empty_command_line() {
        let options = Options::default();
        assert_eq!(options.listen_address, [":9100"]);
        assert!(options.kube_state && !options.node.no_cpu_guest && !options.node.cpu_info);
    }

    #[test]
    fn switches_take_a_value() {
        assert!(!parse(&["--kube-state=false"]).unwrap().kube_state);
        assert!(parse(&["--kube-state"]).unwrap().kube_state);
        assert!(parse(&["--no-collector.cpu.guest"]).unwrap().node.no_cpu_guest);
    }
}
