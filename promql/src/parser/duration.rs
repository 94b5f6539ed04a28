//! Durations and duration expressions, and the numbers after `@` and in `fill`.

use super::{Fallible, Parser};
use crate::ast::{At, BinaryOp, DurationExpr, DurationExprKind, PosRange, Span};
use crate::lexer::{Kind, Token, parse_number};

/// Longest duration in seconds: 2^63 nanoseconds, as Prometheus' own type holds.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// Where a duration stands, which decides whether it must be positive.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Range,
    Offset,
}

impl Parser<'_> {
    /// A number or duration token in seconds, and whether it was written with units.
    pub(super) fn number_token(&mut self, context: &str) -> Fallible<(f64, bool)> {
        let token = self.peek();
        let value = match token.kind {
            Kind::Number => parse_number(token.text),
            Kind::Duration => {
                let ms = model::duration::parse_ms(token.text).map_err(|e| (token.pos, e.to_string()))?;
                Some(seconds_of(ms))
            }
            _ => return self.unexpected(context, "number or duration"),
        };
        self.advance();
        if value.is_some_and(f64::is_infinite) && !token.text.eq_ignore_ascii_case("inf") {
            let text = model::float::quote(token.text);
            let message =
                format!("error parsing number: strconv.ParseFloat: parsing {text}: value out of range");
            return Err((token.pos, message));
        }
        match value {
            Some(value) => Ok((value, token.kind == Kind::Duration)),
            None => Err((token.pos, format!("error parsing number: {:?}", token.text))),
        }
    }

    /// A number with an optional sign.
    pub(super) fn signed_number(&mut self, context: &str) -> Fallible<f64> {
        let negative = self.peek().is("-");
        if negative || self.peek().is("+") {
            self.advance();
        }
        let (value, _) = self.number_token(context)?;
        Ok(if negative { -value } else { value })
    }

    /// The time after `@`.
    pub(super) fn at_time(&mut self) -> Fallible<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.peek().is_word(word) {
                self.advance();
                self.expect("(", "@")?;
                self.expect(")", "@")?;
                return Ok(at);
            }
        }
        let pos = self.peek().pos;
        let seconds = match self.peek().kind {
            Kind::Punct if self.peek().is("-") || self.peek().is("+") => self.signed_number("@")?,
            Kind::Number | Kind::Duration => self.signed_number("@")?,
            _ => return self.unexpected("@", "timestamp"),
        };
        let ms = (seconds * 1000.0).round();
        // the same bounds as for any timestamp: an i64 of milliseconds
        if !seconds.is_finite() || ms.abs() >= i64::MAX as f64 {
            let shown = if seconds.is_nan() { "NaN".to_owned() } else { format!("{seconds:.6}") };
            return Err((pos, format!("timestamp out of bounds for @ modifier: {shown}")));
        }
        Ok(At::Timestamp(ms as i64))
    }

    /// What stands in `[…]`: any duration expression.
    pub(super) fn range_span(&mut self) -> Fallible<Span> {
        self.place = Place::Range;
        let expr = self.duration_binary(4)?;
        fold(expr, Place::Range)
    }

    /// What follows `offset`: a signed duration or a function, which an operator ends; or what begins with a parenthesis, and goes
    /// on behind it: `offset (1m) * 2` looks back two minutes.
    pub(super) fn offset_span(&mut self) -> Fallible<Span> {
        self.place = Place::Offset;
        let expr = if self.peek().is("(") { self.duration_binary(4)? } else { self.duration_signed()? };
        fold(expr, Place::Offset)
    }

    fn duration_binary(&mut self, min: u8) -> Fallible<DurationExpr> {
        self.nested(|p| {
            let start = p.peek().pos.start;
            let mut lhs = if p.peek().is("-") || p.peek().is("+") {
                let negative = p.advance().text == "-";
                let expr = Box::new(p.duration_binary(super::POW_PRECEDENCE)?);
                let kind = signed(negative, expr);
                DurationExpr { pos: p.since(start), kind }
            } else {
                p.duration_primary()?
            };
            let mut chain = 0;
            while let Some((op, precedence)) = super::binary_op(&p.peek()).filter(|(op, prec)| {
                *prec >= min
                    && matches!(
                        op,
                        BinaryOp::Add
                            | BinaryOp::Sub
                            | BinaryOp::Mul
                            | BinaryOp::Div
                            | BinaryOp::Mod
                            | BinaryOp::Pow
                    )
            }) {
                chain += 1;
                if chain > super::MAX_NESTING {
                    return Err((p.peek().pos, "duration expression too long".to_owned()));
                }
                let sign = p.advance();
                let next = if op == BinaryOp::Pow { precedence } else { precedence + 1 };
                let rhs = Box::new(p.duration_binary(next)?);
                if matches!(rhs.kind, DurationExprKind::Number { value, .. } if value == 0.0) {
                    match op {
                        BinaryOp::Div => return Err((sign.pos, "division by zero".to_owned())),
                        BinaryOp::Mod => return Err((sign.pos, "modulo by zero".to_owned())),
                        _ => {}
                    }
                }
                let kind = DurationExprKind::Binary { op, lhs: Box::new(lhs), rhs };
                lhs = DurationExpr { pos: p.since(start), kind };
            }
            Ok(lhs)
        })
    }

    /// What stands in the place of a length is none.
    fn no_length<T>(&self, token: Token<'_>) -> Fallible<T> {
        let expected = "number, duration, step(), or range()";
        match (self.place, token.kind) {
            (Place::Range, Kind::Identifier | Kind::MetricIdentifier | Kind::Keyword) => {
                // in brackets no other word can be
                let first = token.text.chars().next().unwrap_or(' ');
                Err((token.pos, format!("unexpected character in duration expression: '{first}'")))
            }
            (Place::Range, _) => self.unexpected("subquery or range selector", expected),
            (Place::Offset, _) => self.unexpected("offset", expected),
        }
    }

    fn duration_signed(&mut self) -> Fallible<DurationExpr> {
        let start = self.peek().pos.start;
        if self.peek().is("-") || self.peek().is("+") {
            let negative = self.advance().text == "-";
            let expr = Box::new(self.nested(Self::duration_signed)?);
            return Ok(DurationExpr { pos: self.since(start), kind: signed(negative, expr) });
        }
        self.duration_primary()
    }

    fn duration_primary(&mut self) -> Fallible<DurationExpr> {
        let first = self.peek();
        let start = first.pos.start;
        let kind = if first.is("(") {
            self.advance();
            let inner = self.duration_binary(4)?;
            self.expect(")", "duration expression")?;
            // around a number they mean nothing
            match inner.kind {
                number @ DurationExprKind::Number { .. } => number,
                _ => DurationExprKind::Paren(Box::new(inner)),
            }
        } else if first.is_word("step") || first.is_word("range") {
            self.advance();
            self.expect("(", "duration expression")?;
            self.expect(")", "duration expression")?;
            if first.is_word("step") { DurationExprKind::Step } else { DurationExprKind::Range }
        } else if first.is_word("min_of") || first.is_word("max_of") {
            self.advance();
            self.expect("(", "duration expression")?;
            let a = Box::new(self.duration_binary(4)?);
            self.expect(",", "duration expression")?;
            let b = Box::new(self.duration_binary(4)?);
            self.expect(")", "duration expression")?;
            // its place is that of the two lengths
            let pos = PosRange { start: a.pos.start, end: b.pos.end };
            let least = first.is_word("min_of");
            let kind = if least { DurationExprKind::Min(a, b) } else { DurationExprKind::Max(a, b) };
            return Ok(DurationExpr { pos, kind });
        } else {
            if !matches!(first.kind, Kind::Number | Kind::Duration) {
                return self.no_length(first);
            }
            let (value, is_duration) = self.number_token("duration expression")?;
            DurationExprKind::Number { value, is_duration }
        };
        Ok(DurationExpr { pos: self.since(start), kind })
    }
}

fn signed(negative: bool, expr: Box<DurationExpr>) -> DurationExprKind {
    match expr.kind {
        DurationExprKind::Number { value, is_duration } => {
            DurationExprKind::Number { value: if negative { -value } else { value }, is_duration }
        }
        _ => DurationExprKind::Unary { negative, expr },
    }
}

/// A plain number becomes milliseconds at once.
fn fold(expr: DurationExpr, place: Place) -> Fallible<Span> {
    let DurationExprKind::Number { value, .. } = expr.kind else {
        return Ok(Span::Expr(Box::new(expr)));
    };
    seconds_to_ms(value, place, expr.pos).map(Span::Millis)
}

/// Checks a length and converts it.
pub(super) fn seconds_to_ms(seconds: f64, place: Place, pos: PosRange) -> Fallible<i64> {
    if seconds.is_nan() || seconds.abs() > MAX_SECONDS {
        return Err((pos, "duration out of range".to_owned()));
    }
    if place == Place::Range && seconds <= 0.0 {
        return Err((pos, "duration must be greater than 0".to_owned()));
    }
    // whole nanoseconds, of which what is less than a millisecond is cut off
    Ok((seconds * 1e9).round() as i64 / 1_000_000)
}

/// A length in seconds as Prometheus has it: whole seconds and their rest are converted apart, which rounds in its own way.
pub(crate) fn seconds_of(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}
