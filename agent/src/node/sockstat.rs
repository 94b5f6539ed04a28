//! sockstat: sockets in use, by protocol.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Sockstat {
    /// IPv4; IPv6, absent where the kernel has none.
    files: [Reread; 2],
    page: f64,
}

impl Sockstat {
    pub(crate) fn new(host: &Host) -> Self {
        let net = host.proc.join("net");
        Sockstat {
            files: [Reread::new(net.join("sockstat")), Reread::new(net.join("sockstat6"))],
            page: rustix::param::page_size() as f64,
        }
    }
}

/// `TCP: inuse 4 mem 1` as (`TCP`, `inuse`, 4), …
fn parse(line: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    let (protocol, rest) = line.split_once(':').unwrap_or((line, ""));
    let mut words = rest.split_ascii_whitespace();
    let pairs = std::iter::from_fn(move || Some((words.next()?, words.next()?)));
    pairs.filter_map(move |(key, value)| Some((protocol, key, value.parse().ok()?)))
}

impl Collector for Sockstat {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        for (i, file) in self.files.iter_mut().enumerate() {
            let text = match file.read() {
                Ok(text) => text,
                Err(_) if i == 1 => continue,
                Err(e) => return Err(Error::absent_is_no_data(file.path(), e)),
            };
            for (protocol, key, value) in text.lines().flat_map(parse) {
                if protocol == "sockets" {
                    out.gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.", value);
                    continue;
                }
                let help = |key: &str| format!("Number of {protocol} sockets in state {key}.");
                out.gauge(&format!("node_sockstat_{protocol}_{key}"), &help(key), value);
                if key == "mem" {
                    // counted in pages
                    let bytes = "mem_bytes";
                    out.gauge(&format!("node_sockstat_{protocol}_{bytes}"), &help(bytes), value * self.page);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses() {
        let parsed: Vec<_> = parse("TCP: inuse 4 mem 1").collect();
        assert_eq!(parsed, [("TCP", "inuse", 4.0), ("TCP", "mem", 1.0)]);
    }
}
