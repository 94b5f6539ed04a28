//! Operators between numbers, between vectors and numbers, and the choice of the matching for vectors.

use super::column::{Column, HISTOGRAM, Point, Val, is_absent};
use super::context::{Ctx, Steps};
use super::eval;
use super::matching;
use super::result::QueryError;
use crate::ast::{BinaryOp, Expr, ExprKind, PosRange};
use crate::histogram;
use model::FloatHistogram;
use model::histogram::CounterReset;
use std::sync::Arc;

pub(crate) fn eval(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Val, QueryError> {
    let ExprKind::Binary { op, lhs, rhs, matching, return_bool } = &expr.kind else {
        return Err(QueryError::BadData("expected a binary operation".to_owned()));
    };
    let left = eval::eval(ctx, lhs, steps)?;
    let right = eval::eval(ctx, rhs, steps)?;
    match (left, right) {
        (Val::Scalar(mut l), Val::Scalar(r)) => {
            l.iter_mut().zip(r).for_each(|(l, r)| *l = between_numbers(*op, *l, r));
            Ok(Val::Scalar(l))
        }
        (Val::Vector(l), Val::Vector(r)) => {
            let matching = matching.clone().unwrap_or_default();
            let result = if op.is_set() {
                matching::set(*op, l, r, &matching, steps)?
            } else {
                matching::operate(ctx, expr.pos, (*op, *return_bool), l, r, &matching, steps)?
            };
            eval::settle(ctx, result).map(Val::Vector)
        }
        (Val::Vector(mut series), Val::Scalar(numbers)) | (Val::Scalar(numbers), Val::Vector(mut series)) => {
            let swapped = lhs.value_type() == crate::ast::ValueType::Scalar;
            let with = WithScalar { op: *op, swapped, return_bool: *return_bool, pos: expr.pos };
            for s in &mut series {
                with.apply(ctx, &mut s.col, &numbers);
                s.drop_name |= with.drops_name();
            }
            series.retain(|s| s.col.any_present());
            eval::settle(ctx, series).map(Val::Vector)
        }
        _ => Err(QueryError::BadData("operator on a string".to_owned())),
    }
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

/// Whether a comparison holds.
pub(crate) fn compare(op: BinaryOp, l: f64, r: f64) -> bool {
    match op {
        BinaryOp::Eq => l == r,
        BinaryOp::Ne => l != r,
        BinaryOp::Lt => l < r,
        BinaryOp::Le => l <= r,
        BinaryOp::Gt => l > r,
        BinaryOp::Ge => l >= r,
        _ => false,
    }
}

/// The result between two numbers; a comparison gives 0 or 1.
#[inline]
pub(crate) fn between_numbers(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        BinaryOp::Div => l / r,
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        BinaryOp::Atan2 => l.atan2(r),
        op => truth(compare(op, l, r)),
    }
}

/// Whether the result is another quantity, so that the metric's name goes.
pub(crate) fn changes_quantity(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// An operator between a vector and a number.
#[derive(Clone, Copy)]
pub(crate) struct WithScalar {
    pub(crate) op: BinaryOp,
    /// The number stands on the left.
    pub(crate) swapped: bool,
    pub(crate) return_bool: bool,
    pub(crate) pos: PosRange,
}

impl WithScalar {
    pub(crate) fn drops_name(&self) -> bool {
        self.return_bool || changes_quantity(self.op)
    }

    /// Changes a column in place.
    pub(crate) fn apply(&self, ctx: &Ctx<'_>, col: &mut Column, numbers: &[f64]) {
        for (i, number) in numbers.iter().enumerate() {
            let v = col.values[i];
            if is_absent(v) {
                continue;
            }
            if v.to_bits() == HISTOGRAM.to_bits() {
                let point = match col.hist(i) {
                    Some(h) => self.of_histogram(ctx, h, *number),
                    None => Point::Absent,
                };
                col.set(i, point);
                continue;
            }
            let (l, r) = if self.swapped { (*number, v) } else { (v, *number) };
            col.values[i] = if self.op.is_comparison() {
                match (compare(self.op, l, r), self.return_bool) {
                    (holds, true) => truth(holds),
                    (true, false) => v,
                    (false, false) => super::column::ABSENT,
                }
            } else if matches!(self.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                self.incompatible(ctx, ("float", "float"));
                super::column::ABSENT
            } else {
                between_numbers(self.op, l, r)
            };
        }
    }

    fn of_histogram(&self, ctx: &Ctx<'_>, h: &Arc<FloatHistogram>, number: f64) -> Point {
        let mut out = (**h).clone();
        match (self.op, self.swapped) {
            (BinaryOp::Mul, _) => histogram::scale(&mut out, number),
            (BinaryOp::Div, false) => histogram::unscale(&mut out, number),
            (BinaryOp::TrimUpper, false) => out = histogram::trim(h, number, true),
            (BinaryOp::TrimLower, false) => out = histogram::trim(h, number, false),
            _ => {
                let sides = if self.swapped { ("float", "histogram") } else { ("histogram", "float") };
                self.incompatible(ctx, sides);
                return Point::Absent;
            }
        }
        Point::hist(out)
    }

    fn incompatible(&self, ctx: &Ctx<'_>, (left, right): (&str, &str)) {
        incompatible(ctx, self.pos, self.op, left, right);
    }
}

/// Says that an operator does not go with what stands on its sides.
pub(crate) fn incompatible(ctx: &Ctx<'_>, pos: PosRange, op: BinaryOp, left: &str, right: &str) {
    let text = format!(
        "incompatible sample types encountered for binary operator {}: {left} {} {right}",
        model::float::quote(op.symbol()),
        op.symbol()
    );
    ctx.notes.info(pos, text);
}

/// The types on both sides of an operator that do not go together.
pub(crate) type Sides = (&'static str, &'static str);

/// The result between two samples of vectors, and whether it is kept where it filters.
pub(crate) fn between_points(
    ctx: &Ctx<'_>,
    pos: PosRange,
    op: BinaryOp,
    l: &Point,
    r: &Point,
) -> Result<(Point, bool), Sides> {
    Ok(match (l, r) {
        (Point::Absent, _) | (_, Point::Absent) => (Point::Absent, false),
        (Point::Float(l), Point::Float(r)) => match op {
            op if op.is_comparison() => (Point::Float(*l), compare(op, *l, *r)),
            BinaryOp::TrimUpper | BinaryOp::TrimLower => return Err(("float", "float")),
            _ => (Point::Float(between_numbers(op, *l, *r)), true),
        },
        (Point::Float(f), Point::Hist(h)) => {
            if op == BinaryOp::Mul {
                let mut out = (**h).clone();
                histogram::scale(&mut out, *f);
                return Ok((Point::hist(out), true));
            }
            return Err(("float", "histogram"));
        }
        (Point::Hist(h), Point::Float(f)) => {
            let mut out = (**h).clone();
            match op {
                BinaryOp::Mul => histogram::scale(&mut out, *f),
                BinaryOp::Div => histogram::unscale(&mut out, *f),
                BinaryOp::TrimUpper => out = histogram::trim(h, *f, true),
                BinaryOp::TrimLower => out = histogram::trim(h, *f, false),
                _ => return Err(("histogram", "float")),
            }
            (Point::hist(out), true)
        }
        (Point::Hist(a), Point::Hist(b)) => return between_histograms(ctx, pos, op, a, b),
    })
}

fn between_histograms(
    ctx: &Ctx<'_>,
    pos: PosRange,
    op: BinaryOp,
    a: &Arc<FloatHistogram>,
    b: &Arc<FloatHistogram>,
) -> Result<(Point, bool), Sides> {
    let combined = match op {
        BinaryOp::Add => histogram::add(a, b),
        BinaryOp::Sub => histogram::sub(a, b),
        BinaryOp::Eq => return Ok((Point::Hist(a.clone()), histogram::equals(a, b))),
        BinaryOp::Ne => return Ok((Point::Hist(a.clone()), !histogram::equals(a, b))),
        _ => return Err(("histogram", "histogram")),
    };
    let what = if op == BinaryOp::Add { "addition" } else { "subtraction" };
    match combined {
        Ok(mut combined) => {
            if combined.collision {
                ctx.notes.warn(pos, format!("conflicting counter resets during histogram {what}"));
            }
            if combined.reconciled {
                let text = format!("mismatched custom buckets were reconciled during {what}");
                ctx.notes.info(pos, text);
            }
            if op == BinaryOp::Sub {
                combined.h.counter_reset = CounterReset::Gauge;
            }
            Ok((Point::hist(histogram::compact(combined.h)), true))
        }
        Err(_) => {
            let text = "vector contains a mix of histograms with exponential and custom buckets schemas";
            ctx.notes.warn(pos, text);
            Ok((Point::Absent, false))
        }
    }
}
