//! Syncing the log for several callers at once: one fsync serves all who came before it began.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;

/// Shares syncs among callers.
#[derive(Debug, Default)]
pub(crate) struct GroupSync {
    /// Callers so far.
    callers: AtomicU64,
    /// Callers that the last sync that succeeded has served. Held while one runs.
    served: Mutex<u64>,
}

impl GroupSync {
    /// Returns when all that was logged before the call is durable; `sync` makes it so, if nobody else does it.
    pub(crate) fn run<E>(&self, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let caller = self.callers.fetch_add(1, SeqCst) + 1;
        let mut served = self.served.lock();
        if *served >= caller {
            return Ok(());
        }
        // Whoever has a number by now had written before: this sync serves them all.
        let all = self.callers.load(SeqCst);
        sync()?;
        *served = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn callers_at_once_share_and_failures_are_told() {
        const CALLERS: u64 = 8;
        let (group, syncs, written) = (GroupSync::default(), AtomicU64::new(0), AtomicU64::new(0));
        let synced = AtomicU64::new(0);
        let together = Barrier::new(CALLERS as usize);
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    together.wait();
                    for _ in 0..200 {
                        let mine = written.fetch_add(1, SeqCst) + 1;
                        let sync = || {
                            syncs.fetch_add(1, SeqCst);
                            synced.store(written.load(SeqCst), SeqCst);
                            std::thread::yield_now();
                            Ok::<(), ()>(())
                        };
                        group.run(sync).unwrap();
                        assert!(synced.load(SeqCst) >= mine, "told durable too early");
                    }
                });
            }
        });
        assert!(syncs.load(SeqCst) <= CALLERS * 200);
        assert_eq!(group.run(|| Err("full")), Err("full"));
        assert_eq!(group.run(|| Err("still full")), Err("still full"), "a failure serves nobody");
    }
}
