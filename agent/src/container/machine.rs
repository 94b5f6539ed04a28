//! The machine, in the words of the kubelet's cAdvisor endpoint: `machine_*`.

use crate::node::{cpu_dirs, read_number, read_trimmed};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// What does not change while the agent runs (but for processors that are plugged in).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Machine {
    labels: String,
    kernel: String,
    os: String,
    cores: usize,
    physical_cores: usize,
    sockets: usize,
    /// In bytes.
    pub(crate) memory: u64,
    swap: u64,
    /// In Unix seconds.
    pub(crate) booted: Option<f64>,
}

impl Machine {
    pub(crate) fn read(proc: &Path, sys: &Path, rootfs: &Path) -> Self {
        let one_of =
            |paths: &[std::path::PathBuf]| paths.iter().find_map(|p| read_trimmed(p)).unwrap_or_default();
        let machine_id = one_of(&[rootfs.join("etc/machine-id"), rootfs.join("var/lib/dbus/machine-id")]);
        let uuid = match one_of(&[sys.join("class/dmi/id/product_uuid")]) {
            uuid if uuid.is_empty() => machine_id.clone(),
            uuid => uuid,
        };
        let boot = one_of(&[proc.join("sys/kernel/random/boot_id")]);
        let (cores, physical_cores, sockets) = topology(&sys.join("devices/system/cpu"));
        let meminfo = runtime::file::read_to_string(proc.join("meminfo")).unwrap_or_default();
        let stat = runtime::file::read_to_string(proc.join("stat")).unwrap_or_default();
        Machine {
            labels: format!("boot_id=\"{boot}\",machine_id=\"{machine_id}\",system_uuid=\"{uuid}\""),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            os: pretty_name(
                &runtime::file::read_to_string(rootfs.join("etc/os-release")).unwrap_or_default(),
            ),
            cores,
            physical_cores,
            sockets,
            memory: field(&meminfo, "MemTotal:").unwrap_or(0) * 1024,
            swap: field(&meminfo, "SwapTotal:").unwrap_or(0) * 1024,
            booted: field(&stat, "btime ").map(|t| t as f64),
        }
    }

    /// Appends its families.
    pub(crate) fn write(&self, out: &mut String) {
        let name = "cadvisor_version_info";
        let help = "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor \
                    version & cadvisor revision.";
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{cadvisorRevision=\"\",");
        let _ = write!(out, "cadvisorVersion=\"\",dockerVersion=\"\",kernelVersion=\"");
        super::families::push_escaped(out, &self.kernel);
        out.push_str("\",osVersion=\"");
        super::families::push_escaped(out, &self.os);
        out.push_str("\"} 1\n");
        for (name, help, value) in [
            ("machine_cpu_cores", "Number of logical CPU cores.", self.cores as u64),
            ("machine_cpu_physical_cores", "Number of physical CPU cores.", self.physical_cores as u64),
            ("machine_cpu_sockets", "Number of CPU sockets.", self.sockets as u64),
            ("machine_memory_bytes", "Amount of memory installed on the machine.", self.memory),
            ("machine_swap_bytes", "Amount of swap memory available on the machine.", self.swap),
        ] {
            let _ =
                write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{}}} {value}\n", self.labels);
        }
    }
}

/// Logical processors, cores, sockets.
fn topology(sys: &Path) -> (usize, usize, usize) {
    let (mut cores, mut sockets, mut logical) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (cpu, dir) in cpu_dirs(sys) {
        if read_number::<u8>(&dir.join("online")) == Some(0) {
            continue;
        }
        logical += 1;
        let package = read_trimmed(&dir.join("topology/physical_package_id")).unwrap_or_default();
        // a kernel that does not tell its cores apart has one per processor
        let core = read_trimmed(&dir.join("topology/core_id")).unwrap_or(cpu);
        cores.insert((package.clone(), core));
        sockets.insert(package);
    }
    (logical, cores.len(), sockets.len())
}

/// The number after a key at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(key))?.split_ascii_whitespace().next()?.parse().ok()
}

fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(field("MemTotal:   12 kB\nSwapTotal: 0 kB\n", "MemTotal:"), Some(12));
    }
}
