//! Which buckets a histogram has, and how those of two histograms become one layout.

use model::histogram::Span;

/// The buckets' indices, rising.
pub(super) fn indices(spans: &[Span]) -> impl Iterator<Item = i32> {
    let mut next = 0i32;
    spans.iter().flat_map(move |span| {
        let begin = next.wrapping_add(span.offset);
        next = begin.wrapping_add(span.length as i32);
        begin..next
    })
}

/// The shortest spans of rising indices.
pub(super) fn spans_of(indices: &[i32]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i32;
    for &index in indices {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    spans
}

/// How the buckets of a chunk and those of a histogram that comes next fit together.
#[derive(Debug, PartialEq)]
pub(super) enum Fit {
    /// They are the same.
    Same,
    /// The histogram lacks some of the chunk's, which are empty.
    Wider,
    /// The histogram has more: the chunk must be written anew with these.
    Grown(Vec<Span>),
}

/// Joins the layouts of one side (positive or negative). `gone(i)` says whether bucket `i` of the chunk, which the histogram lacks, is no
/// obstacle; `falls(i, j)` whether bucket `i` of the chunk counts more than bucket `j` of the histogram. None where either says that
/// the counter began anew.
pub(super) fn join(
    chunk: &[Span],
    histogram: &[Span],
    mut is_empty: impl FnMut(usize) -> bool,
    mut falls: impl FnMut(usize, usize) -> bool,
) -> Option<Fit> {
    let (mut ours, mut theirs) =
        (indices(chunk).enumerate().peekable(), indices(histogram).enumerate().peekable());
    let mut all = Vec::new();
    let (mut lacks, mut grows) = (false, false);
    loop {
        match (ours.peek().copied(), theirs.peek().copied()) {
            (Some((i, a)), Some((j, b))) if a == b => {
                if falls(i, j) {
                    return None;
                }
                all.push(a);
                ours.next();
                theirs.next();
            }
            (Some((i, a)), other) if other.is_none_or(|(_, b)| a < b) => {
                if !is_empty(i) {
                    return None;
                }
                lacks = true;
                all.push(a);
                ours.next();
            }
            (_, Some((_, b))) => {
                grows = true;
                all.push(b);
                theirs.next();
            }
            (_, None) => break,
        }
    }
    Some(match (grows, lacks) {
        (false, false) => Fit::Same,
        (false, true) => Fit::Wider,
        // what the writer sent, where it has all there is
        (true, false) => Fit::Grown(histogram.to_vec()),
        (true, true) => Fit::Grown(spans_of(&all)),
    })
}

/// Moves counts from one layout to another that has all its buckets; the others are `T::default()`.
pub(super) fn spread<T: Copy + Default>(counts: &[T], from: &[Span], to: &[Span]) -> Vec<T> {
    let mut known = indices(from).zip(counts.iter().copied()).peekable();
    indices(to)
        .map(|index| match known.peek() {
            Some(&(at, count)) if at == index => {
                known.next();
                count
            }
            _ => T::default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn layouts_join() {
        let ours = [span(-1, 2), span(2, 1)]; // -1 0 3
        assert_eq!(indices(&ours).collect::<Vec<_>>(), [-1, 0, 3]);
        assert_eq!(spans_of(&[-1, 0, 3]), ours);
        let yes = |_: usize| true;
        let join = |theirs: &[Span]| join(&ours, theirs, yes, |_, _| false);
        assert_eq!(join(&[span(-1, 1), span(0, 1), span(2, 1)]), Some(Fit::Same));
        assert_eq!(join(&[span(0, 1)]), Some(Fit::Wider));
        let grown = [span(-1, 5)];
        assert_eq!(join(&grown), Some(Fit::Grown(grown.to_vec())));
        assert_eq!(join(&[span(5, 1)]), Some(Fit::Grown(vec![span(-1, 2), span(2, 1), span(1, 1)])));
        assert_eq!(super::join(&ours, &[span(0, 1)], |i| i != 2, |_, _| false), None);
        assert_eq!(super::join(&ours, &ours, yes, |i, j| (i, j) == (2, 2)), None);
        assert_eq!(spread(&[1, 2, 3], &ours, &grown), [1, 2, 0, 0, 3]);
    }
}
