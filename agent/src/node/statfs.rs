//! Asks mounts how full they are, in a helper thread: one that hangs (a network file system whose server is gone)
//! is left behind with its thread, and another thread goes on with the rest.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// A helper has one round of questions at a time, and gives one sign when it is through.
const ROUNDS_CAPACITY: usize = 1;

/// Bytes and file nodes of a file system.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Space {
    pub(crate) size: f64,
    pub(crate) free: f64,
    pub(crate) available: f64,
    pub(crate) files: f64,
    pub(crate) files_free: f64,
}

/// What a mount answered, or why it did not.
pub(crate) type Answer = Result<Space, String>;

/// The question; a test asks something else than the kernel.
type Question = Arc<dyn Fn(&Path) -> Answer + Send + Sync>;

pub(crate) struct Asker {
    timeout: Duration,
    question: Question,
    helper: Option<Helper>,
    /// Mounts that did not answer, and the sign their thread gives when they do.
    stuck: HashMap<PathBuf, Receiver<()>>,
}

struct Helper {
    rounds: SyncSender<Arc<Round>>,
    through: Receiver<()>,
}

/// One scrape's questions.
struct Round {
    paths: Vec<PathBuf>,
    answers: Mutex<Vec<Answer>>,
    abandoned: AtomicBool,
}

impl Asker {
    /// `timeout`: how long a mount may take.
    pub(crate) fn new(timeout: Duration) -> Self {
        Asker { timeout, question: Arc::new(statfs), helper: None, stuck: HashMap::new() }
    }

    /// One answer for each path, in their order.
    pub(crate) fn ask(&mut self, paths: Vec<PathBuf>) -> Vec<Answer> {
        // a thread that gave its sign, or ended, has its answer at last
        self.stuck.retain(|_, sign| matches!(sign.try_recv(), Err(TryRecvError::Empty)));
        let mut answers: Vec<Option<Answer>> =
            paths.iter().map(|p| self.stuck.contains_key(p).then(|| Err(STUCK.to_owned()))).collect();
        loop {
            let open: Vec<usize> = (0..paths.len()).filter(|i| answers[*i].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let asked = open.iter().map(|i| paths[*i].clone()).collect();
            let got = self.round(asked);
            // the mount after the last answer is the stuck one: the next round is shorter, so this ends
            for (i, answer) in open.into_iter().zip(got) {
                answers[i] = Some(answer);
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Answers for the first of the paths: for all, or up to and including one that is stuck.
    fn round(&mut self, paths: Vec<PathBuf>) -> Vec<Answer> {
        let Some(helper) = self.helper.take().map_or_else(|| Helper::start(&self.question), Some) else {
            return paths.iter().map(|_| Err("no thread to ask with".to_owned())).collect();
        };
        let room = Mutex::new(Vec::with_capacity(paths.len()));
        let round = Arc::new(Round { paths, answers: room, abandoned: AtomicBool::new(false) });
        if helper.rounds.send(round.clone()).is_err() {
            return round.paths.iter().map(|_| Err("the thread that asks has ended".to_owned())).collect();
        }
        let mut before = 0;
        loop {
            match helper.through.recv_timeout(self.timeout) {
                Ok(()) => {
                    self.helper = Some(helper);
                    return std::mem::take(&mut *round.answers.lock());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return round
                        .paths
                        .iter()
                        .map(|_| Err("the thread that asks has ended".to_owned()))
                        .collect();
                }
                Err(RecvTimeoutError::Timeout) => {
                    let mut answers = round.answers.lock();
                    if answers.len() > before {
                        before = answers.len();
                        continue;
                    }
                    round.abandoned.store(true, Ordering::Relaxed);
                    let mut answers = std::mem::take(&mut *answers);
                    let Some(path) = round.paths.get(answers.len()) else { return answers };
                    tracing::warn!(mount = %path.display(), timeout = ?self.timeout,
                        "mount point does not answer; it is left alone until it does");
                    self.stuck.insert(path.clone(), helper.through);
                    answers.push(Err(STUCK.to_owned()));
                    return answers;
                }
            }
        }
    }
}

/// What `device_error` says of a mount that hangs.
const STUCK: &str = "mountpoint timeout";

impl Helper {
    /// A plain thread: one that hangs in the kernel must not be waited for when the process ends.
    fn start(question: &Question) -> Option<Self> {
        let (rounds, incoming) = sync_channel::<Arc<Round>>(ROUNDS_CAPACITY);
        let (sign, through) = sync_channel(ROUNDS_CAPACITY);
        let question = question.clone();
        let work = move || {
            for round in incoming {
                for path in &round.paths {
                    let answer = question(path);
                    // the lock is held while deciding, so that an answer is either taken or known to be late
                    let mut answers = round.answers.lock();
                    if round.abandoned.load(Ordering::Relaxed) {
                        break;
                    }
                    answers.push(answer);
                }
                if sign.send(()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("statfs".to_owned()).spawn(work).ok()?;
        Some(Helper { rounds, through })
    }
}

fn statfs(path: &Path) -> Answer {
    let s = rustix::fs::statfs(path).map_err(|e| std::io::Error::from(e).kind().to_string())?;
    let block = s.f_bsize as f64;
    Ok(Space {
        size: s.f_blocks as f64 * block,
        free: s.f_bfree as f64 * block,
        available: s.f_bavail as f64 * block,
        files: s.f_files as f64,
        files_free: s.f_ffree as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex as StdMutex};

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn asks_the_kernel() {
        let mut asker = Asker::new(Duration::from_secs(60));
        let answers = asker.ask(paths(&["/", "/no/such/mount"]));
        assert!(answers[0].as_ref().unwrap().size > 0.0);
        assert_eq!(answers[1], Err("entity not found".to_owned()));
    }

    #[test]
    fn a_stuck_mount_holds_up_only_itself() {
        let gate = Arc::new((StdMutex::new(false), Condvar::new()));
        let inside = gate.clone();
        let mut asker = Asker::new(Duration::from_millis(20));
        asker.question = Arc::new(move |path| {
            if path.ends_with("dead") {
                let mut open = inside.0.lock().unwrap();
                while !*open {
                    open = inside.1.wait(open).unwrap();
                }
            }
            Ok(Space::default())
        });
        let names = ["a", "dead", "b"];
        let good = Ok(Space::default());
        let expected = [good.clone(), Err(STUCK.to_owned()), good.clone()];
        assert_eq!(asker.ask(paths(&names)), expected);
        assert_eq!(asker.ask(paths(&names)), expected, "not asked again while it hangs");
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        // its thread gives the sign in its own time
        while asker.ask(paths(&names)) != [good.clone(), good.clone(), good.clone()] {
            std::thread::yield_now();
        }
    }
}
