//! conntrack: how full the table of tracked connections is, and what happened to packets.

use super::files::Reread;
use super::{Collector, Error, Host, Text};

pub(crate) struct Conntrack {
    entries: Reread,
    limit: Reread,
    stat: Reread,
}

/// Columns of `/proc/net/stat/nf_conntrack` that are shown, and their help.
const COLUMNS: [(&str, &str); 8] = [
    ("drop", "Number of packets dropped due to conntrack failure."),
    (
        "early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
    ),
    ("found", "Number of searched entries which were successful."),
    ("ignore", "Number of packets seen which are already connected to a conntrack entry."),
    ("insert", "Number of entries inserted into the list."),
    ("insert_failed", "Number of entries for which list insertion was attempted but failed."),
    ("invalid", "Number of packets seen which can not be tracked."),
    (
        "search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    ),
];

impl Conntrack {
    pub(crate) fn new(host: &Host) -> Self {
        let netfilter = host.proc.join("sys/net/netfilter");
        Conntrack {
            entries: Reread::new(netfilter.join("nf_conntrack_count")),
            limit: Reread::new(netfilter.join("nf_conntrack_max")),
            stat: Reread::new(host.proc.join("net/stat/nf_conntrack")),
        }
    }
}

/// A column's sum over all processors: names above, hexadecimal numbers below.
fn sum(text: &str, column: &str) -> u64 {
    let mut lines = text.lines();
    let at = lines.next().and_then(|names| names.split_ascii_whitespace().position(|name| name == column));
    let Some(at) = at else { return 0 };
    let value = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(at)?, 16).ok();
    lines.filter_map(value).sum()
}

fn number(file: &mut Reread) -> Result<f64, Error> {
    let parsed = file.read().map(|text| text.trim().parse::<f64>());
    let parsed = parsed.map_err(|e| Error::absent_is_no_data(file.path(), e))?;
    parsed.map_err(|e| Error::parse(file.path(), e))
}

impl Collector for Conntrack {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let (entries, limit) = (number(&mut self.entries)?, number(&mut self.limit)?);
        let help = "Number of currently allocated flow entries for connection tracking.";
        out.gauge("node_nf_conntrack_entries", help, entries);
        out.gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.", limit);
        let text = match self.stat.read() {
            Ok(text) => text,
            Err(e) => return Err(Error::absent_is_no_data(self.stat.path(), e)),
        };
        for (column, help) in COLUMNS {
            out.gauge(&format!("node_nf_conntrack_stat_{column}"), help, sum(text, column) as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_over_processors() {
        let text = "entries  searched found\n00000021  00000000 0000000a\n00000021  00000000 00000005\n";
        assert_eq!(sum(text, "found"), 15);
        assert_eq!(sum(text, "absent"), 0);
    }
}
