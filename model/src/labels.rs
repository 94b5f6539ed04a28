//! Label sets: sorted by name, packed into one shared string, cheap to clone, hash and compare.
//!
//! Layout of the packed string, once per label, in order of the names' bytes:
//!
//! ```text
//! ┌────────────┬──────┬─────────────┬───────┐
//! │ len (name) │ name │ len (value) │ value │ …
//! └────────────┴──────┴─────────────┴───────┘
//! ```
//!
//! A length below 127 is one byte; a longer one is the byte 127 and four bytes of seven bits, the least first. So lengths
//! are ASCII, and the whole stays valid UTF-8.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds the upper bound of a classic histogram's bucket.
pub const BUCKET_LE: &str = "le";
/// The label that holds a summary's quantile.
pub const QUANTILE: &str = "quantile";

/// An immutable set of labels, sorted by name, without empty values.
#[derive(Clone)]
pub struct Labels(Arc<str>);

/// A buffer for labels of usual length is kept, so that a set takes one allocation; a longer one is not.
const MAX_SCRATCH: usize = 16 << 10;

thread_local! {
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        Labels(Arc::from(""))
    }

    /// A set of any pairs; sorts them, drops empty values; of equal names the last one wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut packed = String::new();
        for (i, (name, value)) in pairs.iter().enumerate() {
            let overwritten = pairs.get(i + 1).is_some_and(|next| next.0.as_ref() == name.as_ref());
            if !overwritten && !value.as_ref().is_empty() {
                pack(&mut packed, name.as_ref());
                pack(&mut packed, value.as_ref());
            }
        }
        Labels(packed.into())
    }

    /// A set of pairs that are sorted by name, unique, and have no empty value: no check beyond a debug assertion.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // taken, not borrowed: the pairs may come from where a set is made too
        let mut packed = SCRATCH.take();
        packed.clear();
        let mut last: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(last.is_none_or(|l| l < name), "labels not sorted: {last:?} before {name:?}");
            last = Some(name);
            pack(&mut packed, name);
            pack(&mut packed, value);
        }
        let labels = Labels(Arc::from(packed.as_str()));
        if packed.capacity() <= MAX_SCRATCH {
            SCRATCH.set(packed);
        }
        labels
    }

    /// The value of a label, or "" where it is missing: in this field the two are the same.
    pub fn get(&self, name: &str) -> &str {
        for (n, v) in self {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return v,
                Ordering::Greater => break,
            }
        }
        ""
    }

    /// Whether the label is there.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// The metric's name, or "".
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The pairs, in order of the names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// Calls `each(name, packed)` for all labels in order, with the part of the packed form that name and value take. The same label is packed
    /// the same in every set, and no row of packed labels is the same as another one: so rows can be compared instead of pairs.
    #[inline]
    pub fn for_each_packed(&self, mut each: impl FnMut(&str, &str)) {
        let mut rest: &str = &self.0;
        while !rest.is_empty() {
            let (name, behind) = unpack(rest);
            let (_, behind) = unpack(behind);
            each(name, &rest[..rest.len() - behind.len()]);
            rest = behind;
        }
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of the packed form: what the set costs in memory, shared among its clones.
    pub fn packed_len(&self) -> usize {
        self.0.len()
    }

    /// A hash of the whole set, stable within a process.
    pub fn hash64(&self) -> u64 {
        let mut hasher = rustc_hash::FxHasher::default();
        self.0.as_bytes().hash(&mut hasher);
        hasher.finish()
    }

    /// The set with only the named labels (`names` in any order).
    pub fn keep<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Labels::from_sorted(self.iter().filter(|(n, _)| names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The set without the named labels (`names` in any order).
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Self {
        Labels::from_sorted(self.iter().filter(|(n, _)| !names.iter().any(|k| k.as_ref() == *n)))
    }

    /// The set without the metric's name.
    pub fn without_name(&self) -> Self {
        if self.has(METRIC_NAME) { self.without(&[METRIC_NAME]) } else { self.clone() }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}
impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// By names and values in turn, the shorter first where one begins the other: the order of series in a block.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.iter().cmp(other.iter()) }
    }
}
impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Labels::from_pairs(pairs)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// `{a="1", b="x"}`: names that are not plain identifiers are quoted; the metric's name is a label like the others.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                write!(f, "{name}=")?;
            } else {
                write!(f, "{}=", crate::float::quote(name))?;
            }
            f.write_str(&crate::float::quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The pairs of a label set, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a str);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (name, rest) = unpack(self.0);
        let (value, rest) = unpack(rest);
        self.0 = rest;
        Some((name, value))
    }
}

const LONG: u8 = 127;

fn pack(out: &mut String, text: &str) {
    let len = text.len();
    if len < LONG as usize {
        out.push(len as u8 as char);
    } else {
        assert!(len < 1 << 28, "label of {len} bytes");
        out.push(LONG as char);
        for shift in [0, 7, 14, 21] {
            out.push(((len >> shift) as u8 & 0x7f) as char);
        }
    }
    out.push_str(text);
}

#[inline]
fn unpack(packed: &str) -> (&str, &str) {
    let bytes = packed.as_bytes();
    let (len, header) = if bytes[0] < LONG {
        (bytes[0] as usize, 1)
    } else {
        ((1..5).rev().fold(0, |len, i| len << 7 | bytes[i] as usize), 5)
    };
    packed[header..].split_at(len)
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: a label name that needs no quotes.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`: a metric name that needs no quotes.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Changes to a label set, applied at once by [`LabelsBuilder::finish`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: std::collections::BTreeMap<String, String>,
}

impl LabelsBuilder {
    /// A builder that begins with these labels.
    pub fn new(base: &Labels) -> Self {
        LabelsBuilder { pairs: base.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        if value.is_empty() {
            self.pairs.remove(&name.into());
        } else {
            self.pairs.insert(name.into(), value);
        }
        self
    }

    /// Removes a label.
    pub fn del(&mut self, name: &str) -> &mut Self {
        self.pairs.remove(name);
        self
    }

    /// The value as it stands now, or "".
    pub fn get(&self, name: &str) -> &str {
        self.pairs.get(name).map_or("", String::as_str)
    }

    /// Keeps only the labels for which `keep(name, value)` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|n, v| keep(n, v));
        self
    }

    /// The pairs as they stand now, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The set.
    pub fn finish(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_parts_are_the_whole() {
        let labels =
            Labels::from_pairs([("a", "1".to_owned()), ("b", "x".repeat(200)), ("c", "ü".to_owned())]);
        let (mut all, mut names) = (String::new(), Vec::new());
        labels.for_each_packed(|name, packed| {
            names.push(name.to_owned());
            all.push_str(packed);
        });
        assert_eq!((names.join(","), all.as_str()), ("a,b,c".to_owned(), &*labels.0));
    }

    #[test]
    fn sorts_drops_empty_and_lets_the_last_win() {
        let l = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(l.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!((l.get("b"), l.get("c"), l.get("zz"), l.len()), ("3", "", "", 2));
    }

    #[test]
    fn long_values_and_names_survive() {
        for len in [126, 127, 128, 16_384, 100_000] {
            let long = "ü".repeat(len / 2) + "x";
            let l = Labels::from_pairs([("a", long.as_str()), (long.as_str(), "v")]);
            assert_eq!((l.get("a"), l.get(&long)), (long.as_str(), "v"));
        }
    }

    #[test]
    fn order_is_by_pairs_not_by_packed_bytes() {
        let (a, b) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "10")]));
        let c = Labels::from_pairs([("aa", "0")]);
        assert!(a < b && b < c && a < c);
    }

    #[test]
    fn builder_changes() {
        let base = Labels::from_pairs([("__name__", "up"), ("job", "x")]);
        let mut b = LabelsBuilder::new(&base);
        b.set("job", "").set("instance", "i").del("__name__");
        assert_eq!(b.finish().to_string(), r#"{instance="i"}"#);
        assert_eq!(base.without_name().to_string(), r#"{job="x"}"#);
    }
}
