//! The API types of `monitoring.coreos.com`, one file a kind, and the schemas made from them.
//!
//! Names, types, defaults and validations are those of prometheus-operator 0.93, so that existing manifests apply unchanged.
//! Invariant: no logic beyond validation rules. `cargo xtask codegen` writes the YAML in `crds/`.

mod amend;
pub mod auth;
pub mod native;
pub mod prometheus;
pub mod remote;
pub mod scalar;
pub mod schema;
pub mod scrape;
pub mod select;
pub mod service_monitor;
pub mod status;
pub mod thanos;
pub mod web;
pub mod workload;

pub use native::Native;
pub use prometheus::{Prometheus, PrometheusSpec};
pub use schema::{Manifest, manifests};
pub use service_monitor::{ServiceMonitor, ServiceMonitorSpec};

/// The API group of all kinds.
pub const GROUP: &str = "monitoring.coreos.com";
