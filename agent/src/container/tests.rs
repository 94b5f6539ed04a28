//! Containers over cgroup trees made for the purpose, in both versions and both layouts.

use super::*;
use crate::kubernetes::Sink;
use k8s_openapi::api::core::v1::Pod;

const UID: &str = "7f5f3c3e-1d5b-4d43-9a0e-5d4c1a2b3c4d";

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A machine in a directory.
struct Fixture {
    dir: tempfile::TempDir,
    pods: Arc<PodIndex>,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Fixture { dir: tempfile::tempdir().unwrap(), pods: Arc::default() };
        fixture.file("proc/meminfo", "MemTotal:       1000 kB\nSwapTotal:         0 kB\n");
        fixture.file("proc/stat", "btime 1700000000\n");
        fixture
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The pod that the API knows, with one container.
    fn pod(&self) {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": UID},
            "status": {"containerStatuses": [{
                "name": "nginx", "image": "nginx:1", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{}", id('a'))
            }]}
        }))
        .unwrap();
        self.pods.changed(&pod);
    }

    fn process(&self, pid: u32, comm: &str) {
        self.file(&format!("proc/{pid}/comm"), comm);
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n  eth0: 100 2 0 1 0 0 0 0 200 4 0 3 0 0 0 0\n";
        self.file(&format!("proc/{pid}/net/dev"), dev);
    }

    fn gather(&self) -> Result<String, std::io::Error> {
        let root = self.dir.path();
        Containers {
            cgroups: root.join("sys/fs/cgroup"),
            proc: root.join("proc"),
            sys: root.join("sys"),
            rootfs: root.to_owned(),
            clock: runtime::clock::ManualClock::at(5000),
            pods: self.pods.clone(),
            known: FxHashMap::default(),
            devices: FxHashMap::default(),
            size: 0,
        }
        .gather()
    }

    /// A cgroup of version 2.
    fn v2(&self, path: &str, pids: &str) {
        let dir = format!("sys/fs/cgroup/{}", path.trim_start_matches('/'));
        self.file(&format!("{dir}/cgroup.procs"), pids);
        self.file(&format!("{dir}/cpu.stat"), "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 3\nthrottled_usec 1500000\n");
        self.file(&format!("{dir}/cpu.max"), "20000 100000\n");
        self.file(&format!("{dir}/cpu.weight"), "100\n");
        self.file(&format!("{dir}/memory.current"), "5000\n");
        self.file(&format!("{dir}/memory.max"), "max\n");
        self.file(
            &format!("{dir}/memory.stat"),
            "anon 1000\nfile 3000\ninactive_file 600\nfile_mapped 70\npgfault 8\npgmajfault 2\n",
        );
        self.file(&format!("{dir}/memory.events"), "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\n");
        self.file(&format!("{dir}/io.stat"), "259:99 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n");
        self.file(
            &format!("{dir}/cpu.pressure"),
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 total=1000000\n",
        );
        self.file(&format!("{dir}/pids.current"), "7\n");
        self.file(&format!("{dir}/pids.max"), "max\n");
    }

    /// A cgroup of version 1.
    fn v1(&self, path: &str, pids: &str) {
        let dir = |controller: &str| format!("sys/fs/cgroup/{controller}{path}");
        self.file(&format!("{}/cgroup.procs", dir("memory")), pids);
        self.file(&format!("{}/memory.usage_in_bytes", dir("memory")), "5000\n");
        self.file(&format!("{}/memory.limit_in_bytes", dir("memory")), "9223372036854771712\n");
        let stat = "cache 1\npgfault 3\ntotal_cache 3000\ntotal_rss 1000\ntotal_inactive_file 600\ntotal_pgfault 8\n";
        self.file(&format!("{}/memory.stat", dir("memory")), stat);
        self.file(&format!("{}/cpuacct.usage", dir("cpu,cpuacct")), "2500000000\n");
        self.file(&format!("{}/cpuacct.stat", dir("cpu,cpuacct")), "user 200\nsystem 50\n");
        self.file(&format!("{}/cpu.cfs_quota_us", dir("cpu,cpuacct")), "-1\n");
        self.file(&format!("{}/cpu.shares", dir("cpu,cpuacct")), "1024\n");
        let bytes = "259:99 Read 10\n259:99 Write 20\n259:99 Sync 30\nTotal 30\n";
        self.file(&format!("{}/blkio.throttle.io_service_bytes_recursive", dir("blkio")), bytes);
    }
}

/// Asserts that each line is in the text.
#[track_caller]
fn check(text: &str, lines: &[String]) {
    for line in lines {
        assert!(text.lines().any(|l| l == line), "missing: {line}\nin:\n{text}");
    }
}

/// A series of the container.
fn series(name: &str, path: &str, names: [&str; 5], more: &str, value: &str) -> String {
    let [container, image, alias, namespace, pod] = names;
    format!(
        "{name}{{container=\"{container}\",id=\"{path}\",image=\"{image}\",name=\"{alias}\",namespace=\"{namespace}\",\
         pod=\"{pod}\"{more}}} {value}"
    )
}

#[test]
fn version_2_with_systemd() {
    let f = Fixture::new();
    f.file("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    let pod = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        UID.replace('-', "_")
    );
    let (main, sandbox) = (id('a'), id('b'));
    let (path, pause) =
        (format!("{pod}/cri-containerd-{main}.scope"), format!("{pod}/cri-containerd-{sandbox}.scope"));
    f.v2("/", "");
    f.v2(&pod, "");
    f.v2(&path, "12\n");
    f.v2(&pause, "11\n");
    f.v2("/system.slice/ssh.service", "9\n");
    f.process(11, "pause\n");
    f.process(12, "nginx\n");
    f.pod();
    let text = f.gather().unwrap();
    let names = ["nginx", "nginx:1", &main, "shop", "web"];
    let of = |name, more, value| series(name, &path, names, more, value);
    check(
        &text,
        &[
            of("container_cpu_usage_seconds_total", ",cpu=\"total\"", "2.5 5000"),
            of("container_cpu_cfs_throttled_seconds_total", "", "1.5 5000"),
            of("container_cpu_cfs_periods_total", "", "10 5000"),
            of("container_memory_working_set_bytes", "", "4400 5000"),
            of("container_memory_cache", "", "3000 5000"),
            of("container_memory_failures_total", ",failure_type=\"pgfault\",scope=\"hierarchy\"", "8 5000"),
            of("container_memory_failcnt", "", "4 5000"),
            of("container_oom_events_total", "", "1 5000"),
            of("container_fs_writes_bytes_total", ",device=\"259:99\"", "20 5000"),
            of("container_pressure_cpu_waiting_seconds_total", "", "3 5000"),
            of("container_threads", "", "7 5000"),
            of("container_threads_max", "", "0 5000"),
            of("container_spec_cpu_quota", "", "20000"),
            of("container_spec_cpu_shares", "", "2597"),
            of("container_spec_memory_limit_bytes", "", "0"),
            of("container_processes", "", "1 5000"),
            series("container_memory_usage_bytes", &pod, ["", "", "", "shop", "web"], "", "5000 5000"),
            series("container_spec_memory_limit_bytes", "/", [""; 5], "", "1024000"),
            series("container_start_time_seconds", "/", [""; 5], "", "1700000000"),
            "machine_memory_bytes{boot_id=\"\",machine_id=\"\",system_uuid=\"\"} 1024000".to_owned(),
        ],
    );
    let alone = series(
        "container_network_receive_bytes_total",
        &pause,
        ["", "", &sandbox, "shop", "web"],
        ",interface=\"eth0\"",
        "100 5000",
    );
    let network: Vec<&str> =
        text.lines().filter(|l| l.starts_with("container_network_receive_bytes_total{")).collect();
    assert_eq!(network, [alone], "only the sandbox, and not its loop");
    assert!(!text.contains("ssh.service"), "the kubelet shows its own tree only");
}

#[test]
fn version_1_with_cgroupfs() {
    let f = Fixture::new();
    let (pod, main) = (format!("/kubepods/pod{UID}"), id('a'));
    let path = format!("{pod}/{main}");
    for cgroup in ["", "/kubepods", &pod, &path] {
        f.v1(cgroup, "");
    }
    f.v1(&format!("{path}/nested"), "");
    f.pod();
    let text = f.gather().unwrap();
    let of = |name, more, value| series(name, &path, ["nginx", "nginx:1", &main, "shop", "web"], more, value);
    check(
        &text,
        &[
            of("container_cpu_usage_seconds_total", ",cpu=\"total\"", "2.5 5000"),
            of("container_cpu_user_seconds_total", "", "2 5000"),
            of("container_memory_working_set_bytes", "", "4400 5000"),
            of("container_memory_rss", "", "1000 5000"),
            of("container_memory_failures_total", ",failure_type=\"pgfault\",scope=\"container\"", "3 5000"),
            of("container_fs_reads_bytes_total", ",device=\"259:99\"", "10 5000"),
            of("container_spec_cpu_shares", "", "1024"),
            of("container_spec_memory_limit_bytes", "", "0"),
            series("container_memory_usage_bytes", "/kubepods", [""; 5], "", "5000 5000"),
        ],
    );
    assert!(!text.contains("container_cpu_cfs_"), "no quota, no throttling");
    assert!(!text.contains("nested"), "what a container makes within itself is its own affair");
}

#[test]
fn names_come_from_containerd_where_the_api_is_silent() {
    let f = Fixture::new();
    f.file("sys/fs/cgroup/cgroup.controllers", "memory\n");
    let (main, sandbox) = (id('a'), id('b'));
    let pod = format!("/kubepods/burstable/pod{UID}");
    f.v2(&format!("{pod}/{main}"), "12\n");
    f.v2(&format!("{pod}/{sandbox}"), "11\n");
    f.process(11, "sleep\n");
    let bundle = |id: &str, more: &str| {
        f.file(
            &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            &format!("{{\"annotations\":{{\"io.kubernetes.cri.sandbox-name\":\"db-0\",\"io.kubernetes.cri.sandbox-namespace\":\"data\",{more}}}}}"),
        );
    };
    bundle(
        &main,
        "\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.container-name\":\"db\",\"io.kubernetes.cri.image-name\":\"db:2\"",
    );
    bundle(
        &sandbox,
        "\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.podsandbox.image-name\":\"pause:3\"",
    );
    let text = f.gather().unwrap();
    check(
        &text,
        &[
            series(
                "container_memory_usage_bytes",
                &format!("{pod}/{main}"),
                ["db", "db:2", &main, "data", "db-0"],
                "",
                "5000 5000",
            ),
            series(
                "container_network_transmit_packets_dropped_total",
                &format!("{pod}/{sandbox}"),
                ["", "pause:3", &sandbox, "data", "db-0"],
                ",interface=\"eth0\"",
                "3 5000",
            ),
        ],
    );
}

#[test]
fn without_a_kubelet_services_and_containers_are_shown() {
    let f = Fixture::new();
    f.file("sys/fs/cgroup/cgroup.controllers", "memory\n");
    let docker = id('d');
    let path = format!("/system.slice/docker-{docker}.scope");
    for cgroup in ["/", "/user.slice", "/user.slice/user-1000.slice", "/system.slice/ssh.service", &path] {
        f.v2(cgroup, "");
    }
    let text = f.gather().unwrap();
    let shown: Vec<&str> = text.lines().filter(|l| l.starts_with("container_memory_rss{")).collect();
    let rss = |path: &str, name: &str| {
        series("container_memory_rss", path, ["", "", name, "", ""], "", "1000 5000")
    };
    assert_eq!(
        shown,
        [rss("/", ""), rss(&path, &docker), rss("/system.slice/ssh.service", ""), rss("/user.slice", "")]
    );
}

#[test]
fn a_machine_without_cgroups_says_so() {
    let f = Fixture::new();
    f.file("sys/fs/cgroup/readme", "");
    assert!(f.gather().unwrap_err().to_string().contains("no cgroups are mounted"));
}
