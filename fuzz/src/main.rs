//! Fuzz targets, one for each decoder of bytes that others wrote: libFuzzer's main function, and the table of targets.
//!
//! `FUZZ_TARGET` names the target. `FUZZ_LIST=1` lists them all; `FUZZ_SEEDS=DIR` writes the target's seeds, valid inputs made by the
//! encoders, into a directory. `fuzz/run` does all of that.
#![no_main]

mod limit;
mod targets;
mod watch;

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: limit::Limited = limit::Limited;

static CHOSEN: OnceLock<&Target> = OnceLock::new();

/// Finds the target that the environment names; lists them or writes its seeds where it is asked for that.
fn prepare() {
    if std::env::var_os("FUZZ_LIST").is_some() {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("FUZZ_TARGET={name}: no such target; FUZZ_LIST=1 lists them");
        std::process::exit(2);
    };
    if let Some(dir) = std::env::var_os("FUZZ_SEEDS") {
        for (i, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(Path::new(&dir).join(format!("seed-{i}")), seed).expect("a seed can be written");
        }
        std::process::exit(0);
    }
    CHOSEN.get_or_init(|| target);
    watch::start();
}

fuzz_target!(init: prepare(), |data: &[u8]| {
    let Some(target) = CHOSEN.get() else { return };
    watch::over(data, || limit::within(target.heap + 256 * data.len(), || (target.run)(data)));
});
