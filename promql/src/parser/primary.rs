//! Operands: numbers, strings, selectors, calls, aggregations, parentheses.

use super::text::unquote;
use super::{Fallible, Parser};
use crate::ast::{AggregateOp, Boundary, Expr, ExprKind, Modifiers, VectorSelector};
use crate::functions::Function;
use crate::lexer::{AGGREGATIONS, Kind, Token};
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

/// Keywords that are functions when a parenthesis follows.
const FUNCTION_WORDS: [&str; 6] = ["start", "end", "step", "range", "max_of", "min_of"];
/// Keywords that cannot be the name of a metric.
const RESERVED: [&str; 6] = ["on", "ignoring", "group_left", "group_right", "bool", "atan2"];

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Fallible<Expr> {
        let token = self.peek();
        let start = token.pos.start;
        match token.kind {
            Kind::Number | Kind::Duration => {
                let (value, is_duration) = self.number_token("")?;
                self.depth = 1;
                Ok(Expr { pos: token.pos, kind: ExprKind::Number { value, is_duration } })
            }
            Kind::String => {
                self.advance();
                self.depth = 1;
                let kind = ExprKind::String(unquote(token.text, token.pos)?);
                Ok(Expr { pos: token.pos, kind })
            }
            Kind::Punct if token.is("(") => {
                self.advance();
                let inner = self.expression()?;
                self.expect(")", "")?;
                self.set_depth(self.depth + 1)?;
                Ok(Expr { pos: self.since(start), kind: ExprKind::Paren(Box::new(inner)) })
            }
            Kind::Punct if token.is("{") => self.selector(None),
            Kind::MetricIdentifier => self.selector(Some(token)),
            Kind::Identifier if self.peek_after().is("(") => self.call(token),
            Kind::Identifier => self.selector(Some(token)),
            Kind::Keyword => self.keyword(token),
            _ => self.unexpected("", ""),
        }
    }

    fn keyword(&mut self, token: Token<'_>) -> Fallible<Expr> {
        let lower = token.text.to_ascii_lowercase();
        let next = self.peek_after();
        if AGGREGATIONS.contains(&lower.as_str())
            && (next.is("(") || next.is_word("by") || next.is_word("without"))
        {
            return self.aggregate(token);
        }
        if FUNCTION_WORDS.contains(&lower.as_str()) && next.is("(") {
            return self.call(token);
        }
        if RESERVED.contains(&lower.as_str()) {
            return self.unexpected("", "");
        }
        self.selector(Some(token))
    }

    /// `name{…}`, `name` or `{…}`.
    fn selector(&mut self, name: Option<Token<'_>>) -> Fallible<Expr> {
        let start = self.peek().pos.start;
        let mut selector = VectorSelector {
            name: None,
            matchers: Vec::new(),
            modifiers: Modifiers::default(),
            boundary: Boundary::Inside,
        };
        if let Some(name) = name {
            self.advance();
            selector.name = Some(name.text.to_owned());
        }
        if self.accept("{") {
            self.matchers(&mut selector)?;
        }
        if let Some(name) = &selector.name {
            selector.matchers.push(Matcher::equal(METRIC_NAME, name.clone()));
        }
        self.depth = 1;
        Ok(Expr { pos: self.since(start), kind: ExprKind::Vector(selector) })
    }

    fn matchers(&mut self, selector: &mut VectorSelector) -> Fallible<()> {
        let context = "label matching";
        loop {
            if self.accept("}") {
                return Ok(());
            }
            let label = self.peek();
            let name = match label.kind {
                Kind::Identifier => label.text.to_owned(),
                Kind::String => unquote(label.text, label.pos)?,
                _ => return self.unexpected(context, "identifier or \"}\""),
            };
            self.advance();
            let op = self.peek();
            if label.kind == Kind::String && (op.is(",") || op.is("}")) {
                if let Some(first) = &selector.name {
                    let message = format!("metric name must not be set twice: {first:?} or {name:?}");
                    return Err((label.pos, message));
                }
                selector.matchers.push(Matcher::equal(METRIC_NAME, name));
            } else {
                selector.matchers.push(self.matcher(name)?);
            }
            if !self.accept(",") && !self.peek().is("}") {
                return self.unexpected(context, "\",\" or \"}\"");
            }
        }
    }

    fn matcher(&mut self, name: String) -> Fallible<Matcher> {
        let token = self.peek();
        let op = match token.text {
            "=" if token.kind == Kind::Punct => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            _ => return self.unexpected("label matching", "label matching operator"),
        };
        self.advance();
        let value = self.peek();
        if value.kind != Kind::String {
            return self.unexpected("label matching", "string");
        }
        self.advance();
        let text = unquote(value.text, value.pos)?;
        Matcher::new(op, name, text).map_err(|e| (value.pos, e.to_string()))
    }

    /// `(a, b, "c d")`
    pub(super) fn grouping_labels(&mut self) -> Fallible<Vec<String>> {
        let context = "grouping opts";
        let mut labels = Vec::new();
        self.expect("(", context)?;
        loop {
            if self.accept(")") {
                return Ok(labels);
            }
            let token = self.peek();
            match token.kind {
                Kind::Identifier | Kind::MetricIdentifier | Kind::Keyword => {
                    labels.push(token.text.to_owned());
                }
                Kind::String => labels.push(unquote(token.text, token.pos)?),
                _ => return self.unexpected(context, "label"),
            }
            if labels.last().is_some_and(String::is_empty) {
                return Err((token.pos, "label name must not be empty".to_owned()));
            }
            self.advance();
            if !self.accept(",") && !self.peek().is(")") {
                return self.unexpected(context, "\",\" or \")\"");
            }
        }
    }

    fn call(&mut self, name: Token<'_>) -> Fallible<Expr> {
        self.advance();
        let lower;
        let known = match name.kind {
            Kind::Keyword => {
                lower = name.text.to_ascii_lowercase();
                Function::find(&lower)
            }
            _ => Function::find(name.text),
        };
        let Some(func) = known else {
            return Err((name.pos, format!("unknown function with name {:?}", name.text)));
        };
        if func.experimental && !self.features.experimental_functions {
            return Err((name.pos, format!("function {:?} is not enabled", func.name)));
        }
        let args = self.arguments()?;
        Ok(Expr { pos: self.since(name.pos.start), kind: ExprKind::Call { func, args } })
    }

    fn arguments(&mut self) -> Fallible<Vec<Expr>> {
        self.expect("(", "function call")?;
        let (mut args, mut depth) = (Vec::new(), 0);
        if !self.accept(")") {
            loop {
                args.push(self.expression()?);
                depth = depth.max(self.depth);
                if self.accept(")") {
                    break;
                }
                if !self.accept(",") {
                    return self.unexpected("function call", "\",\" or \")\"");
                }
                if self.peek().is(")") {
                    return Err((
                        self.peek().pos,
                        "trailing commas not allowed in function call args".to_owned(),
                    ));
                }
            }
        }
        self.set_depth(depth + 1)?;
        Ok(args)
    }

    fn aggregate(&mut self, word: Token<'_>) -> Fallible<Expr> {
        self.advance();
        let op = aggregate_op(&word.text.to_ascii_lowercase());
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio)
            && !self.features.experimental_functions
        {
            let message = format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                word.text
            );
            return Err((word.pos, message));
        }
        let mut grouping = self.grouping()?;
        let mut args = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let pos = self.since(word.pos.start);
        let (without, grouping) = grouping.unwrap_or_default();
        let wanted = if takes_param(op) { 2 } else { 1 };
        if args.is_empty() {
            return Err((pos, "no arguments for aggregate expression provided".to_owned()));
        }
        if args.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            );
            return Err((pos, message));
        }
        let param = if wanted == 2 { Some(Box::new(args.remove(0))) } else { None };
        let expr = Box::new(args.remove(0));
        Ok(Expr { pos, kind: ExprKind::Aggregate { op, expr, param, grouping, without } })
    }

    fn grouping(&mut self) -> Fallible<Option<(bool, Vec<String>)>> {
        let without = self.peek().is_word("without");
        if !without && !self.peek().is_word("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some((without, self.grouping_labels()?)))
    }
}

/// Whether the aggregation has an argument before the vector.
pub(crate) fn takes_param(op: AggregateOp) -> bool {
    use AggregateOp::*;
    matches!(op, Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio)
}

fn aggregate_op(word: &str) -> AggregateOp {
    use AggregateOp::*;
    match word {
        "avg" => Avg,
        "count" => Count,
        "min" => Min,
        "max" => Max,
        "group" => Group,
        "stddev" => Stddev,
        "stdvar" => Stdvar,
        "topk" => Topk,
        "bottomk" => Bottomk,
        "count_values" => CountValues,
        "quantile" => Quantile,
        "limitk" => Limitk,
        "limit_ratio" => LimitRatio,
        _ => Sum,
    }
}
