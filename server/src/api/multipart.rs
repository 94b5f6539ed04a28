//! Forms as `multipart/form-data` (RFC 7578): `curl -F query=up`. Fields in, name and text out; files are left out.

/// The fields of a form in their order. What is not well formed ends the form, as with Go's reader.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let Some(boundary) = parameter(content_type, "boundary").filter(|b| !b.is_empty()) else {
        return Vec::new();
    };
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // the first delimiter may stand at the very beginning
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => match split(body, &delimiter) {
            Some((_, rest)) => rest,
            None => return Vec::new(),
        },
    };
    let mut found = Vec::new();
    // two dashes end the form; else a line ends here, after optional blanks
    while !rest.starts_with(b"--") {
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let Some(after) = rest[blanks..].strip_prefix(b"\r\n") else { break };
        let Some((part, after)) = split(after, &delimiter) else { break };
        rest = after;
        // a part without headers begins with the empty line
        let (head, text) = match part.strip_prefix(b"\r\n") {
            Some(text) => (&[][..], text),
            None => match split(part, b"\r\n\r\n") {
                Some(both) => both,
                None => break,
            },
        };
        if let Some(name) = field_name(head) {
            found.push((name, String::from_utf8_lossy(text).into_owned()));
        }
    }
    found
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|w| w == at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}

/// The name of a part that is a field and no file.
fn field_name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    if parameter(disposition, "filename").is_some() {
        return None;
    }
    parameter(disposition, "name")
}

/// A parameter of a header's value: `…; name="value"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_start_matches([';', ' ', '\t']).trim_end();
        let (found, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(found);
        }
        rest = after;
    }
}

/// What stands before the closing quote, and what comes after it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(content_type: &str, body: &str) -> Vec<(String, String)> {
        fields(content_type, body.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn fields_come_in_their_order() {
        let kind = "multipart/form-data; boundary=--x";
        let body = "----x\nContent-Disposition: form-data; name=\"query\"\n\nup{a=\"1\"}\n+ 1\n----x \n\
                    content-type: text/plain\ncontent-disposition: form-data; name=\"a\\\"b\"\n\n\n----x\n\
                    Content-Disposition: form-data; filename=\"f\"; name=\"file\"\n\nleft out\n----x\n\
                    Content-Disposition: form-data; name=last\n\n2\n----x--\nepilogue";
        let expected = [("query", "up{a=\"1\"}\r\n+ 1"), ("a\"b", ""), ("last", "2")];
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pairs(kind, body), expected);
        assert_eq!(
            pairs("multipart/form-data; charset=x; boundary=\"--x\"", &format!("preamble\n{body}")),
            expected
        );
    }

    #[test]
    fn what_is_cut_off_is_no_field() {
        let kind = "multipart/form-data; boundary=x";
        let whole = "--x\nContent-Disposition: form-data; name=a\n\n1\n--x--\n".replace('\n', "\r\n");
        for end in 0..whole.len() {
            let found = fields(kind, &whole.as_bytes()[..end]);
            assert!(found.is_empty() || found == fields(kind, whole.as_bytes()), "{end}: {found:?}");
        }
        assert_eq!(fields(kind, whole.as_bytes()).len(), 1);
        for kind in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x"]
        {
            assert!(fields(kind, whole.as_bytes()).is_empty(), "{kind}");
        }
    }
}
