//! What the simulated disk promises, and what it does not.

use std::path::Path;

use tsdb::disk::{Disk, Error};

use super::{Loss, SimDisk};
use crate::ManualClock;

fn p(path: &str) -> &Path {
    Path::new(path)
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) -> Result<(), Error> {
    disk.create(p(path))?.write(bytes)
}

#[test]
fn content_and_names_become_durable_apart() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(p("/d")).unwrap();
    disk.sync_dir(p("/")).unwrap();
    let mut named = disk.create(p("/d/named")).unwrap();
    named.write(b"lost").unwrap();
    disk.sync_dir(p("/d")).unwrap();
    let mut synced = disk.create(p("/d/synced")).unwrap();
    synced.write(b"nameless").unwrap();
    synced.sync().unwrap();
    disk.restart(Loss::Nothing);
    assert_eq!(disk.read(p("/d/named")).unwrap(), b"lost", "a killed process loses nothing");
    assert_eq!(disk.read(p("/d/synced")).unwrap(), b"nameless");
    disk.restart(Loss::Unsynced);
    assert_eq!(disk.read(p("/d/named")).unwrap(), b"", "its name was synced, its content was not");
    assert!(!disk.exists(p("/d/synced")), "its content was synced, its name was not");
    assert!(named.write(b"x").is_err(), "opened by a process that has ended");
}

#[test]
fn a_rename_is_one_stroke() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        put(&disk, "/old", b"1").unwrap();
        put(&disk, "/new", b"2").unwrap();
        disk.append(p("/old")).unwrap().sync().unwrap();
        disk.append(p("/new")).unwrap().sync().unwrap();
        disk.sync_dir(p("/")).unwrap();
        disk.rename(p("/old"), p("/new")).unwrap();
        disk.restart(Loss::Anything);
        let after = (disk.exists(p("/old")), disk.read(p("/new")).unwrap());
        assert!(after == (true, b"2".to_vec()) || after == (false, b"1".to_vec()), "{after:?}");
    }
}

#[test]
fn a_crash_tears_a_write_and_ends_everything() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let mut file = disk.create(p("/f")).unwrap();
        disk.crash_at(Some(disk.changes() + 2));
        file.write(b"whole").unwrap();
        assert!(file.write(b"torn").is_err());
        assert!(disk.has_crashed() && disk.read(p("/f")).is_err() && put(&disk, "/g", b"").is_err());
        disk.restart(Loss::Nothing);
        lengths.insert(disk.read(p("/f")).unwrap().len());
        assert!(!disk.exists(p("/g")));
    }
    assert_eq!(lengths, (5..=9).collect(), "each place was torn at");
}

#[test]
fn power_cuts_lose_sectors_and_suffixes_of_what_was_not_synced() {
    let mut seen = std::collections::BTreeSet::new();
    for (seed, loss) in
        (0..200).map(|seed| (seed, if seed % 2 == 0 { Loss::Anything } else { Loss::Suffixes }))
    {
        let disk = SimDisk::new(seed);
        let mut file = disk.create(p("/f")).unwrap();
        disk.sync_dir(p("/")).unwrap();
        file.write(&[1; 600]).unwrap();
        file.sync().unwrap();
        file.write(&[2; 1500]).unwrap();
        disk.restart(loss);
        let content = disk.read(p("/f")).unwrap();
        assert_eq!(content[..600], [1; 600], "what was synced stays");
        if loss == Loss::Suffixes {
            assert!(content[600..].iter().all(|&b| b == 2));
        }
        seen.insert((content.len(), content.iter().filter(|&&b| b == 2).count()));
    }
    assert!(seen.len() > 50, "{} different ends", seen.len());
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let mut file = disk.create(p("/f")).unwrap();
        disk.sync_dir(p("/")).unwrap();
        file.write(b"a").unwrap();
        disk.fail_at(disk.calls() + 1, 1);
        assert!(file.sync().is_err());
        assert_eq!(disk.stop_failing(), 1);
        file.write(b"b").unwrap();
        file.sync().unwrap();
        disk.restart(Loss::Unsynced);
        let content = disk.read(p("/f")).unwrap();
        assert_eq!(content[1], b'b');
        lost += u32::from(content[0] != b'a');
    }
    assert!((1..20).contains(&lost), "{lost} of 20");
}

#[test]
fn a_full_disk_writes_what_fits_and_cuts_it_off_again() {
    let disk = SimDisk::new(1);
    let mut file = disk.create(p("/f")).unwrap();
    file.write(&[1; 10]).unwrap();
    disk.set_capacity(Some(15));
    let error = file.write(&[2; 10]).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!((file.len(), disk.used()), (10, 10));
    file.write(&[2; 5]).unwrap();
    assert!(disk.create(p("/g")).unwrap_err().is_full());
    disk.remove_file(p("/f")).unwrap();
    put(&disk, "/g", &[3; 15]).unwrap();
}

#[test]
fn a_directory_goes_entry_by_entry() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(p("/d/e")).unwrap();
    put(&disk, "/d/e/f", b"1").unwrap();
    put(&disk, "/d/g", b"1").unwrap();
    assert!(disk.rename(p("/d/g"), p("/d/e")).is_err(), "a file does not replace a directory");
    disk.crash_at(Some(disk.changes() + 3));
    assert!(disk.remove_dir_all(p("/d")).is_err());
    disk.restart(Loss::Nothing);
    assert_eq!(disk.files(p("/")), [(p("/d/g").to_owned(), 1)]);
    disk.remove_dir_all(p("/d")).unwrap();
    assert_eq!(disk.list(p("/")).unwrap(), []);
}

#[test]
fn locks_end_with_their_process() {
    let disk = SimDisk::new(1);
    let held = disk.lock(p("/lock")).unwrap().unwrap();
    assert!(disk.lock(p("/lock")).unwrap().is_none());
    disk.restart(Loss::Nothing);
    let next = disk.lock(p("/lock")).unwrap();
    drop(held);
    assert!(
        disk.lock(p("/lock")).unwrap().is_none(),
        "the old process' end does not take the new one's lock"
    );
    drop(next);
    assert!(disk.lock(p("/lock")).unwrap().is_some());
}

#[test]
fn slow_calls_move_the_clock_and_lost_syncs_and_flips_are_counted() {
    let disk = SimDisk::new(1);
    let clock = ManualClock::at(0);
    disk.set_slow(100, 30, clock.clone());
    disk.set_lost_syncs(100);
    let mut file = disk.create(p("/f")).unwrap();
    disk.sync_dir(p("/")).unwrap();
    file.write(&[0; 8]).unwrap();
    file.sync().unwrap();
    assert_eq!(runtime::clock::Clock::now_ms(&*clock), 120);
    assert_eq!(disk.slow_calls(), [("create", 1), ("sync", 2), ("write", 1)]);
    disk.set_flips(100);
    assert_eq!(disk.read(p("/f")).unwrap().iter().map(|b| b.count_ones()).sum::<u32>(), 1);
    assert_eq!(disk.set_flips(0), 1);
    assert_eq!(disk.read(p("/f")).unwrap(), [0; 8], "the medium itself is whole");
    disk.restart(Loss::Unsynced);
    assert!(!disk.exists(p("/f")), "the syncs were lies");
}
