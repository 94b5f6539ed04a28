//! Service discoveries.

use super::HttpClientConfig;
use crate::Duration;
use crate::yaml::Raw;
use indexmap::IndexMap;

section! {
    /// Where targets come from.
    pub struct ServiceDiscoveryConfigs {
        /// Those that are not acted on yet.
        #[serde(rename = "<inline>other")]
        other: OtherDiscoveryConfigs,
        /// Files.
        file_sd_configs: Vec<FileSdConfig>,
        /// Kubernetes.
        kubernetes_sd_configs: Vec<KubernetesSdConfig>,
        /// Targets in the configuration itself.
        static_configs: Vec<StaticConfig>,
    }
}

section! {
    /// Targets with common labels.
    pub struct StaticConfig {
        /// Host and port.
        targets: Vec<String>,
        /// Labels of all of them.
        labels: IndexMap<String, String>,
    }
}

section! {
    /// Files with targets.
    pub struct FileSdConfig {
        /// Paths; the last element may be a pattern.
        files: Vec<String>,
        /// How often they are read even without notice of a change; 5m where unset.
        refresh_interval: Option<Duration>,
    }
}

/// How often files are read even without notice of a change, where unset.
pub const DEFAULT_FILE_REFRESH: Duration = Duration::from_secs(300);

section! {
    /// Objects of a Kubernetes cluster.
    pub struct KubernetesSdConfig {
        /// Address of the API server; in-cluster where unset.
        api_server: Option<String>,
        /// Kind of object.
        role: Option<KubernetesRole>,
        /// kubeconfig file.
        kubeconfig_file: Option<String>,
        /// The HTTP client.
        #[serde(rename = "<inline>http")]
        http: HttpClientConfig,
        /// Namespaces; all where unset.
        namespaces: Option<NamespaceDiscovery>,
        /// Restrictions by label and field, per role.
        selectors: Vec<KubernetesSelector>,
        /// Labels of related objects.
        attach_metadata: Option<AttachMetadata>,
    }
}

words! {
    /// A kind of Kubernetes object.
    pub enum KubernetesRole {
        Node = "node",
        Pod = "pod",
        Service = "service",
        Endpoints = "endpoints",
        EndpointSlice = "endpointslice",
        Ingress = "ingress",
    }
}

section! {
    /// Which namespaces.
    pub struct NamespaceDiscovery {
        /// The namespace that the server runs in.
        own_namespace: Option<bool>,
        /// These.
        names: Vec<String>,
    }
}

section! {
    /// A restriction of the objects of a role.
    pub struct KubernetesSelector {
        /// The role.
        role: Option<KubernetesRole>,
        /// Label selector.
        label: Option<String>,
        /// Field selector.
        field: Option<String>,
    }
}

section! {
    /// Labels of related objects.
    pub struct AttachMetadata {
        /// Of the node.
        node: Option<bool>,
        /// Of the namespace.
        namespace: Option<bool>,
        /// Name of the deployment.
        deployment: Option<bool>,
        /// Name of the job.
        job: Option<bool>,
        /// Name of the cron job.
        cronjob: Option<bool>,
    }
}

/// Declares the discoveries that are kept as they stand in the file.
macro_rules! other_discoveries {
    ($($name:ident,)*) => {
        /// Service discoveries that are accepted, checked as far as their fields go, and not acted on.
        #[allow(missing_docs)] // each is what it is called
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct OtherDiscoveryConfigs {
            $(#[serde(skip_serializing_if = "Vec::is_empty")] pub $name: Vec<Raw>,)*
        }
        impl OtherDiscoveryConfigs {
            /// Name and configurations of each that is present.
            pub fn present(&self) -> impl Iterator<Item = (&'static str, &[Raw])> {
                [$((stringify!($name), self.$name.as_slice())),*].into_iter().filter(|(_, c)| !c.is_empty())
            }
        }
    };
}
other_discoveries! {
    aws_sd_configs, azure_sd_configs, consul_sd_configs, digitalocean_sd_configs, dns_sd_configs,
    docker_sd_configs, dockerswarm_sd_configs, ec2_sd_configs, ecs_sd_configs, elasticache_sd_configs,
    eureka_sd_configs, gce_sd_configs, hetzner_sd_configs, http_sd_configs, ionos_sd_configs,
    kuma_sd_configs, lightsail_sd_configs, linode_sd_configs, marathon_sd_configs, msk_sd_configs,
    nerve_sd_configs, nomad_sd_configs, oci_sd_configs, openstack_sd_configs, outscale_sd_configs,
    ovhcloud_sd_configs, puppetdb_sd_configs, rds_sd_configs, scaleway_sd_configs, serverset_sd_configs,
    stackit_sd_configs, triton_sd_configs, uyuni_sd_configs, vultr_sd_configs,
}
