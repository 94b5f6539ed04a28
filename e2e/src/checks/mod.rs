//! The checks, one file for each thing that a user relies on.

pub(crate) mod cluster_state;
pub(crate) mod containers;
pub(crate) mod install;
pub(crate) mod restart;
pub(crate) mod service_monitor;
pub(crate) mod staleness;
pub(crate) mod targets;
pub(crate) mod web_app;
