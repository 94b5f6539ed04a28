//! filefd: open file descriptors of the whole machine.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Filefd {
    file: Reread,
}

impl Filefd {
    pub(crate) fn new(host: &Host) -> Self {
        Filefd { file: Reread::new(host.proc.join("sys/fs/file-nr")) }
    }
}

/// Allocated and maximum.
fn parse(text: &str) -> Option<(f64, f64)> {
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.nth(1)?.parse().ok()?))
}

impl Collector for Filefd {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let parsed = self.file.read().map(parse).map_err(|e| Error::read(self.file.path(), e))?;
        let (allocated, maximum) =
            parsed.ok_or_else(|| Error::parse(self.file.path(), "three numbers expected"))?;
        out.gauge("node_filefd_allocated", "File descriptor statistics: allocated.", allocated);
        out.gauge("node_filefd_maximum", "File descriptor statistics: maximum.", maximum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses() {
        assert_eq!(parse("1024\t0\t1631329\n"), Some((1024.0, 1_631_329.0)));
        assert_eq!(parse("1024"), None);
    }
}
