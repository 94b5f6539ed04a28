//! vmstat: paging, as far as `--collector.vmstat.fields` says.

use super::files::Reread;
use super::{Collector, Error, Host, SetupError, Text, pattern};
use regex::Regex;

pub(crate) struct Vmstat {
    file: Reread,
    fields: Regex,
    name: String,
}

impl Vmstat {
    pub(crate) fn new(host: &Host, fields: &str) -> Result<Self, SetupError> {
        let fields = pattern("collector.vmstat.fields", fields)?;
        Ok(Vmstat { file: Reread::new(host.proc.join("vmstat")), fields, name: String::new() })
    }
}

fn parse(line: &str) -> Option<(&str, f64)> {
    let (key, value) = line.split_once(' ')?;
    Some((key, value.parse().ok()?))
}

impl Collector for Vmstat {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let name = &mut self.name;
        let text = match self.file.read() {
            Ok(text) => text,
            Err(e) => return Err(Error::read(self.file.path(), e)),
        };
        for (key, value) in text.lines().filter_map(parse).filter(|(key, _)| self.fields.is_match(key)) {
            name.clear();
            name.push_str("node_vmstat_");
            name.push_str(key);
            out.untyped(name, &format!("/proc/vmstat information field {key}."));
            out.sample(name, [], value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses() {
        assert_eq!(parse("pgfault 12"), Some(("pgfault", 12.0)));
        assert_eq!(parse("pgfault"), None);
    }
}
