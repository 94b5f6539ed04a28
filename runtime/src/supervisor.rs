//! Named tasks in stages that stop one after another, the source of data first.
#![allow(clippy::disallowed_methods)] // the one place that spawns

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Ends of essential tasks wait here; the first one already ends the process, so more need no room.
const ENDS_CAPACITY: usize = 16;

/// Starts stages, waits for a reason to stop, stops them in the order in which they were made.
pub struct Supervisor {
    stages: Vec<Stage>,
    ends: (mpsc::Sender<String>, mpsc::Receiver<String>),
    stop: CancellationToken,
}

/// Tasks that stop together. Clones are the same stage.
#[derive(Clone)]
pub struct Stage(Arc<Inner>);

struct Inner {
    name: &'static str,
    deadline: Duration,
    token: CancellationToken,
    tasks: TaskTracker,
    ends: mpsc::Sender<String>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Supervisor::new()
    }
}

impl Supervisor {
    /// A supervisor without stages.
    pub fn new() -> Self {
        Supervisor { stages: Vec::new(), ends: mpsc::channel(ENDS_CAPACITY), stop: CancellationToken::new() }
    }

    /// A further stage: stops after those made before it, and is left behind after `deadline`.
    pub fn stage(&mut self, name: &'static str, deadline: Duration) -> Stage {
        let stage = Stage(Arc::new(Inner {
            name,
            deadline,
            token: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ends: self.ends.0.clone(),
        }));
        self.stages.push(stage.clone());
        stage
    }

    /// Cancel it to have the process stop in order (`/-/quit`).
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for SIGTERM, SIGINT, the stop token, or the unasked end of an essential task; then stops all stages in order.
    ///
    /// # Errors
    /// Where an essential task ended unasked: says which.
    pub async fn run(mut self) -> Result<(), String> {
        let unasked = tokio::select! {
            signal = signal() => { tracing::info!(signal, "stopping"); None }
            () = self.stop.cancelled() => { tracing::info!("stopping as asked over HTTP"); None }
            ended = self.ends.1.recv() => ended,
        };
        self.shutdown().await;
        unasked.map_or(Ok(()), |why| Err(format!("task ended unasked: {why}")))
    }

    /// Stops all stages in order.
    pub async fn shutdown(&self) {
        for Stage(stage) in &self.stages {
            stage.token.cancel();
            stage.tasks.close();
            if tokio::time::timeout(stage.deadline, stage.tasks.wait()).await.is_err() {
                tracing::warn!(stage = stage.name, deadline = ?stage.deadline, "stage did not stop in time");
            }
        }
    }
}

async fn signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

impl Stage {
    /// A stage that no supervisor stops: for tests and short-lived tools.
    pub fn detached(name: &'static str) -> Self {
        let (ends, _) = mpsc::channel(1);
        Stage(Arc::new(Inner {
            name,
            deadline: Duration::ZERO,
            token: CancellationToken::new(),
            tasks: TaskTracker::new(),
            ends,
        }))
    }

    /// Is cancelled when the stage is to stop.
    pub fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// Starts a task that must run until the stage's token is cancelled: its earlier end ends the process.
    pub fn essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stage = self.clone();
        self.0.tasks.spawn(async move {
            let ended = tokio::spawn(task).await;
            if stage.0.token.is_cancelled() && ended.is_ok() {
                return;
            }
            let how = ended.err().map_or_else(String::new, |e| format!(": {e}"));
            let _ = stage.0.ends.try_send(format!("{}/{name}{how}", stage.0.name));
        });
    }

    /// Starts a task that may end when it likes; it should watch the stage's token.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.tasks.spawn(task)
    }

    /// Runs blocking work (disk, long computations) on a thread of its own.
    pub fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.tasks.spawn_blocking(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn stages_stop_in_order() {
        let mut supervisor = Supervisor::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for name in ["scrape", "storage"] {
            let stage = supervisor.stage(name, Duration::from_secs(1));
            let (token, order) = (stage.token(), order.clone());
            stage.essential(name, async move {
                token.cancelled().await;
                order.lock().unwrap().push(name);
            });
        }
        supervisor.stop_token().cancel();
        assert_eq!(supervisor.run().await, Ok(()));
        assert_eq!(*order.lock().unwrap(), ["scrape", "storage"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_essential_task_that_ends_ends_the_process() {
        let mut supervisor = Supervisor::new();
        supervisor.stage("scrape", Duration::from_secs(1)).essential("manager", async {});
        assert_eq!(supervisor.run().await, Err("task ended unasked: scrape/manager".to_owned()));
    }
}
