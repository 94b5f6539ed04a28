//! entropy: bits that the kernel's random numbers can be made from.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Entropy {
    available: Reread,
    pool: Reread,
}

impl Entropy {
    pub(crate) fn new(host: &Host) -> Self {
        let dir = host.proc.join("sys/kernel/random");
        Entropy { available: Reread::new(dir.join("entropy_avail")), pool: Reread::new(dir.join("poolsize")) }
    }
}

fn number(file: &mut Reread) -> Result<f64, Error> {
    let parsed = file.read().map(|text| text.trim().parse::<f64>());
    let parsed = parsed.map_err(|e| Error::read(file.path(), e))?;
    parsed.map_err(|e| Error::parse(file.path(), e))
}

impl Collector for Entropy {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let available = number(&mut self.available)?;
        out.gauge("node_entropy_available_bits", "Bits of available entropy.", available);
        out.gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", number(&mut self.pool)?);
        Ok(())
    }
}
