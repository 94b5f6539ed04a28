//! A thread that keeps an input which takes long. libFuzzer's own alarm allocates within a signal's handler, and so can wait for ever for a
//! lock of the allocator; then the input that was at fault is lost.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An input that takes so long is written down, and so is how long it took.
const LONG: Duration = Duration::from_secs(5);
/// An input that takes so long ends the program.
const TOO_LONG: Duration = Duration::from_secs(60);

struct Running {
    input: Vec<u8>,
    since: Option<Instant>,
    /// It was written down already.
    noted: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { input: Vec::new(), since: None, noted: false });

/// Runs with an input that is kept if it takes long.
pub fn over(input: &[u8], run: impl FnOnce()) {
    {
        let mut running = RUNNING.lock().expect("no thread panics with it");
        running.input.clear();
        running.input.extend_from_slice(input);
        (running.since, running.noted) = (Some(Instant::now()), false);
    }
    run();
    RUNNING.lock().expect("no thread panics with it").since = None;
}

/// Starts the thread. Inputs are kept below `FUZZ_SLOW`, if that is set.
pub fn start() {
    let Some(dir) = std::env::var_os("FUZZ_SLOW") else { return };
    std::thread::spawn(move || {
        for number in 0.. {
            std::thread::sleep(Duration::from_secs(1));
            let mut running = RUNNING.lock().expect("no thread panics with it");
            let Some(took) = running.since.map(|since| since.elapsed()) else { continue };
            if took > LONG && !running.noted {
                running.noted = true;
                let path = std::path::Path::new(&dir).join(format!("slow-{}-{number}", std::process::id()));
                let kept = std::fs::write(&path, &running.input);
                eprintln!("{took:?} and going on: {} {kept:?}", path.display());
            }
            if took > TOO_LONG {
                eprintln!("an input was given up after {took:?}");
                std::process::abort();
            }
        }
    });
}
