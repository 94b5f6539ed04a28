//! meminfo: what memory is used for.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Meminfo {
    file: Reread,
    name: String,
    help: String,
}

impl Meminfo {
    pub(crate) fn new(host: &Host) -> Self {
        Meminfo { file: Reread::new(host.proc.join("meminfo")), name: String::new(), help: String::new() }
    }
}

/// A line `Key(part):  12 kB` as key, number and whether it counts KiB.
fn parse(line: &str) -> Option<(&str, u64, bool)> {
    let (key, rest) = line.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    Some((key, value, words.next() == Some("kB")))
}

/// `Active(anon)` in kB becomes `Active_anon_bytes`.
fn field(key: &str, kib: bool, into: &mut String) {
    for c in key.chars() {
        match c {
            '(' => into.push('_'),
            ')' => {}
            c => into.push(c),
        }
    }
    if kib {
        into.push_str("_bytes");
    }
}

impl Collector for Meminfo {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let (name, help) = (&mut self.name, &mut self.help);
        let text = match self.file.read() {
            Ok(text) => text,
            Err(e) => return Err(Error::read(self.file.path(), e)),
        };
        for (key, value, kib) in text.lines().filter_map(parse) {
            name.clear();
            name.push_str("node_memory_");
            field(key, kib, name);
            help.clear();
            help.push_str("Memory information field ");
            field(key, kib, help);
            help.push('.');
            let bytes = if kib { value as f64 * 1024.0 } else { value as f64 };
            if name.ends_with("_total") {
                out.counter(name, help, bytes);
            } else {
                out.gauge(name, help, bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        assert_eq!(parse("Active(anon):    2020004 kB"), Some(("Active(anon)", 2_020_004, true)));
        assert_eq!(parse("HugePages_Free:        3"), Some(("HugePages_Free", 3, false)));
        assert_eq!(parse("nonsense"), None);
        let mut name = String::new();
        field("Active(anon)", true, &mut name);
        assert_eq!(name, "Active_anon_bytes");
    }
}
