//! The machine's containers, with the names of the kubelet's cAdvisor endpoint, from the cgroup tree itself.

mod bundle;
mod cgroup;
mod disks;
mod families;
mod ids;
mod machine;
mod process;
mod stats;

use crate::kubernetes::PodIndex;
use crate::options::Options;
use crate::worker::{Stopping, Worker};
use bundle::Bundle;
use cgroup::Hierarchy;
use families::Sampled;
use ids::Place;
use machine::Machine;
use process::Processes;
use runtime::Stage;
use runtime::clock::SharedClock;
use rustc_hash::FxHashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Block devices whose files are remembered: far more than a machine has, so that those of volumes that have come and
/// gone do not gather.
const DEVICES: usize = 1024;

/// Why a scrape has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is nothing to read.
    #[error("cannot read cgroups: {0}")]
    Cgroups(#[from] std::io::Error),
    /// Too late.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// The containers, read in a thread of their own.
pub(crate) struct ContainerMetrics {
    worker: Worker<Containers>,
}

impl ContainerMetrics {
    pub(crate) fn new(options: &Options, clock: SharedClock, stage: &Stage, pods: Arc<PodIndex>) -> Self {
        let containers = Containers {
            cgroups: options.cgroup_root.clone().unwrap_or_else(|| options.sysfs.join("fs/cgroup")),
            proc: options.procfs.clone(),
            sys: options.sysfs.clone(),
            rootfs: options.rootfs.clone(),
            clock,
            pods,
            known: FxHashMap::default(),
            devices: FxHashMap::default(),
            size: 16 << 10,
        };
        ContainerMetrics { worker: Worker::start(stage, containers) }
    }

    pub(crate) async fn gather(&self) -> Result<String, Error> {
        Ok(self.worker.call(Containers::gather).await??)
    }
}

/// What the thread owns.
struct Containers {
    cgroups: PathBuf,
    proc: PathBuf,
    sys: PathBuf,
    rootfs: PathBuf,
    clock: SharedClock,
    pods: Arc<PodIndex>,
    known: FxHashMap<String, Known>,
    /// Files of block devices, which do not change their numbers while they are in use.
    devices: FxHashMap<(u32, u32), String>,
    /// Size of the last text: the next one will be much the same.
    size: usize,
}

/// What stays the same about a cgroup.
#[derive(Clone, Debug, Default)]
struct Known {
    labels: String,
    started: Option<f64>,
    sandbox: bool,
    /// Whether the names are all there will be: else they are looked for again.
    settled: bool,
}

/// The names of a container.
#[derive(Debug, Default, PartialEq)]
struct Names {
    name: String,
    image: String,
    namespace: String,
    pod: String,
    container: String,
    sandbox: bool,
    settled: bool,
}

impl Names {
    /// The labels of all its series, in the order of the alphabet.
    fn labels(&self, path: &str) -> String {
        let mut labels = String::new();
        let pairs = [
            ("container", self.container.as_str()),
            ("id", path),
            ("image", &self.image),
            ("name", &self.name),
            ("namespace", &self.namespace),
            ("pod", &self.pod),
        ];
        for (i, (name, value)) in pairs.into_iter().enumerate() {
            let _ = write!(labels, "{}{name}=\"", if i == 0 { "" } else { "," });
            families::push_escaped(&mut labels, value);
            labels.push('"');
        }
        labels
    }
}

impl Containers {
    fn gather(&mut self) -> Result<String, std::io::Error> {
        let hierarchy = Hierarchy::find(&self.cgroups)?;
        let machine = Machine::read(&self.proc, &self.sys, &self.rootfs);
        let paths = self.paths(&hierarchy);
        if self.devices.len() > DEVICES {
            self.devices.clear();
        }
        self.known.retain(|path, _| paths.binary_search(path).is_ok());
        let mut sampled = Vec::with_capacity(paths.len());
        for path in &paths {
            sampled.extend(self.sample(&hierarchy, &machine, path));
        }
        let mut out = String::with_capacity(self.size + self.size / 8);
        families::write(&mut out, &sampled);
        machine.write(&mut out);
        for (name, what) in [("container", "container"), ("machine", "machine")] {
            let stop = if what == "machine" { "." } else { "" };
            let _ = write!(
                out,
                "# HELP {name}_scrape_error 1 if there was an error while getting {what} metrics, 0 otherwise{stop}\n\
                 # TYPE {name}_scrape_error gauge\n{name}_scrape_error 0\n"
            );
        }
        self.size = out.len();
        Ok(out)
    }

    /// The cgroups that are shown, sorted. Where a kubelet runs: the machine, and its tree of pods, as it shows them
    /// itself. Elsewhere: the machine, its slices and services, and every container.
    fn paths(&self, hierarchy: &Hierarchy) -> Vec<String> {
        let below_container = |path: &str| {
            path.rsplit_once('/').is_some_and(|(parent, _)| {
                matches!(ids::place(parent), Place::PodContainer { .. } | Place::Container { .. })
            })
        };
        let top = hierarchy.walk(|path| path.matches('/').count() == 1);
        let kubelet = top.iter().any(|path| ids::in_kubepods(path));
        let mut paths = hierarchy.walk(|path| (!kubelet || ids::in_kubepods(path)) && !below_container(path));
        if !kubelet {
            paths.retain(|path| {
                let container =
                    matches!(ids::place(path), Place::Container { .. } | Place::PodContainer { .. });
                let depth = path.matches('/').count();
                container || depth == 1 || (depth == 2 && path.starts_with("/system.slice/"))
            });
        }
        paths.sort_unstable();
        paths
    }

    /// A cgroup now; nothing where it has vanished.
    fn sample(&mut self, hierarchy: &Hierarchy, machine: &Machine, path: &str) -> Option<Sampled> {
        let root = path == "/";
        let pids = hierarchy.processes(path);
        let mut known = self.known.get(path).filter(|k| k.settled).cloned();
        if known.is_none() {
            let started = if root { machine.booted } else { Some(hierarchy.made(path)? as f64) };
            let names = self.names(path, &pids);
            // a directory's time moves when a child is made: the first one seen stays
            let before = self.known.get(path).and_then(|k| k.started);
            let new = Known {
                labels: names.labels(path),
                started: before.or(started),
                sandbox: names.sandbox,
                settled: names.settled,
            };
            self.known.insert(path.to_owned(), new.clone());
            known = Some(new);
        }
        let known = known?;
        let at = self.clock.now_ms();
        let mut stats = stats::read(hierarchy, path);
        for device in &mut stats.devices {
            let name =
                self.devices.entry(device.number).or_insert_with(|| disks::device(&self.sys, device.number));
            name.clone_into(&mut device.name);
        }
        let (mut interfaces, mut filesystems) = (Vec::new(), Vec::new());
        if root {
            stats.spec.memory = machine.memory;
            interfaces = process::interfaces(&self.proc, 1);
            filesystems = disks::read(&self.proc, &self.rootfs);
        } else if known.sandbox
            && let Some(pid) = pids.first()
        {
            interfaces = process::interfaces(&self.proc, *pid);
        }
        if stats.memory.is_none() && stats.cpu.usage.is_none() {
            return None;
        }
        let processes = Processes::read(&self.proc, &pids);
        Some(Sampled {
            labels: known.labels,
            at,
            started: known.started,
            stats,
            processes,
            interfaces,
            filesystems,
        })
    }

    /// Whose cgroup it is: from containerd's own notes, else from the API.
    fn names(&self, path: &str, pids: &[u32]) -> Names {
        match ids::place(path) {
            Place::Root | Place::Other => Names { settled: true, ..Names::default() },
            Place::Pod { uid } => self.pods.get(&uid).map_or_else(Names::default, |pod| Names {
                namespace: pod.namespace.clone(),
                pod: pod.name.clone(),
                settled: true,
                ..Names::default()
            }),
            Place::Container { id } => Names { name: id.to_owned(), settled: true, ..Names::default() },
            Place::PodContainer { uid, id } => match Bundle::read(&self.rootfs, id) {
                Some(bundle) => Names {
                    name: id.to_owned(),
                    image: bundle.image,
                    namespace: bundle.namespace,
                    pod: bundle.pod,
                    container: bundle.container,
                    sandbox: bundle.sandbox,
                    settled: true,
                },
                None => self.names_from_api(&uid, id, pids),
            },
        }
    }

    fn names_from_api(&self, uid: &str, id: &str, pids: &[u32]) -> Names {
        let mut names = Names { name: id.to_owned(), ..Names::default() };
        let Some(pod) = self.pods.get(uid) else { return names };
        (names.namespace, names.pod) = (pod.namespace.clone(), pod.name.clone());
        if let Some((container, image)) = pod.container(id) {
            (names.container, names.image) = (container.to_owned(), image.to_owned());
            names.settled = true;
        } else if pids.first().is_some_and(|pid| is_pause(&self.proc, *pid)) {
            // the API does not list sandboxes
            (names.sandbox, names.settled) = (true, true);
        }
        names
    }
}

/// Whether a process is the one that holds a pod's namespaces.
fn is_pause(proc: &Path, pid: u32) -> bool {
    runtime::file::read_to_string(proc.join(pid.to_string()).join("comm"))
        .is_ok_and(|comm| comm.trim() == "pause")
}

#[cfg(test)]
mod tests;
