//! Matching of two vectors: one to one, many to one, set operators, and values filled in.
//!
//! Series are brought together once by their signature, not step by step; only where several of one signature stand on a
//! side is it looked at which of them is there at a step.

use super::binary::{Sides, between_points, changes_quantity, compare, incompatible};
use super::column::{Column, OutSeries, Point, is_absent, is_histogram};
use super::context::{Ctx, Size, Steps};
use super::eval::{METADATA_LABELS, fill_in, merge_same, same_labelset};
use super::keys::Keys;
use super::result::QueryError;
use crate::ast::{BinaryOp, Cardinality, PosRange, VectorMatching};
use model::Labels;
use model::labels::METRIC_NAME;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::RefCell;

/// Whether a label counts in what series must have in common to match.
fn counts(name: &str, matching: &VectorMatching) -> bool {
    let named = matching.labels.iter().any(|l| l == name);
    if matching.on { named } else { !named && name != METRIC_NAME }
}

/// What series have in common that match: numbered, and never built as label sets of their own.
struct Signatures<'l> {
    matching: &'l VectorMatching,
    keys: Keys,
    /// Of each signature the labels of the first series that has it.
    first: Vec<&'l Labels>,
}

impl<'l> Signatures<'l> {
    fn new(matching: &'l VectorMatching) -> Self {
        Signatures { matching, keys: Keys::default(), first: Vec::new() }
    }

    fn find(&mut self, labels: &Labels) -> Option<usize> {
        let matching = self.matching;
        self.keys.find(labels, |name| counts(name, matching))
    }

    fn number(&mut self, labels: &'l Labels) -> usize {
        let matching = self.matching;
        let at = self.keys.number(labels, |name| counts(name, matching));
        if at == self.first.len() {
            self.first.push(labels);
        }
        at
    }

    fn labels(&self, at: usize) -> Labels {
        Labels::from_sorted(self.first[at].iter().filter(|(n, _)| counts(n, self.matching)))
    }
}

/// Presence, step by step.
type Presence = Vec<bool>;

fn add_presence(into: &mut [bool], col: &Column) {
    for (p, v) in into.iter_mut().zip(&col.values) {
        *p |= !is_absent(*v);
    }
}

/// `and`, `or`, `unless`.
pub(crate) fn set(
    op: BinaryOp,
    mut lhs: Vec<OutSeries>,
    mut rhs: Vec<OutSeries>,
    matching: &VectorMatching,
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    let (filter, by) = if op == BinaryOp::Or { (&mut rhs, &lhs) } else { (&mut lhs, &rhs) };
    let mut signatures = Signatures::new(matching);
    let mut present: Presence = Vec::new();
    for s in by {
        let begin = signatures.number(&s.labels) * steps.n;
        if begin == present.len() {
            present.resize(begin + steps.n, false);
        }
        add_presence(&mut present[begin..begin + steps.n], &s.col);
    }
    let keep_where_present = op == BinaryOp::And;
    for s in filter.iter_mut() {
        let there = signatures.find(&s.labels).map(|at| &present[at * steps.n..(at + 1) * steps.n]);
        for i in 0..s.col.values.len() {
            if there.is_some_and(|p| p[i]) != keep_where_present {
                s.col.clear_at(i);
            }
        }
    }
    filter.retain(|s| s.col.any_present());
    if op == BinaryOp::Or {
        lhs.append(&mut rhs);
        return merge_same(lhs);
    }
    Ok(lhs)
}

/// The series of one side by signature.
struct Side {
    /// Where each signature's series begin in `series`, and where the last one's end.
    begins: Vec<usize>,
    series: Vec<usize>,
}

impl Side {
    fn new(signatures: usize, of: &[usize]) -> Side {
        let mut begins = vec![0; signatures + 1];
        of.iter().for_each(|sig| begins[sig + 1] += 1);
        for sig in 0..signatures {
            begins[sig + 1] += begins[sig];
        }
        let (mut next, mut series) = (begins.clone(), vec![0; of.len()]);
        for (i, sig) in of.iter().enumerate() {
            series[next[*sig]] = i;
            next[*sig] += 1;
        }
        Side { begins, series }
    }

    fn of(&self, sig: usize) -> &[usize] {
        &self.series[self.begins[sig]..self.begins[sig + 1]]
    }
}

/// The series of both sides with the same signature.
#[derive(Clone, Copy)]
struct Group<'g> {
    many: &'g [usize],
    one: &'g [usize],
}

fn ambiguous() -> QueryError {
    let text = "multiple matches for labels: grouping labels must ensure unique matches";
    QueryError::Execution(text.to_owned())
}

struct Operation<'c, 'a> {
    ctx: &'c Ctx<'a>,
    pos: PosRange,
    op: BinaryOp,
    return_bool: bool,
    matching: &'c VectorMatching,
    steps: usize,
    /// Types that did not go together, step by step: which pair, and what they were.
    failures: RefCell<Vec<Option<(usize, Sides)>>>,
}

/// Arithmetic and comparison between vectors.
pub(crate) fn operate(
    ctx: &Ctx<'_>,
    pos: PosRange,
    (op, return_bool): (BinaryOp, bool),
    lhs: Vec<OutSeries>,
    rhs: Vec<OutSeries>,
    matching: &VectorMatching,
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    let failures = RefCell::default();
    let operation = Operation { ctx, pos, op, return_bool, matching, steps: steps.n, failures };
    // "one" is the side on which each signature may stand once
    let swapped = matching.card == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let result = operation.run(&many, &one, swapped)?;
    for (_, (left, right)) in operation.failures.into_inner().into_iter().flatten() {
        incompatible(ctx, pos, op, left, right);
    }
    Ok(result)
}

impl Operation<'_, '_> {
    fn run(
        &self,
        many: &[OutSeries],
        one: &[OutSeries],
        swapped: bool,
    ) -> Result<Vec<OutSeries>, QueryError> {
        // With group_right the sides are swapped, but Prometheus leaves the values where they stand: `fill_left` fills
        // the side of the many either way.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        let mut signatures = Signatures::new(self.matching);
        let of_many: Vec<usize> = many.iter().map(|s| signatures.number(&s.labels)).collect();
        let of_one: Vec<usize> = one.iter().map(|s| signatures.number(&s.labels)).collect();
        let n = signatures.first.len();
        let sides = (Side::new(n, &of_many), Side::new(n, &of_one));
        self.check_one_side(&signatures, &sides.1, many, one, swapped, (fill_many, fill_one))?;
        let mut pieces: Vec<(usize, OutSeries)> = Vec::with_capacity(many.len());
        for sig in 0..n {
            let group = Group { many: sides.0.of(sig), one: sides.1.of(sig) };
            let of = (sig, &signatures);
            self.group(of, group, many, one, swapped, (fill_many, fill_one), &mut pieces)?;
        }
        // results stand in the order of the many side
        pieces.sort_by_key(|(key, _)| *key);
        let result: Vec<OutSeries> =
            pieces.into_iter().map(|(_, s)| s).filter(|s| s.col.any_present()).collect();
        merge_same(result)
    }

    /// Refuses two series of one signature at the same step on the side that may have one.
    fn check_one_side(
        &self,
        signatures: &Signatures<'_>,
        ones: &Side,
        many: &[OutSeries],
        one: &[OutSeries],
        swapped: bool,
        fills: (Option<f64>, Option<f64>),
    ) -> Result<(), QueryError> {
        let mut any_many: Option<Presence> = None;
        // the first one met, step by step and in the order of the series
        let mut first: Option<(usize, usize, usize, usize)> = None;
        for sig in (0..signatures.first.len()).filter(|sig| ones.of(*sig).len() > 1) {
            let any = any_many.get_or_insert_with(|| {
                let mut p: Presence = vec![fills.0.is_some() || fills.1.is_some(); self.steps];
                many.iter().for_each(|s| add_presence(&mut p, &s.col));
                p
            });
            let members = ones.of(sig);
            for i in (0..self.steps).filter(|i| any[*i]) {
                let mut there = members.iter().filter(|m| one[**m].col.is_present(i));
                if let (Some(a), Some(b)) = (there.next(), there.next()) {
                    if first.is_none_or(|(step, second, ..)| (i, *b) < (step, second)) {
                        first = Some((i, *b, *a, sig));
                    }
                    break;
                }
            }
        }
        let Some((_, second, first, sig)) = first else { return Ok(()) };
        let side = if swapped { "left" } else { "right" };
        Err(QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: \
             [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
            signatures.labels(sig),
            (&one[second].labels).min(&one[first].labels),
            (&one[second].labels).max(&one[first].labels)
        )))
    }

    #[allow(clippy::too_many_arguments)]
    fn group(
        &self,
        (at, signatures): (usize, &Signatures<'_>),
        group: Group<'_>,
        many: &[OutSeries],
        one: &[OutSeries],
        swapped: bool,
        (fill_many, fill_one): (Option<f64>, Option<f64>),
        out: &mut Vec<(usize, OutSeries)>,
    ) -> Result<(), QueryError> {
        let begin = out.len();
        let one_to_one = self.matching.card == Cardinality::OneToOne;
        let mut taken: Presence = vec![false; if group.many.len() > 1 { self.steps } else { 0 }];
        let missing = |side: &[OutSeries], members: &[usize]| -> Column {
            let mut present: Presence = vec![false; self.steps];
            members.iter().for_each(|m| add_presence(&mut present, &side[*m].col));
            let mut col = Column::absent(self.steps);
            (0..self.steps).filter(|i| !present[*i]).for_each(|i| col.values[i] = 0.0);
            col
        };
        let fill = |mut col: Column, v: f64| {
            col.values.iter_mut().filter(|x| !is_absent(**x)).for_each(|x| *x = v);
            col
        };
        let filled_one = fill_one.map(|v| fill(missing(one, group.one), v)).filter(Column::any_present);
        // steps at which a pair came together: not where its types do not, which leaves the one side without a partner
        let mut compared: FxHashMap<Labels, Presence> = FxHashMap::default();
        let mut matched: Presence = vec![false; if fill_many.is_some() { self.steps } else { 0 }];
        for &m in group.many {
            let results = Size::columns(out.len(), self.steps);
            self.ctx.would_hold(results, "the results of a match of vectors")?;
            let partners = group.one.iter().map(|o| (&one[*o].col, Some(&one[*o].labels)));
            for (col, labels) in partners.chain(filled_one.iter().map(|c| (c, None))) {
                let result = self.columns(m, &many[m].col, col, swapped);
                // also where a comparison then drops the result, but not where the types do not go together
                let both = |i: usize| {
                    let there = many[m].col.is_present(i) && col.is_present(i);
                    there && (result.is_present(i) || self.compares(&many[m].col, col, i))
                };
                matched.iter_mut().enumerate().for_each(|(i, matched)| *matched |= both(i));
                if !one_to_one && self.op.is_comparison() && !self.return_bool {
                    // a comparison that drops one of two results of the same labels does not make them unique
                    let metric = self.labels(&many[m].labels, labels);
                    let before = compared.entry(metric).or_insert_with(|| vec![false; self.steps]);
                    for (i, before) in before.iter_mut().enumerate() {
                        if both(i) && std::mem::replace(before, true) {
                            return Err(ambiguous());
                        }
                    }
                }
                if one_to_one && !taken.is_empty() {
                    for (i, t) in taken.iter_mut().enumerate() {
                        if both(i) && std::mem::replace(t, true) {
                            return Err(QueryError::Execution(
                                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                                    .to_owned(),
                            ));
                        }
                    }
                }
                if !result.any_present() {
                    continue;
                }
                let metric = self.labels(&many[m].labels, labels);
                // a filter gives the sample as it was stored, name and all
                let drop_name = self.return_bool;
                out.push((m, OutSeries { labels: metric, drop_name, col: result }));
            }
        }
        if let Some(v) = fill_many.filter(|_| matched.contains(&false)) {
            let mut filled = Column::absent(self.steps);
            (0..self.steps).filter(|i| !matched[*i]).for_each(|i| filled.values[i] = v);
            for &o in group.one {
                let result = self.columns(many.len() + o, &filled, &one[o].col, swapped);
                if result.any_present() {
                    let labels = self.labels(&signatures.labels(at), Some(&one[o].labels));
                    out.push((
                        many.len() + at,
                        OutSeries { labels, drop_name: self.return_bool, col: result },
                    ));
                }
            }
        }
        self.merge_group(begin, out)
    }

    /// Whether the operator is a comparison that the values at a step allow.
    fn compares(&self, a: &Column, b: &Column, i: usize) -> bool {
        let equality = matches!(self.op, BinaryOp::Eq | BinaryOp::Ne);
        match (is_histogram(a.values[i]), is_histogram(b.values[i])) {
            (false, false) => self.op.is_comparison(),
            (true, true) => equality,
            _ => false,
        }
    }

    /// Brings results of one signature together that have the same labels at different steps.
    fn merge_group(&self, begin: usize, out: &mut Vec<(usize, OutSeries)>) -> Result<(), QueryError> {
        if out.len() - begin < 2 {
            return Ok(());
        }
        let mut seen: FxHashSet<Labels> = FxHashSet::default();
        if out[begin..].iter().all(|(_, s)| seen.insert(s.labels.clone())) {
            return Ok(());
        }
        let mut merged: Vec<(usize, OutSeries)> = Vec::new();
        for (key, s) in out.drain(begin..) {
            match merged.iter_mut().find(|(_, m)| m.labels == s.labels) {
                Some((_, m)) => fill_in(&mut m.col, &s.col).map_err(|()| {
                    if self.matching.card == Cardinality::OneToOne {
                        return same_labelset();
                    }
                    ambiguous()
                })?,
                None => merged.push((key, s)),
            }
        }
        out.append(&mut merged);
        Ok(())
    }

    /// Notes that types do not go together; of all that do not at a step Prometheus tells the last one alone.
    fn failed(&self, step: usize, order: usize, sides: Sides) {
        let mut failures = self.failures.borrow_mut();
        failures.resize(self.steps, None);
        if failures[step].is_none_or(|(before, _)| before <= order) {
            failures[step] = Some((order, sides));
        }
    }

    /// The result of the operator, column by column. `order`: which pair it is, as Prometheus goes through them.
    fn columns(&self, order: usize, many: &Column, one: &Column, swapped: bool) -> Column {
        let (l, r) = if swapped { (one, many) } else { (many, one) };
        let mut out = Column::absent(self.steps);
        if l.hists.is_empty() && r.hists.is_empty() && changes_quantity(self.op) {
            for (o, (l, r)) in out.values.iter_mut().zip(l.values.iter().zip(&r.values)) {
                if !is_absent(*l) && !is_absent(*r) {
                    *o = super::binary::between_numbers(self.op, *l, *r);
                }
            }
            return out;
        }
        if l.hists.is_empty() && r.hists.is_empty() && self.op.is_comparison() {
            for (o, (l, r)) in out.values.iter_mut().zip(l.values.iter().zip(&r.values)) {
                if !is_absent(*l) && !is_absent(*r) {
                    let holds = compare(self.op, *l, *r);
                    if self.return_bool {
                        *o = f64::from(u8::from(holds));
                    } else if holds {
                        *o = *l;
                    }
                }
            }
            return out;
        }
        for i in 0..self.steps {
            if !l.is_present(i) || !r.is_present(i) {
                continue;
            }
            let point = between_points(self.ctx, self.pos, self.op, &l.point(i), &r.point(i));
            let (point, keep) =
                point.map_err(|sides| self.failed(i, order, sides)).unwrap_or((Point::Absent, false));
            if self.return_bool {
                // types that do not compare give nothing, not "false"
                if !matches!(point, Point::Absent) {
                    out.values[i] = f64::from(u8::from(keep));
                }
            } else if keep {
                out.set(i, point);
            }
        }
        out
    }

    /// Labels of a result: those of the many side, with what the matching takes away or brings along.
    fn labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let VectorMatching { card, on, labels, include, .. } = self.matching;
        let bare = changes_quantity(self.op);
        let matched = *card == Cardinality::OneToOne;
        let kept = |name: &str| {
            let metadata = bare && METADATA_LABELS.contains(&name);
            let apart = matched && labels.iter().any(|l| l == name) != *on;
            // what is filled in has the labels that match, and no others
            let brought = include.iter().any(|l| l == name);
            !metadata && !apart && (!brought || (one.is_none() && counts(name, self.matching)))
        };
        let own = many.iter().filter(|(name, _)| kept(name));
        if include.is_empty() || one.is_none() {
            return Labels::from_sorted(own);
        }
        let mut pairs: Vec<(&str, &str)> = own.collect();
        let brought = include.iter().map(|name| (name.as_str(), one.map_or("", |l| l.get(name))));
        pairs.extend(brought.filter(|(_, value)| !value.is_empty()));
        pairs.sort_unstable();
        pairs.dedup();
        Labels::from_sorted(pairs)
    }
}
