//! loadavg: how many tasks want a CPU, on average.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Loadavg {
    file: Reread,
}

impl Loadavg {
    pub(crate) fn new(host: &Host) -> Self {
        Loadavg { file: Reread::new(host.proc.join("loadavg")) }
    }
}

/// The averages over 1, 5 and 15 minutes.
fn parse(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

impl Collector for Loadavg {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let parsed = self.file.read().map(parse);
        let [load1, load5, load15] = parsed
            .map_err(|e| Error::read(self.file.path(), e))?
            .ok_or_else(|| Error::parse(self.file.path(), "three numbers expected"))?;
        out.gauge("node_load1", "1m load average.", load1);
        out.gauge("node_load15", "15m load average.", load15);
        out.gauge("node_load5", "5m load average.", load5);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses() {
        assert_eq!(parse("0.21 1.37 0.00 3/719 19737\n"), Some([0.21, 1.37, 0.0]));
        assert_eq!(parse("0.21 x"), None);
    }
}
