//! A disk that fails for a while: errors are reported, and nothing that was acknowledged is lost.

use tsdb::WalSync;

use super::history::Run;

impl Run {
    /// Some calls fail with EIO.
    pub(crate) fn io_errors(&mut self) {
        // With a sync in each commit, one that fails may be visible or not: that is looked at without faults only.
        if self.faulty || self.options.wal_sync == WalSync::Always {
            return;
        }
        let (after, times) = (1 + self.random.below(40), 1 + self.random.below(3));
        self.say(|_| format!("EIO in {after} calls, {times} times"));
        self.disk.fail_at(self.disk.calls() + after, times);
        self.io_fails = true;
        self.fail_for_a_while();
        self.io_fails = false;
        let failed = self.disk.stop_failing();
        self.totals.io_errors += failed;
        if failed > 0 {
            self.model.sync_failed();
        }
        self.recover();
    }

    /// There is no room for a while.
    pub(crate) fn full_disk(&mut self) {
        // With a sync in each commit, one that fails may be visible or not: that is looked at without faults only.
        if self.faulty || self.options.wal_sync == WalSync::Always {
            return;
        }
        let room = self.random.below(20_000);
        self.say(|_| format!("room for {room} bytes"));
        self.disk.set_capacity(Some(self.disk.used() + room));
        self.fail_for_a_while();
        self.disk.set_capacity(None);
        self.totals.full_disks += 1;
        self.recover();
    }

    fn fail_for_a_while(&mut self) {
        self.faulty = true;
        for _ in 0..2 + self.random.below(12) {
            if self.disk.has_crashed() {
                break;
            }
            match self.random.below(10) {
                0..5 => self.append(),
                5..6 => self.sync(),
                6..9 => self.maintain(),
                _ => self.check_all("while the disk fails"),
            }
        }
        self.faulty = false;
    }

    fn recover(&mut self) {
        if self.disk.has_crashed() {
            return;
        }
        self.check_all("when the disk works again");
        self.append();
        self.sync();
        self.maintain();
        self.check_all("when the database has recovered");
    }
}
