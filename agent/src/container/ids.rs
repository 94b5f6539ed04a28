//! What a cgroup's path says: pods and containers in the layouts of kubelet, docker, containerd and cri-o.

/// What a cgroup is.
#[derive(Debug, PartialEq)]
pub(crate) enum Place<'a> {
    /// `/`
    Root,
    /// A pod's cgroup, the parent of its containers'.
    Pod { uid: String },
    /// A container in a pod (or its sandbox: the path does not tell).
    PodContainer { uid: String, id: &'a str },
    /// A container without a pod.
    Container { id: &'a str },
    /// A slice, a service, or something else.
    Other,
}

/// Reads a path such as `/kubepods/burstable/pod<uid>/<id>` (cgroupfs) or
/// `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope` (systemd).
pub(crate) fn place(path: &str) -> Place<'_> {
    if path == "/" {
        return Place::Root;
    }
    let mut parts = path.rsplit('/');
    let (last, parent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Some(uid) = pod_uid(last) {
        return Place::Pod { uid };
    }
    let Some(id) = container_id(last) else { return Place::Other };
    match pod_uid(parent) {
        Some(uid) => Place::PodContainer { uid, id },
        None => Place::Container { id },
    }
}

/// Whether the path lies in the tree that the kubelet makes for pods.
pub(crate) fn in_kubepods(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    // `--cgroup-root` of a kubelet (kind sets `/kubelet`) puts one level above
    first == "kubepods" || first == "kubepods.slice" || first == "kubelet" || first == "kubelet.slice"
}

/// `pod<uid>`, or `kubepods-…-pod<uid with _>.slice`.
fn pod_uid(name: &str) -> Option<String> {
    if let Some(uid) = name.strip_prefix("pod") {
        return is_uid(uid).then(|| uid.to_owned());
    }
    let (_, uid) = name.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let uid = uid.replace('_', "-");
    is_uid(&uid).then_some(uid)
}

/// A uid, or the hash that static pods bear.
fn is_uid(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// 64 hexadecimal digits, bare or as `<runtime>-<id>.scope`.
fn container_id(name: &str) -> Option<&str> {
    // cri-o's watcher of a container has a cgroup of its own, with the container's id
    if name.contains("conmon") {
        return None;
    }
    let bare = name.strip_suffix(".scope").map_or(name, |n| n.rsplit_once('-').map_or(n, |(_, id)| id));
    (bare.len() == 64 && bare.bytes().all(|b| b.is_ascii_hexdigit())).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "7f5f3c3e-1d5b-4d43-9a0e-5d4c1a2b3c4d";

    #[test]
    fn reads_both_layouts() {
        let uid = || UID.to_owned();
        let slice = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
            UID.replace('-', "_")
        );
        for (path, expected) in [
            ("/".to_owned(), Place::Root),
            ("/kubepods".to_owned(), Place::Other),
            ("/system.slice/ssh.service".to_owned(), Place::Other),
            (format!("/kubepods/besteffort/pod{UID}"), Place::Pod { uid: uid() }),
            (format!("/kubepods/pod{UID}/{ID}"), Place::PodContainer { uid: uid(), id: ID }),
            (slice.clone(), Place::Pod { uid: uid() }),
            (format!("{slice}/cri-containerd-{ID}.scope"), Place::PodContainer { uid: uid(), id: ID }),
            (format!("{slice}/crio-{ID}.scope"), Place::PodContainer { uid: uid(), id: ID }),
            (format!("/docker/{ID}"), Place::Container { id: ID }),
            (format!("/system.slice/docker-{ID}.scope"), Place::Container { id: ID }),
        ] {
            assert_eq!(place(&path), expected, "{path}");
        }
    }

    #[test]
    fn static_pods_bear_a_hash() {
        let path = "/kubepods/burstable/pod0fe7ab8d4dc0a4cf43e9fd9b2ad9ff3c";
        assert_eq!(place(path), Place::Pod { uid: "0fe7ab8d4dc0a4cf43e9fd9b2ad9ff3c".to_owned() });
        assert!(
            in_kubepods(path)
                && in_kubepods("/kubelet.slice/kubelet-kubepods.slice")
                && !in_kubepods("/system.slice")
        );
    }
}
