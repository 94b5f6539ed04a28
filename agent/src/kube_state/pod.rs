//! kube_pod_*.

use super::family::{Family, counter, gauge};
use super::meta::{created, deleted, owners, text, unix};
use super::pod_parts::{
    Sort, ZERO_TIME, claims, completion, condition, conditions, container_info, container_resources,
    disruption_reason, flag, info, last_terminated, overhead, resource_claims, since, spec, started, state,
    status, status_reason, statuses, tolerations,
};
use k8s_openapi::api::core::v1::Pod;

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Pod>] = &[
    gauge("kube_pod_completion_time", "[STABLE] Completion time in unix timestamp for a pod.", |o, s| {
        s.maybe(completion(o))
    }),
    gauge("kube_pod_container_info", "[STABLE] Information about a container in a pod.", |o, s| {
        container_info(o, Sort::Regular, s)
    }),
    gauge(
        "kube_pod_container_resource_limits",
        "[STABLE] The number of requested limit resource by a container. It is recommended to use the kube_pod_resource_limits metric exposed by kube-scheduler instead, as it is more precise.",
        |o, s| container_resources(o, Sort::Regular, |r| r.limits.as_ref(), s),
    ),
    gauge(
        "kube_pod_container_resource_requests",
        "[STABLE] The number of requested request resource by a container. It is recommended to use the kube_pod_resource_requests metric exposed by kube-scheduler instead, as it is more precise.",
        |o, s| container_resources(o, Sort::Regular, |r| r.requests.as_ref(), s),
    ),
    gauge(
        "kube_pod_container_state_started",
        "[STABLE] Start time in unix timestamp for a pod container.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(value) = started(c) {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_container_status_last_terminated_reason",
        "Describes the last reason the container was in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(reason) = last_terminated(c).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge(
        "kube_pod_container_status_last_terminated_exitcode",
        "Describes the exit code for the last container in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(value) = last_terminated(c).map(|t| f64::from(t.exit_code)) {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_container_status_last_terminated_timestamp",
        "Last terminated time for a pod container in unix timestamp.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(value) =
                    last_terminated(c).map(|t| t.finished_at.as_ref().map_or(ZERO_TIME, unix))
                {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_container_status_ready",
        "[STABLE] Describes whether the containers readiness check succeeded.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                s.add(&[("container", &c.name)], flag(c.ready));
            }
        },
    ),
    counter(
        "kube_pod_container_status_restarts_total",
        "[STABLE] The number of container restarts per container.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                s.add(&[("container", &c.name)], f64::from(c.restart_count));
            }
        },
    ),
    gauge(
        "kube_pod_container_status_running",
        "[STABLE] Describes whether the container is currently in running state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.running.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_container_status_terminated",
        "[STABLE] Describes whether the container is currently in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.terminated.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_container_status_terminated_reason",
        "Describes the reason the container is currently in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(reason) = state(c, |t| t.terminated.as_ref()).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge(
        "kube_pod_container_status_waiting",
        "[STABLE] Describes whether the container is currently in waiting state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.waiting.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_container_status_waiting_reason",
        "[STABLE] Describes the reason the container is currently in waiting state.",
        |o, s| {
            for c in statuses(o, Sort::Regular) {
                if let Some(reason) = state(c, |t| t.waiting.as_ref()).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge("kube_pod_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge("kube_pod_deletion_timestamp", "Unix deletion timestamp", |o, s| s.maybe(deleted(&o.metadata))),
    gauge("kube_pod_info", "[STABLE] Information about pod.", info),
    gauge("kube_pod_ips", "Pod IP addresses", |o, s| {
        for ip in o.status.iter().flat_map(|t| t.pod_ips.iter().flatten()) {
            s.add(&[("ip", &ip.ip), ("ip_family", if ip.ip.contains(':') { "6" } else { "4" })], 1.0);
        }
    }),
    gauge(
        "kube_pod_init_container_info",
        "[STABLE] Information about an init container in a pod.",
        |o, s| container_info(o, Sort::Init, s),
    ),
    gauge(
        "kube_pod_init_container_resource_limits",
        "The number of requested limit resource by an init container.",
        |o, s| container_resources(o, Sort::Init, |r| r.limits.as_ref(), s),
    ),
    gauge(
        "kube_pod_init_container_resource_requests",
        "The number of requested request resource by an init container.",
        |o, s| container_resources(o, Sort::Init, |r| r.requests.as_ref(), s),
    ),
    gauge(
        "kube_pod_init_container_state_started",
        "Start time in unix timestamp for a pod init container.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(value) = started(c) {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_last_terminated_reason",
        "Describes the last reason the init container was in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(reason) = last_terminated(c).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_last_terminated_exitcode",
        "Describes the exit code for the last init container in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(value) = last_terminated(c).map(|t| f64::from(t.exit_code)) {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_last_terminated_timestamp",
        "Last terminated time for a pod init container in unix timestamp.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(value) =
                    last_terminated(c).map(|t| t.finished_at.as_ref().map_or(ZERO_TIME, unix))
                {
                    s.add(&[("container", &c.name)], value);
                }
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_ready",
        "[STABLE] Describes whether the init containers readiness check succeeded.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                s.add(&[("container", &c.name)], flag(c.ready));
            }
        },
    ),
    counter(
        "kube_pod_init_container_status_restarts_total",
        "[STABLE] The number of restarts for the init container.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                s.add(&[("container", &c.name)], f64::from(c.restart_count));
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_running",
        "[STABLE] Describes whether the init container is currently in running state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.running.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_terminated",
        "[STABLE] Describes whether the init container is currently in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.terminated.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_terminated_reason",
        "Describes the reason the init container is currently in terminated state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(reason) = state(c, |t| t.terminated.as_ref()).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_waiting",
        "[STABLE] Describes whether the init container is currently in waiting state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                s.add(&[("container", &c.name)], flag(state(c, |t| t.waiting.as_ref()).is_some()));
            }
        },
    ),
    gauge(
        "kube_pod_init_container_status_waiting_reason",
        "Describes the reason the init container is currently in waiting state.",
        |o, s| {
            for c in statuses(o, Sort::Init) {
                if let Some(reason) = state(c, |t| t.waiting.as_ref()).map(|t| text(&t.reason)) {
                    s.add(&[("container", &c.name), ("reason", reason)], 1.0);
                }
            }
        },
    ),
    gauge("kube_pod_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_pod_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge(
        "kube_pod_overhead_cpu_cores",
        "The pod overhead in regards to cpu cores associated with running a pod.",
        |o, s| s.maybe(overhead(o, "cpu", 3).map(|m| m / 1000.0)),
    ),
    gauge(
        "kube_pod_overhead_memory_bytes",
        "The pod overhead in regards to memory associated with running a pod.",
        |o, s| s.maybe(overhead(o, "memory", 0)),
    ),
    gauge("kube_pod_owner", "[STABLE] Information about the Pod's owner.", |o, s| {
        for (kind, name, controller) in owners(&o.metadata) {
            s.add(&[("owner_kind", kind), ("owner_name", name), ("owner_is_controller", controller)], 1.0);
        }
    }),
    gauge(
        "kube_pod_resourceclaim_info",
        "Information about a DRA ResourceClaim referenced by a pod, one series per pod.spec.resourceClaims entry; claim_name is the pod-local reference and resourceclaim_name is the resolved ResourceClaim object name.",
        resource_claims,
    ),
    gauge("kube_pod_restart_policy", "[STABLE] Describes the restart policy in use by this pod.", |o, s| {
        s.add(&[("type", spec(o, |p| text(&p.restart_policy)))], 1.0)
    }),
    gauge("kube_pod_runtimeclass_name_info", "The runtimeclass associated with the pod.", |o, s| {
        let class = spec(o, |p| text(&p.runtime_class_name));
        if !class.is_empty() {
            s.add(&[("runtimeclass_name", class)], 1.0);
        }
    }),
    gauge(
        "kube_pod_spec_volumes_persistentvolumeclaims_info",
        "[STABLE] Information about persistentvolumeclaim and ephemeral volumes in a pod.",
        |o, s| claims(o, |_| 1.0, s),
    ),
    gauge(
        "kube_pod_spec_volumes_persistentvolumeclaims_readonly",
        "[STABLE] Describes whether a persistentvolumeclaim is mounted read only. Ephemeral volumes always report 0 since the ephemeral volume source does not support a read-only flag.",
        |o, s| claims(o, flag, s),
    ),
    gauge("kube_pod_start_time", "[STABLE] Start time in unix timestamp for a pod.", |o, s| {
        s.maybe(o.status.as_ref().and_then(|t| t.start_time.as_ref()).map(unix))
    }),
    gauge("kube_pod_status_phase", "[STABLE] The pods current phase.", |o, s| {
        let phase = status(o, |t| &t.phase);
        if phase.is_empty() {
            return;
        }
        for known in ["Pending", "Succeeded", "Failed", "Unknown", "Running"] {
            s.add(&[("phase", known)], flag(phase == known));
        }
    }),
    gauge("kube_pod_status_qos_class", "The pods current qosClass.", |o, s| {
        let class = status(o, |t| &t.qos_class);
        for known in ["BestEffort", "Burstable", "Guaranteed"] {
            s.add(&[("qos_class", known)], flag(class == known));
        }
    }),
    gauge(
        "kube_pod_status_ready",
        "[STABLE] Describes whether the pod is ready to serve requests.",
        |o, s| condition(o, "Ready", s),
    ),
    gauge("kube_pod_status_ready_time", "Readiness achieved time in unix timestamp for a pod.", |o, s| {
        s.maybe(since(o, "Ready", "True"))
    }),
    gauge("kube_pod_status_initialized_time", "Initialized time in unix timestamp for a pod.", |o, s| {
        s.maybe(since(o, "Initialized", "True"))
    }),
    gauge(
        "kube_pod_status_container_ready_time",
        "Readiness achieved time in unix timestamp for a pod containers.",
        |o, s| s.maybe(since(o, "ContainersReady", "True")),
    ),
    gauge("kube_pod_status_reason", "The pod status reasons", status_reason),
    gauge("kube_pod_status_disruption_reason", "The pod disruption condition reason", disruption_reason),
    gauge(
        "kube_pod_status_scheduled",
        "[STABLE] Describes the status of the scheduling process for the pod.",
        |o, s| condition(o, "PodScheduled", s),
    ),
    gauge(
        "kube_pod_status_scheduled_time",
        "[STABLE] Unix timestamp when pod moved into scheduled status",
        |o, s| s.maybe(since(o, "PodScheduled", "True")),
    ),
    gauge(
        "kube_pod_status_unschedulable",
        "[STABLE] Describes the unschedulable status for the pod.",
        |o, s| {
            for _ in conditions(o).filter(|c| c.type_ == "PodScheduled" && c.status == "False") {
                s.value(1.0);
            }
        },
    ),
    gauge(
        "kube_pod_status_unscheduled_time",
        "Unix timestamp when pod moved into unscheduled status",
        |o, s| s.maybe(since(o, "PodScheduled", "False")),
    ),
    gauge("kube_pod_tolerations", "Information about the pod tolerations", tolerations),
    gauge("kube_pod_service_account", "The service account for a pod.", |o, s| {
        s.add(&[("service_account", spec(o, |p| text(&p.service_account_name)))], 1.0)
    }),
    gauge("kube_pod_scheduler", "The scheduler for a pod.", |o, s| {
        s.add(&[("name", spec(o, |p| text(&p.scheduler_name)))], 1.0)
    }),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Pod) -> Vec<(&'static str, &str)> {
    vec![
        ("namespace", text(&o.metadata.namespace)),
        ("pod", text(&o.metadata.name)),
        ("uid", text(&o.metadata.uid)),
    ]
}
