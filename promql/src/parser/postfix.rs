//! What follows an operand: `[…]`, `offset`, `@`, `anchored`, `smoothed`.

use super::{Fallible, Parser};
use crate::ast::{Boundary, Expr, ExprKind, Modifiers, PosRange};

impl Parser<'_> {
    /// An operand with all that follows it.
    pub(super) fn postfix(&mut self) -> Fallible<Expr> {
        let mut expr = self.primary()?;
        loop {
            let token = self.peek();
            expr = if token.is("[") {
                self.brackets(expr)?
            } else if token.is_word("offset") {
                self.offset(expr)?
            } else if token.is("@") {
                self.at_modifier(expr)?
            } else if token.is_word("anchored") || token.is_word("smoothed") {
                self.boundary(expr)?
            } else {
                return Ok(expr);
            };
        }
    }

    fn brackets(&mut self, expr: Expr) -> Fallible<Expr> {
        let open = self.advance();
        // `[:5m]` has no meaning
        let range = self.range_span()?;
        if self.accept(":") {
            let step = if self.peek().is("]") { None } else { Some(self.range_span()?) };
            self.expect("]", "subquery selector")?;
            self.set_depth(self.depth + 1)?;
            let pos = self.since(expr.pos.start);
            let modifiers = Modifiers::default();
            return Ok(Expr {
                pos,
                kind: ExprKind::Subquery { expr: Box::new(expr), range, step, modifiers },
            });
        }
        if !self.peek().is("]") {
            return self.unexpected("subquery or range selector", "\":\" or \"]\"");
        }
        self.advance();
        let whole = PosRange { start: expr.pos.start, end: self.last_end() };
        let fail =
            |message: &str| Err((PosRange { start: open.pos.start, end: whole.end }, message.to_owned()));
        let ExprKind::Vector(selector) = expr.kind else {
            return fail("ranges only allowed for vector selectors");
        };
        if selector.modifiers.offset.is_some() {
            return fail("no offset modifiers allowed before range");
        }
        if selector.modifiers.at.is_some() {
            return fail("no @ modifiers allowed before range");
        }
        if selector.boundary != Boundary::Inside {
            return fail("no anchored or smoothed modifiers allowed before range");
        }
        Ok(Expr { pos: whole, kind: ExprKind::Matrix { selector, selector_pos: expr.pos, range } })
    }

    fn offset(&mut self, mut expr: Expr) -> Fallible<Expr> {
        self.advance();
        let span = self.offset_span()?;
        let pos = self.since(expr.pos.start);
        let Some(modifiers) = modifiers_of(&mut expr) else {
            return Err((pos, wants_selector("offset modifier")));
        };
        if modifiers.offset.replace(span).is_some() {
            return Err((pos, "offset may not be set multiple times".to_owned()));
        }
        expr.pos = pos;
        Ok(expr)
    }

    fn at_modifier(&mut self, mut expr: Expr) -> Fallible<Expr> {
        self.advance();
        let at = self.at_time()?;
        let pos = self.since(expr.pos.start);
        let Some(modifiers) = modifiers_of(&mut expr) else {
            return Err((pos, wants_selector("@ modifier")));
        };
        if modifiers.at.replace(at).is_some() {
            return Err((pos, "@ <timestamp> may not be set multiple times".to_owned()));
        }
        expr.pos = pos;
        Ok(expr)
    }

    fn boundary(&mut self, mut expr: Expr) -> Fallible<Expr> {
        let word = self.advance();
        let name = word.text.to_ascii_lowercase();
        if !self.features.extended_range_selectors {
            return Err((word.pos, format!("{name} modifier is experimental and not enabled")));
        }
        let pos = self.since(expr.pos.start);
        let boundary = if name == "anchored" { Boundary::Anchored } else { Boundary::Smoothed };
        let selector = match &mut expr.kind {
            ExprKind::Matrix { selector, .. } => selector,
            // `anchored` without a range changes nothing
            ExprKind::Vector(selector) => selector,
            ExprKind::Subquery { .. } => {
                return Err((pos, format!("{name} modifier is not supported with subqueries")));
            }
            _ => {
                let wanted = if name == "anchored" { "a" } else { "an instant vector selector or" };
                return Err((
                    pos,
                    format!("{name} modifier must be preceded by {wanted} range vector selector"),
                ));
            }
        };
        if selector.boundary != Boundary::Inside {
            return Err((pos, "anchored and smoothed modifiers may not be set multiple times".to_owned()));
        }
        selector.boundary = boundary;
        expr.pos = pos;
        Ok(expr)
    }
}

fn wants_selector(what: &str) -> String {
    format!("{what} must be preceded by an instant vector selector or range vector selector or a subquery")
}

fn modifiers_of(expr: &mut Expr) -> Option<&mut Modifiers> {
    match &mut expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => Some(&mut selector.modifiers),
        ExprKind::Subquery { modifiers, .. } => Some(modifiers),
        _ => None,
    }
}
