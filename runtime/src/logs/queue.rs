//! The way of log lines to standard error: through a bounded buffer and a thread of its own, so that a reader who stands still holds
//! up nothing. What finds no room is dropped and counted, and the log says how many lines that were once it is read again.

use parking_lot::{Condvar, Mutex};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Lines that wait for their reader, bytes: what a pipe holds (64 KiB) many times over.
const CAPACITY: usize = 1 << 20;

/// Where lines wait. Clones are the same queue.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something came.
    filled: Condvar,
    /// All has been written.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The thread is writing what it took.
    writing: bool,
    /// Lines that were dropped since the log said so, and in all.
    unsaid: u64,
    dropped: u64,
    closed: bool,
}

impl Queue {
    /// Begins to write what is put into the queue. `notice` makes the line that tells of dropped ones.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start(
        to: impl Write + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> std::io::Result<Self> {
        let queue = Queue(Arc::default());
        let shared = queue.0.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write(to, notice))?;
        Ok(queue)
    }

    /// Puts a line into the queue, or drops it; never waits for the reader.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > CAPACITY {
            state.dropped += 1;
            state.unsaid += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Lines dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.0.state.lock().dropped
    }

    /// Waits until all that was put is written, but not for ever: false where the reader still stands still.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let mut state = self.0.state.lock();
        let has_more = |state: &mut State| state.writing || !state.lines.is_empty() || state.unsaid > 0;
        !self.0.emptied.wait_while_for(&mut state, has_more, patience).timed_out()
    }

    #[cfg(test)]
    fn close(&self) {
        self.0.state.lock().closed = true;
        self.0.filled.notify_one();
    }
}

impl Shared {
    fn write(&self, mut to: impl Write, notice: impl Fn(u64) -> String) {
        let mut taken = Vec::new();
        loop {
            {
                let mut state = self.state.lock();
                state.writing = false;
                if state.lines.is_empty() && state.unsaid == 0 {
                    self.emptied.notify_all();
                    if state.closed {
                        return;
                    }
                    self.filled.wait_while(&mut state, |s| s.lines.is_empty() && s.unsaid == 0 && !s.closed);
                }
                state.writing = true;
                std::mem::swap(&mut taken, &mut state.lines);
                // they came after what is written now
                let dropped = std::mem::take(&mut state.unsaid);
                if dropped > 0 {
                    taken.extend_from_slice(notice(dropped).as_bytes());
                }
            }
            // where nobody reads the log any more, there is nobody to tell
            let _ = to.write_all(&taken);
            let _ = to.flush();
            taken.clear();
            taken.shrink_to(CAPACITY / 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A reader that takes what is written when the test says so.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (Queue, Receiver<Vec<u8>>) {
        let (send, receive) = sync_channel(0);
        (Queue::start(Slow(send), |n| format!("dropped {n}\n")).unwrap(), receive)
    }

    #[test]
    fn a_reader_that_stands_still_holds_up_nobody() {
        let (queue, reader) = queue();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        // the thread has taken some of it and stands: all of this returns all the same
        for _ in 0..5000 {
            queue.put(&line);
        }
        let dropped = queue.dropped();
        assert!(dropped >= 5000 - 2 * CAPACITY as u64 / 1024, "{dropped}");
        assert!(!queue.flush(Duration::ZERO));
        queue.close();
        let all = reader.iter().flatten().collect::<Vec<u8>>();
        let text = String::from_utf8(all).unwrap();
        assert_eq!(text.lines().filter(|l| l.starts_with('x')).count() as u64, 5000 - dropped);
        let said: u64 = text.lines().filter_map(|l| l.strip_prefix("dropped ")?.parse::<u64>().ok()).sum();
        assert_eq!(said, dropped);
    }

    #[test]
    fn nothing_is_lost_where_it_is_read() {
        let (queue, reader) = queue();
        let reading = std::thread::spawn(move || reader.iter().flatten().collect::<Vec<u8>>());
        let writers: Vec<_> = (0..4)
            .map(|w| {
                let queue = queue.clone();
                std::thread::spawn(move || {
                    for i in 0..1000 {
                        queue.put(format!("{w} {i}\n").as_bytes());
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        assert!(queue.flush(Duration::from_secs(60)));
        queue.close();
        let text = String::from_utf8(reading.join().unwrap()).unwrap();
        for w in 0..4 {
            let of: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix(&format!("{w} "))).collect();
            assert_eq!(of, (0..1000).map(|i| i.to_string()).collect::<Vec<_>>());
        }
        assert_eq!(queue.dropped(), 0);
    }
}
