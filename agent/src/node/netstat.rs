//! netstat: protocol counters, as far as `--collector.netstat.fields` says.

use super::files::Reread;
use super::{Collector, Error, Host, SetupError, Text, pattern};
use regex::Regex;

pub(crate) struct Netstat {
    /// Pairs of lines, names above values.
    tables: [Reread; 2],
    /// A line a field; absent where the kernel has no IPv6.
    snmp6: Reread,
    fields: Regex,
}

/// Protocols whose name is a part of each field of `/proc/net/snmp6`.
const PROTOCOLS6: [&str; 4] = ["UdpLite6", "Icmp6", "Udp6", "Ip6"];

impl Netstat {
    pub(crate) fn new(host: &Host, fields: &str) -> Result<Self, SetupError> {
        let net = host.proc.join("net");
        Ok(Netstat {
            tables: [Reread::new(net.join("netstat")), Reread::new(net.join("snmp"))],
            snmp6: Reread::new(net.join("snmp6")),
            fields: pattern("collector.netstat.fields", fields)?,
        })
    }
}

/// `Tcp: A B` above `Tcp: 1 2` as (`Tcp`, `A`, 1), …
fn parse(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    let mut lines = text.lines();
    let pairs = std::iter::from_fn(move || Some((lines.next()?, lines.next()?)));
    pairs.flat_map(|(names, values)| {
        let (protocol, names) = names.split_once(": ").unwrap_or((names, ""));
        let values = values.split(' ').skip(1).map(str::parse);
        names.split(' ').zip(values).filter_map(move |(name, value)| Some((protocol, name, value.ok()?)))
    })
}

/// `Udp6InErrors  5` as (`Udp6`, `InErrors`, 5).
fn parse6(line: &str) -> Option<(&str, &str, f64)> {
    let mut words = line.split_ascii_whitespace();
    let (key, value) = (words.next()?, words.next()?.parse().ok()?);
    let protocol = PROTOCOLS6.into_iter().find(|p| key.starts_with(p))?;
    Some((protocol, &key[protocol.len()..], value))
}

fn show(out: &mut Text, fields: &Regex, (protocol, name, value): (&str, &str, f64)) {
    let key = format!("{protocol}_{name}");
    if fields.is_match(&key) {
        let family = format!("node_netstat_{key}");
        out.untyped(&family, &format!("Statistic {protocol}{name}."));
        out.sample(&family, [], value);
    }
}

impl Collector for Netstat {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        for table in &mut self.tables {
            match table.read() {
                Ok(text) => parse(text).for_each(|field| show(out, &self.fields, field)),
                Err(e) => return Err(Error::read(table.path(), e)),
            }
        }
        if let Ok(text) = self.snmp6.read() {
            text.lines().filter_map(parse6).for_each(|field| show(out, &self.fields, field));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let text = "Tcp: A B\nTcp: 1 -1\nUdp: C\nUdp: 3\n";
        let parsed: Vec<_> = parse(text).collect();
        assert_eq!(parsed, [("Tcp", "A", 1.0), ("Tcp", "B", -1.0), ("Udp", "C", 3.0)]);
        assert_eq!(parse6("UdpLite6InErrors   \t5"), Some(("UdpLite6", "InErrors", 5.0)));
        assert_eq!(parse6("Other 5"), None);
    }
}
