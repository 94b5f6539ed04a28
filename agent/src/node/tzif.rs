//! The local time zone from a TZif file (RFC 8536): offset and abbreviation at a moment.
//!
//! After the file's last transition its last rule stays in force: zone files of distributions reach to 2037.

/// Transitions of a zone: from a Unix time on, seconds east of UTC and abbreviation.
#[derive(Debug, PartialEq)]
pub(crate) struct Zone {
    first: (i32, String),
    transitions: Vec<(i64, i32, String)>,
}

impl Zone {
    /// The zone that `TZ` names, else that of `/etc/localtime`, else UTC.
    pub(crate) fn local() -> Self {
        let path = match std::env::var("TZ") {
            Ok(tz) if tz.is_empty() => return Zone::utc(),
            Ok(tz) => match tz.trim_start_matches(':') {
                absolute if absolute.starts_with('/') => absolute.to_owned(),
                name => format!("/usr/share/zoneinfo/{name}"),
            },
            Err(_) => "/etc/localtime".to_owned(),
        };
        runtime::file::read(path).ok().and_then(|bytes| parse(&bytes)).unwrap_or_else(Zone::utc)
    }

    fn utc() -> Self {
        Zone { first: (0, "UTC".to_owned()), transitions: Vec::new() }
    }

    /// Offset and abbreviation at a Unix time.
    pub(crate) fn at(&self, unix: i64) -> (i32, &str) {
        match self.transitions.partition_point(|(from, ..)| *from <= unix) {
            0 => (self.first.0, &self.first.1),
            n => (self.transitions[n - 1].1, &self.transitions[n - 1].2),
        }
    }
}

/// Bytes that are taken from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

/// Counts of a header: UT indicators, standard indicators, leap seconds, transitions, types, characters.
fn header(reader: &mut Reader<'_>) -> Option<(u8, [usize; 6])> {
    let head = reader.take(20)?;
    if &head[..4] != b"TZif" {
        return None;
    }
    let mut counts = [0; 6];
    for count in &mut counts {
        *count = reader.u32()? as usize;
    }
    Some((head[4], counts))
}

fn parse(bytes: &[u8]) -> Option<Zone> {
    let mut reader = Reader(bytes);
    let (version, [ut, std, leap, times, types, chars]) = header(&mut reader)?;
    let wide = version >= b'2';
    if !wide {
        return block(&mut reader, 4, [times, types, chars]);
    }
    // the first block holds 32-bit times for old readers
    reader.take(times * 5 + types * 6 + chars + leap * 8 + std + ut)?;
    let (_, [_, _, _, times, types, chars]) = header(&mut reader)?;
    block(&mut reader, 8, [times, types, chars])
}

fn block(reader: &mut Reader<'_>, width: usize, [times, types, chars]: [usize; 3]) -> Option<Zone> {
    let at = reader.take(times.checked_mul(width)?)?;
    let kinds = reader.take(times)?;
    let infos = reader.take(types.checked_mul(6)?)?;
    let names = reader.take(chars)?;
    let info = |kind: usize| {
        let info = infos.get(kind * 6..kind * 6 + 6)?;
        let name = names.get(usize::from(info[5])..)?.split(|b| *b == 0).next()?;
        let offset = i32::from_be_bytes(info[..4].try_into().ok()?);
        Some((offset, String::from_utf8_lossy(name).into_owned()))
    };
    let transitions = at.chunks(width).zip(kinds).map(|(at, kind)| {
        let at = match *at {
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            _ => i64::from_be_bytes(at.try_into().ok()?),
        };
        let (offset, name) = info(usize::from(*kind))?;
        Some((at, offset, name))
    });
    Some(Zone { first: info(0)?, transitions: transitions.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let head = |counts: [u32; 6]| {
            let mut h = b"TZif2".to_vec();
            h.extend([0; 15]);
            counts.iter().for_each(|c| h.extend(c.to_be_bytes()));
            h
        };
        let mut file = head([0, 0, 0, 0, 1, 4]);
        file.extend([0, 0, 0, 0, 0, 0]);
        file.extend(b"UTC\0");
        file.extend(head([0, 0, 0, 2, 2, 9]));
        file.extend(1000i64.to_be_bytes());
        file.extend(2000i64.to_be_bytes());
        file.extend([1, 0]);
        file.extend(3600i32.to_be_bytes());
        file.extend([0, 0]);
        file.extend(7200i32.to_be_bytes());
        file.extend([1, 4]);
        file.extend(b"CET\0CEST\0");
        file
    }

    #[test]
    fn follows_transitions() {
        let zone = parse(&file()).unwrap();
        assert_eq!(zone.at(0), (3600, "CET"));
        assert_eq!(zone.at(1000), (7200, "CEST"));
        assert_eq!(zone.at(i64::MAX), (3600, "CET"));
        assert_eq!(parse(b"TZif"), None);
        assert_eq!(parse(&file()[..90]), None);
    }
}
