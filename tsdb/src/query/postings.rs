//! Set operations over sorted lists of series numbers.

/// Below this ratio of lengths two lists are walked side by side; above it the longer one is searched.
const GALLOP_RATIO: usize = 16;

/// Keeps in `a` what is also in `b`; both sorted, without duplicates.
pub(crate) fn intersect(a: &mut Vec<u32>, b: &[u32]) {
    if b.len() / GALLOP_RATIO > a.len() {
        let mut rest = b;
        a.retain(|&x| {
            rest = &rest[gallop(rest, x)..];
            rest.first() == Some(&x)
        });
        return;
    }
    if a.len() / GALLOP_RATIO > b.len() {
        let mut found = Vec::with_capacity(b.len());
        let mut rest = a.as_slice();
        for &x in b {
            rest = &rest[gallop(rest, x)..];
            if rest.first() == Some(&x) {
                found.push(x);
            }
        }
        *a = found;
        return;
    }
    let mut at = 0;
    a.retain(|&x| {
        while at < b.len() && b[at] < x {
            at += 1;
        }
        b.get(at) == Some(&x)
    });
}

/// Removes from `a` what is in `b`; both sorted, without duplicates.
pub(crate) fn subtract(a: &mut Vec<u32>, b: &[u32]) {
    let mut rest = b;
    a.retain(|&x| {
        rest = &rest[gallop(rest, x)..];
        rest.first() != Some(&x)
    });
}

/// All of the lists, sorted, each once.
pub(crate) fn union(mut lists: Vec<Vec<u32>>) -> Vec<u32> {
    if lists.len() <= 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut all = Vec::with_capacity(lists.iter().map(Vec::len).sum());
    for list in &lists {
        all.extend_from_slice(list);
    }
    // The lists are sorted runs, which the stable sort finds and merges.
    all.sort();
    all.dedup();
    all
}

/// Index of the first element that is not below `x`: doubling steps, then bisection.
fn gallop(list: &[u32], x: u32) -> usize {
    if list.first().is_none_or(|&first| first >= x) {
        return 0;
    }
    let mut step = 1;
    while step < list.len() && list[step] < x {
        step *= 2;
    }
    let (from, to) = (step / 2, (step + 1).min(list.len()));
    from + list[from..to].partition_point(|&y| y < x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn set_operations_agree_with_tree_sets() {
        let mut seed = 7u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for round in 0..300 {
            let mut set = |n: u64| (0..n).map(|_| next(400) as u32).collect::<BTreeSet<u32>>();
            let (a, b, c) = (set(round % 7 * 40), set(round % 5 * 60), set(3));
            let list = |s: &BTreeSet<u32>| s.iter().copied().collect::<Vec<u32>>();
            for (x, y) in [(&a, &b), (&a, &c), (&c, &a)] {
                let mut both = list(x);
                intersect(&mut both, &list(y));
                assert_eq!(both, x.intersection(y).copied().collect::<Vec<_>>());
                let mut without = list(x);
                subtract(&mut without, &list(y));
                assert_eq!(without, x.difference(y).copied().collect::<Vec<_>>());
            }
            let all = union(vec![list(&a), list(&b), list(&c)]);
            assert_eq!(
                all,
                a.iter()
                    .chain(&b)
                    .chain(&c)
                    .copied()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect::<Vec<_>>()
            );
        }
    }
}
