//! time: the clock, its zone, and where it comes from.

use super::files::{names, read_trimmed};
use super::tzif::Zone;
use super::{Collector, Error, Host, Text};
use runtime::clock::SharedClock;
use std::path::PathBuf;

pub(crate) struct Time {
    clock: SharedClock,
    zone: Zone,
    clocksources: PathBuf,
}

impl Time {
    pub(crate) fn new(host: &Host) -> Self {
        Time {
            clock: host.clock.clone(),
            zone: Zone::local(),
            clocksources: host.sys.join("devices/system/clocksource"),
        }
    }

    fn clocksources(&self, out: &mut Text) {
        let sources: Vec<(String, String, String)> = names(&self.clocksources)
            .iter()
            .filter_map(|name| {
                let dir = self.clocksources.join(name);
                let available = read_trimmed(&dir.join("available_clocksource"))?;
                let current = read_trimmed(&dir.join("current_clocksource"))?;
                Some((name.strip_prefix("clocksource")?.to_owned(), available, current))
            })
            .collect();
        if sources.is_empty() {
            return;
        }
        let name = "node_time_clocksource_available_info";
        out.gauges(name, "Available clocksources read from '/sys/devices/system/clocksource'.");
        for (device, available, _) in &sources {
            for source in available.split_ascii_whitespace() {
                out.sample(name, [("clocksource", source), ("device", device)], 1.0);
            }
        }
        let name = "node_time_clocksource_current_info";
        out.gauges(name, "Current clocksource read from '/sys/devices/system/clocksource'.");
        for (device, _, current) in &sources {
            out.sample(name, [("clocksource", current), ("device", device)], 1.0);
        }
    }
}

impl Collector for Time {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let now = self.clock.now_ms();
        out.gauge("node_time_seconds", "System time in seconds since epoch (1970).", now as f64 / 1000.0);
        let (offset, zone) = self.zone.at(now.div_euclid(1000));
        let name = "node_time_zone_offset_seconds";
        out.gauges(name, "System time zone offset in seconds.");
        out.sample(name, [("time_zone", zone)], f64::from(offset));
        self.clocksources(out);
        Ok(())
    }
}
