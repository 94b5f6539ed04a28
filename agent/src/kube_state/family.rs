//! Families of a kind, and the compact form in which one object's samples are kept between scrapes.
//!
//! An object is rendered when it changes. All its series begin with the same labels (`namespace`, `pod`, `uid`), so
//! those are kept once, and of each sample only what is its own. A scrape puts the parts together:
//!
//! ```text
//! family name  {  common labels  ,own="label"} 1
//! └─ from the table ─┘ └─ once an object ─┘ └─ kept for each sample
//! ```
//!
//! The body of an object is, for each family of the table in its order, samples as `length (LEB128), bytes`, ended by a
//! length of 0.

use std::fmt::Write as _;
use std::sync::Arc;

/// A family: what it is called, and how one object's samples are written.
pub(crate) struct Family<K: 'static> {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) counter: bool,
    pub(crate) write: fn(&K, &mut Samples<'_>),
}

/// A gauge.
pub(crate) const fn gauge<K>(
    name: &'static str,
    help: &'static str,
    write: fn(&K, &mut Samples<'_>),
) -> Family<K> {
    Family { name, help, counter: false, write }
}

/// A counter.
pub(crate) const fn counter<K>(
    name: &'static str,
    help: &'static str,
    write: fn(&K, &mut Samples<'_>),
) -> Family<K> {
    Family { name, help, counter: true, write }
}

/// Takes the samples of one family of one object.
pub(crate) struct Samples<'a> {
    body: &'a mut Vec<u8>,
    line: &'a mut String,
}

impl Samples<'_> {
    /// A sample with labels beside the object's own.
    pub(crate) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line.clear();
        for (name, text) in labels {
            let _ = write!(self.line, ",{name}=\"");
            escape(self.line, text);
            self.line.push('"');
        }
        self.line.push_str("} ");
        self.line.push_str(&model::float::format_general(value));
        length(self.body, self.line.len());
        self.body.extend_from_slice(self.line.as_bytes());
    }

    /// A sample with the object's labels only.
    pub(crate) fn value(&mut self, value: f64) {
        self.add(&[], value);
    }

    /// A sample where there is a value.
    pub(crate) fn maybe(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.value(value);
        }
    }

    /// 1 for the state of a condition, 0 for the two others: `label` is `true`, `false`, `unknown` in turn.
    pub(crate) fn condition(&mut self, before: &[(&str, &str)], label: &str, status: &str) {
        for state in ["True", "False", "Unknown"] {
            let mut labels = before.to_vec();
            let lower = state.to_ascii_lowercase();
            labels.push((label, &lower));
            self.add(&labels, f64::from(u8::from(state == status)));
        }
    }
}

/// Label values with `\`, `"` and line feeds escaped.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn length(body: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        body.push(n as u8 | 0x80);
        n >>= 7;
    }
    body.push(n as u8);
}

/// Reads a length, and moves on.
fn take_length(body: &[u8], at: &mut usize) -> usize {
    let (mut n, mut shift) = (0, 0);
    while let Some(byte) = body.get(*at) {
        *at += 1;
        n |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    n
}

/// One object's samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    /// `namespace="a",pod="b"`
    common: Box<str>,
    body: Box<[u8]>,
}

impl Rendered {
    /// Renders an object with its kind's table.
    pub(crate) fn new<K>(families: &[Family<K>], common: &[(&str, &str)], object: &K) -> Self {
        let mut labels = String::new();
        for (i, (name, text)) in common.iter().enumerate() {
            let _ = write!(labels, "{}{name}=\"", if i == 0 { "" } else { "," });
            escape(&mut labels, text);
            labels.push('"');
        }
        let mut body = Vec::with_capacity(1024);
        let mut line = String::new();
        for family in families {
            (family.write)(object, &mut Samples { body: &mut body, line: &mut line });
            body.push(0);
        }
        Rendered { common: labels.into(), body: body.into() }
    }

    /// Bytes it occupies.
    pub(crate) fn size(&self) -> usize {
        self.common.len() + self.body.len()
    }
}

/// Name, help and type of a family, without its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) counter: bool,
}

/// The text of some kinds, in pieces: families one after another, each with the samples of all objects.
pub(crate) struct Scrape {
    kinds: std::vec::IntoIter<(Vec<Head>, Vec<Arc<Rendered>>)>,
    heads: std::vec::IntoIter<Head>,
    objects: Vec<Arc<Rendered>>,
    /// How far each object's body has been written.
    cursors: Vec<u32>,
    /// The family under way, and which object comes next.
    now: Option<(Head, usize)>,
}

/// A piece is sent when it has grown to this many bytes: few enough to keep a scrape of any size small.
const PIECE: usize = 64 << 10;

impl Scrape {
    /// `kinds`: their families, and their objects.
    pub(crate) fn new(kinds: Vec<(Vec<Head>, Vec<Arc<Rendered>>)>) -> Self {
        Scrape {
            kinds: kinds.into_iter(),
            heads: Vec::new().into_iter(),
            objects: Vec::new(),
            cursors: Vec::new(),
            now: None,
        }
    }

    /// Begins the next family; `false` at the end.
    fn advance(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            if let Some(head) = self.heads.next() {
                let kind = if head.counter { "counter" } else { "gauge" };
                for part in ["# HELP ", head.name, " ", head.help, "\n# TYPE ", head.name, " ", kind, "\n"] {
                    out.extend_from_slice(part.as_bytes());
                }
                self.now = Some((head, 0));
                return true;
            }
            let Some((heads, objects)) = self.kinds.next() else { return false };
            self.heads = heads.into_iter();
            self.cursors = vec![0; objects.len()];
            self.objects = objects;
        }
    }
}

impl Iterator for Scrape {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        // lines are short: what goes beyond the piece fits into the slack, seldom into a second allocation
        let mut out = Vec::with_capacity(PIECE + 4096);
        while out.len() < PIECE {
            let Some((head, from)) = self.now else {
                if self.advance(&mut out) {
                    continue;
                }
                break;
            };
            let mut at = from;
            while at < self.objects.len() && out.len() < PIECE {
                samples(&mut out, head.name, &self.objects[at], &mut self.cursors[at]);
                at += 1;
            }
            self.now = (at < self.objects.len()).then_some((head, at));
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Appends the samples of one family of one object.
fn samples(out: &mut Vec<u8>, name: &str, object: &Rendered, cursor: &mut u32) {
    let mut at = *cursor as usize;
    loop {
        let len = take_length(&object.body, &mut at);
        if len == 0 {
            break;
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'{');
        out.extend_from_slice(object.common.as_bytes());
        out.extend_from_slice(object.body.get(at..at + len).unwrap_or_default());
        out.push(b'\n');
        at += len;
    }
    *cursor = at as u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: &[Family<u32>] = &[
        gauge("a", "First.", |n, s| {
            for i in 0..*n {
                s.add(&[("i", &i.to_string()), ("q", "\"")], f64::from(i));
            }
        }),
        counter("b", "Second.", |n, s| s.value(f64::from(*n))),
        gauge("c", "Third, long.", |n, s| s.add(&[("x", &"y".repeat(*n as usize * 100))], 1.0)),
    ];

    fn text(kinds: Vec<(Vec<Head>, Vec<Arc<Rendered>>)>) -> String {
        String::from_utf8(Scrape::new(kinds).flatten().collect()).unwrap()
    }

    fn heads() -> Vec<Head> {
        FAMILIES.iter().map(|f| Head { name: f.name, help: f.help, counter: f.counter }).collect()
    }

    #[test]
    fn families_hold_the_samples_of_all_objects() {
        let object = |n: u32| Arc::new(Rendered::new(FAMILIES, &[("n", &n.to_string())], &n));
        let expected = format!(
            "# HELP a First.\n# TYPE a gauge\na{{n=\"2\",i=\"0\",q=\"\\\"\"}} 0\na{{n=\"2\",i=\"1\",q=\"\\\"\"}} 1\n\
             # HELP b Second.\n# TYPE b counter\nb{{n=\"2\"}} 2\nb{{n=\"0\"}} 0\n\
             # HELP c Third, long.\n# TYPE c gauge\nc{{n=\"2\",x=\"{}\"}} 1\nc{{n=\"0\",x=\"\"}} 1\n",
            "y".repeat(200)
        );
        assert_eq!(text(vec![(heads(), vec![object(2), object(0)])]), expected);
    }

    #[test]
    fn pieces_join_without_a_seam() {
        let objects: Vec<_> = (0..2000u32)
            .map(|n| Arc::new(Rendered::new(FAMILIES, &[("n", &n.to_string())], &(n % 7))))
            .collect();
        let whole = text(vec![(heads(), objects.clone())]);
        let lines = whole.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(lines, (0..2000usize).map(|n| n % 7 + 2).sum::<usize>());
        assert!(Scrape::new(vec![(heads(), objects)]).count() > 1);
    }
}
