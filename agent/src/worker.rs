//! A long-lived thread that owns some state and does blocking work on it, one call after another.

use runtime::Stage;
use tokio::sync::{mpsc, oneshot};

/// Calls that wait for the thread. Scrapes are limited by `--web.max-requests` (40 by default) before they get here;
/// more callers wait for a place in the queue.
const CALLS_CAPACITY: usize = 40;

/// What the thread is asked to do; `None` ends it.
type Call<S> = Option<Box<dyn FnOnce(&mut S) + Send>>;

/// A handle to the thread. It ends with its stage, or when all handles are gone.
pub(crate) struct Worker<S> {
    calls: mpsc::Sender<Call<S>>,
}

/// The thread has ended: the agent is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the agent is stopping")]
pub(crate) struct Stopping;

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread in a stage, within a tokio runtime.
    pub(crate) fn start(stage: &Stage, mut state: S) -> Self {
        let (calls, mut waiting) = mpsc::channel::<Call<S>>(CALLS_CAPACITY);
        let (token, last) = (stage.token(), calls.downgrade());
        stage.spawn(async move {
            token.cancelled().await;
            if let Some(calls) = last.upgrade() {
                let _ = calls.send(None).await;
            }
        });
        stage.blocking(move || {
            while let Some(Some(call)) = waiting.blocking_recv() {
                call(&mut state);
            }
        });
        Worker { calls }
    }

    /// Has the thread do something, and waits for the result.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let (reply, result) = oneshot::channel();
        let call: Box<dyn FnOnce(&mut S) + Send> = Box::new(move |state| {
            // a caller that has gone away needs no answer
            let _ = reply.send(work(state));
        });
        self.calls.send(Some(call)).await.map_err(|_| Stopping)?;
        result.await.map_err(|_| Stopping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn keeps_state_and_ends_with_its_stage() {
        let mut supervisor = runtime::Supervisor::new();
        let stage = supervisor.stage("test", Duration::from_secs(60));
        let worker = Worker::start(&stage, 1);
        assert_eq!(
            worker
                .call(|n| {
                    *n += 1;
                    *n
                })
                .await
                .unwrap(),
            2
        );
        supervisor.shutdown().await;
        assert!(worker.call(|_| ()).await.is_err());
    }
}
