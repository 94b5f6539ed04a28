//! pressure: how long tasks waited for CPU, memory, IO (PSI).

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Pressure {
    files: [(Resource, Reread); 4],
}

#[derive(Clone, Copy, PartialEq)]
enum Resource {
    Cpu,
    Io,
    Memory,
    Irq,
}

impl Pressure {
    pub(crate) fn new(host: &Host) -> Self {
        let file = |name: &str| Reread::new(host.proc.join("pressure").join(name));
        Pressure {
            files: [
                (Resource::Cpu, file("cpu")),
                (Resource::Io, file("io")),
                (Resource::Memory, file("memory")),
                (Resource::Irq, file("irq")),
            ],
        }
    }
}

/// Microseconds of the lines `some` (any task waited) and `full` (all did).
pub(crate) fn parse(text: &str) -> (Option<u64>, Option<u64>) {
    let total = |kind: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(kind))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    };
    (total("some "), total("full "))
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1000.0 / 1000.0
}

impl Collector for Pressure {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        for (resource, file) in &mut self.files {
            let text = match file.read() {
                Ok(text) => text,
                // the interrupt line came with Linux 6.1 and is a kernel option
                Err(_) if *resource == Resource::Irq => continue,
                // PSI is compiled in but turned off
                Err(e) if e.raw_os_error() == Some(libc::ENOTSUP) => return Err(Error::NoData),
                Err(e) => return Err(Error::absent_is_no_data(file.path(), e)),
            };
            let (some, full) = parse(text);
            let (some, full) = (some.map(seconds), full.map(seconds));
            let parts = match resource {
                Resource::Cpu => {
                    [(some, "node_pressure_cpu_waiting_seconds_total", WAITING_CPU), (None, "", "")]
                }
                Resource::Io => [
                    (some, "node_pressure_io_waiting_seconds_total", WAITING_IO),
                    (full, "node_pressure_io_stalled_seconds_total", STALLED_IO),
                ],
                Resource::Memory => [
                    (some, "node_pressure_memory_waiting_seconds_total", WAITING_MEMORY),
                    (full, "node_pressure_memory_stalled_seconds_total", STALLED_MEMORY),
                ],
                Resource::Irq => {
                    [(full, "node_pressure_irq_stalled_seconds_total", STALLED_IRQ), (None, "", "")]
                }
            };
            for (value, name, help) in parts {
                if let Some(value) = value {
                    out.counter(name, help, value);
                }
            }
        }
        Ok(())
    }
}

const WAITING_CPU: &str = "Total time in seconds that processes have waited for CPU time";
const WAITING_IO: &str = "Total time in seconds that processes have waited due to IO congestion";
const STALLED_IO: &str = "Total time in seconds no process could make progress due to IO congestion";
const WAITING_MEMORY: &str = "Total time in seconds that processes have waited for memory";
const STALLED_MEMORY: &str = "Total time in seconds no process could make progress due to memory congestion";
const STALLED_IRQ: &str = "Total time in seconds no process could make progress due to IRQ congestion";

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\nfull avg10=0.00 total=5\n";
        assert_eq!(parse(text), (Some(14_036_781), Some(5)));
        assert_eq!(parse("full avg10=0.00 avg60=0.00 avg300=0.00 total=8494"), (None, Some(8494)));
    }
}
