//! Elects the agent that reads the cluster's objects, through a lease.
//!
//! The holder renews the lease; the others look at it now and then, and take it when it has not changed for as long
//! as it says it lasts, by their own clock. A holder that stops gives it back, so that the next one need not wait.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use runtime::clock::SharedClock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a lease holds after its last renewal.
const DURATION: Duration = Duration::from_secs(30);
/// How often it is renewed or looked at.
const PAUSE: Duration = Duration::from_secs(7);
/// A holder that could not renew for this long stops to lead, before another one can begin.
const GIVE_UP: Duration = Duration::from_secs(22);
/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);

pub(crate) struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: SharedClock,
}

/// What an agent last saw of the lease, and when by its own clock.
#[derive(Clone, Debug, Default, PartialEq)]
struct Observed {
    version: Option<String>,
    at: Duration,
}

/// What is to be done with the lease.
#[derive(Debug, PartialEq)]
enum Step {
    Create,
    /// Write it with this agent as its holder; `true`: it was another's before.
    Hold(bool),
    Wait,
}

fn decide(lease: Option<&Lease>, identity: &str, observed: &Observed, now: Duration) -> Step {
    let Some(lease) = lease else { return Step::Create };
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    if holder == identity {
        return Step::Hold(false);
    }
    let lasts = spec
        .and_then(|s| s.lease_duration_seconds)
        .map_or(DURATION, |s| Duration::from_secs(s.max(0) as u64));
    let unchanged = observed.version.is_some() && observed.version == lease.metadata.resource_version;
    if holder.is_empty() || (unchanged && now.saturating_sub(observed.at) > lasts) {
        return Step::Hold(true);
    }
    Step::Wait
}

impl Election {
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        name: String,
        identity: String,
        clock: SharedClock,
    ) -> Self {
        Election { api: Api::namespaced(client, namespace), name, identity, clock }
    }

    /// Takes part until the token is cancelled; `changed` hears when this agent begins and stops to lead.
    pub(crate) async fn run(self, token: CancellationToken, mut changed: impl FnMut(bool)) {
        let mut observed = Observed::default();
        // when the lease was last written, while this agent holds it
        let mut held: Option<Duration> = None;
        loop {
            let result = tokio::time::timeout(CALL, self.step(&mut observed)).await;
            let now = self.clock.monotonic();
            let holds = match result {
                Ok(Ok(holds)) => holds.then_some(now),
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.name, %error, "cannot take part in the election");
                    held.filter(|since| now.saturating_sub(*since) < GIVE_UP)
                }
                Err(_) => {
                    tracing::warn!(lease = self.name, timeout = ?CALL, "the API server does not answer");
                    held.filter(|since| now.saturating_sub(*since) < GIVE_UP)
                }
            };
            if holds.is_some() != held.is_some() {
                tracing::info!(
                    lease = self.name,
                    leads = holds.is_some(),
                    "election of the cluster-state agent"
                );
                changed(holds.is_some());
            }
            held = holds;
            tokio::select! {
                () = token.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if held.is_some() {
            changed(false);
            if tokio::time::timeout(CALL, self.give_back()).await.is_err() {
                tracing::warn!(lease = self.name, "the lease could not be given back in time");
            }
        }
    }

    /// Looks at the lease and writes it where it is or can be ours. Whether we hold it.
    async fn step(&self, observed: &mut Observed) -> kube::Result<bool> {
        let lease = self.api.get_opt(&self.name).await?;
        let now = self.clock.monotonic();
        let step = decide(lease.as_ref(), &self.identity, observed, now);
        let version = lease.as_ref().and_then(|l| l.metadata.resource_version.clone());
        if version != observed.version {
            *observed = Observed { version, at: now };
        }
        let written = match step {
            Step::Wait => return Ok(false),
            Step::Create => self.api.create(&PostParams::default(), &self.lease(None, true)).await,
            Step::Hold(taken) => {
                let lease = self.lease(lease.as_ref(), taken);
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // another one was quicker
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The lease with this agent as its holder, to replace exactly the version it was made from.
    fn lease(&self, old: Option<&Lease>, taken: bool) -> Lease {
        let now = Timestamp::from_millisecond(self.clock.now_ms()).ok().map(MicroTime);
        let before = old.and_then(|l| l.spec.as_ref());
        let transitions = before.and_then(|s| s.lease_transitions).unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION.as_secs() as i32),
            acquire_time: if taken { now.clone() } else { before.and_then(|s| s.acquire_time.clone()) },
            renew_time: now,
            lease_transitions: Some(transitions + i32::from(taken && old.is_some())),
            ..LeaseSpec::default()
        };
        let metadata = old.map_or_else(
            || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            |l| l.metadata.clone(),
        );
        Lease { metadata, spec: Some(spec) }
    }

    async fn give_back(&self) {
        let result = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            if let Some(spec) =
                lease.spec.as_mut().filter(|s| s.holder_identity.as_ref() == Some(&self.identity))
            {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        if let Err(error) = result.await {
            tracing::warn!(lease = self.name, %error, "the lease could not be given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(30),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_taken_only_when_it_is_free_or_has_run_out() {
        let seconds = Duration::from_secs;
        let seen = Observed { version: Some("7".to_owned()), at: seconds(100) };
        let decide = |lease: &Lease, now| decide(Some(lease), "me", &seen, seconds(now));
        assert_eq!(super::decide(None, "me", &seen, seconds(0)), Step::Create);
        assert_eq!(decide(&lease("me", "7"), 500), Step::Hold(false));
        assert_eq!(decide(&lease("", "7"), 101), Step::Hold(true));
        assert_eq!(decide(&lease("other", "7"), 129), Step::Wait);
        assert_eq!(decide(&lease("other", "8"), 500), Step::Wait, "renewed since it was seen");
        assert_eq!(decide(&lease("other", "7"), 131), Step::Hold(true));
        let never = Observed::default();
        assert_eq!(super::decide(Some(&lease("other", "7")), "me", &never, seconds(900)), Step::Wait);
    }
}
