//! The parser: recursive descent with precedence climbing over the lexer's tokens, then a check of types.
//!
//! Depth is bounded twice: nesting (the parser's own recursion) and the tree's depth (a long `a + b + …` leans left),
//! so that neither parsing, printing, evaluating nor dropping a tree can overflow the stack.

mod check;
mod duration;
mod postfix;
mod primary;
mod text;

pub(crate) use duration::seconds_of;
pub(crate) use text::{quote, readable, valid_label};

use crate::ast::{BinaryOp, Cardinality, Expr, ExprKind, PosRange, VectorMatching};
use crate::lexer::{Kind, LexError, Token, lex};
use model::Matcher;

/// Deepest nesting of parentheses, calls and unary operators.
const MAX_NESTING: usize = 250;
/// Deepest tree.
const MAX_DEPTH: usize = 1000;

/// Parts of the language that are off unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `--enable-feature=promql-experimental-functions`.
    pub experimental_functions: bool,
    /// `--enable-feature=promql-binop-fill-modifiers`.
    pub binop_fill_modifiers: bool,
    /// `--enable-feature=promql-extended-range-selectors`.
    pub extended_range_selectors: bool,
}

impl Features {
    /// Everything on.
    pub fn all() -> Self {
        Features { experimental_functions: true, binop_fill_modifiers: true, extended_range_selectors: true }
    }
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: parse error: {message}", place(.line, .column))]
pub struct ParseError {
    /// Where, in bytes of the text.
    pub pos: PosRange,
    /// Line of the place, from 1; 0 where there is no place: in a text without an expression.
    pub line: usize,
    /// Byte in the line, from 1.
    pub column: usize,
    /// The cause.
    pub message: String,
}

impl ParseError {
    fn new(text: &str, pos: PosRange, message: String) -> Self {
        let (line, column) = if message == NOTHING { (0, 0) } else { line_column(text, pos.start) };
        ParseError { pos, line, column, message }
    }
}

fn place(line: &usize, column: &usize) -> String {
    if *line == 0 { "unknown position".to_owned() } else { format!("{line}:{column}") }
}

const NOTHING: &str = "no expression found in input";

/// Line and column, both from 1, of a byte offset.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

/// Parses a query without optional features.
///
/// # Errors
/// Where the text is no query: the first place and its cause.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, &Features::default())
}

/// Parses a query.
///
/// # Errors
/// Where the text is no query under these features: the first place and its cause.
pub fn parse_with(text: &str, features: &Features) -> Result<Expr, ParseError> {
    let run = || -> Fallible<Expr> {
        let mut parser = Parser::new(text, features)?;
        if parser.peek().kind == Kind::Eof {
            return Err((parser.peek().pos, NOTHING.to_owned()));
        }
        let mut expr = parser.expression()?;
        if parser.peek().kind != Kind::Eof {
            return parser.unexpected("", "");
        }
        check::check(&mut expr, text)?;
        Ok(expr)
    };
    run().map_err(|(pos, message)| ParseError::new(text, pos, message))
}

/// Parses a selector such as `up{job="x"}`, as `match[]` of the HTTP API takes it.
///
/// # Errors
/// Where the text is no selector without modifiers.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse(text)?;
    match expr.kind {
        ExprKind::Vector(selector) if selector.modifiers == Default::default() => Ok(selector.matchers),
        _ => Err(ParseError::new(text, expr.pos, "expected a series selector".to_owned())),
    }
}

/// The matchers of a selector that may also select everything, e.g. `{__name__=~".*"}`: what tools take that read a
/// database by themselves.
///
/// # Errors
/// Where the text is no selector without modifiers.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let run = || -> Fallible<Vec<Matcher>> {
        let mut parser = Parser::new(text, &Features::default())?;
        let expr = parser.expression()?;
        let next = parser.peek();
        match expr.kind {
            _ if next.kind != Kind::Eof => Err((next.pos, format!("unexpected {}", next.describe()))),
            ExprKind::Vector(selector) if selector.modifiers == Default::default() => Ok(selector.matchers),
            _ => Err((expr.pos, "expected a series selector".to_owned())),
        }
    };
    run().map_err(|(pos, message)| ParseError::new(text, pos, message))
}

/// The labels of a series written as a metric, e.g. `up{job="x"}` or `{}`.
pub(crate) fn parse_metric(text: &str) -> Result<model::Labels, ParseError> {
    let run = || -> Fallible<model::Labels> {
        let mut parser = Parser::new(text, &Features::default())?;
        let expr = parser.primary()?;
        let whole = PosRange { start: 0, end: text.len() };
        if parser.peek().kind != Kind::Eof {
            return parser.unexpected("series", "");
        }
        match expr.kind {
            ExprKind::Vector(selector) if selector.matchers.iter().all(|m| m.op == model::MatchOp::Equal) => {
                Ok(selector.matchers.into_iter().map(|m| (m.name, m.value)).collect())
            }
            _ => Err((whole, "expected a metric with labels".to_owned())),
        }
    };
    run().map_err(|(pos, message)| ParseError::new(text, pos, message))
}

pub(crate) type Failure = (PosRange, String);
pub(crate) type Fallible<T> = Result<T, Failure>;

pub(crate) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    /// Why the tokens end before the text does.
    lex_error: Option<LexError>,
    at: usize,
    nesting: usize,
    /// Depth of the expression returned last.
    depth: usize,
    /// Where the length stands that is read now.
    place: duration::Place,
    features: Features,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str, features: &Features) -> Fallible<Self> {
        let (tokens, lex_error) = lex(text);
        Ok(Parser {
            tokens,
            lex_error,
            at: 0,
            nesting: 0,
            depth: 0,
            place: Default::default(),
            features: *features,
        })
    }

    pub(crate) fn peek(&self) -> Token<'a> {
        self.tokens[self.at]
    }

    fn peek_after(&self) -> Token<'a> {
        self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.tokens[self.at];
        if !matches!(token.kind, Kind::Eof | Kind::Error) {
            self.at += 1;
        }
        token
    }

    /// End of the token consumed last.
    fn last_end(&self) -> usize {
        if self.at == 0 { 0 } else { self.tokens[self.at - 1].pos.end }
    }

    fn since(&self, start: usize) -> PosRange {
        PosRange { start, end: self.last_end() }
    }

    fn accept(&mut self, punct: &str) -> bool {
        let found = self.peek().is(punct);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, punct: &str, context: &str) -> Fallible<Token<'a>> {
        if self.peek().is(punct) {
            return Ok(self.advance());
        }
        self.unexpected(context, &format!("\"{punct}\""))
    }

    fn unexpected<T>(&self, context: &str, expected: &str) -> Fallible<T> {
        let token = self.peek();
        if let (Kind::Error, Some(error)) = (token.kind, &self.lex_error) {
            return Err(error.clone());
        }
        let mut message = format!("unexpected {}", token.describe());
        if !context.is_empty() {
            message += &format!(" in {context}");
        }
        if !expected.is_empty() {
            message += &format!(", expected {expected}");
        }
        Err((token.pos, message))
    }

    /// Runs a production one level deeper.
    fn nested<T>(&mut self, production: impl FnOnce(&mut Self) -> Fallible<T>) -> Fallible<T> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err((self.peek().pos, format!("expression nested deeper than {MAX_NESTING} levels")));
        }
        let result = production(self);
        self.nesting -= 1;
        result
    }

    fn set_depth(&mut self, depth: usize) -> Fallible<()> {
        self.depth = depth;
        if depth > MAX_DEPTH {
            return Err((self.peek().pos, format!("expression deeper than {MAX_DEPTH} operations")));
        }
        Ok(())
    }

    pub(crate) fn expression(&mut self) -> Fallible<Expr> {
        self.nested(|p| p.binary(1))
    }

    /// Everything that binds at least as tightly as `min`.
    fn binary(&mut self, min: u8) -> Fallible<Expr> {
        let mut lhs = self.unary()?;
        while let Some((op, precedence)) = binary_op(&self.peek()).filter(|(_, p)| *p >= min) {
            let depth = self.depth;
            self.advance();
            let (matching, return_bool) = self.binary_modifiers()?;
            // all but `^` lean left
            let next = if op == BinaryOp::Pow { precedence } else { precedence + 1 };
            let rhs = self.nested(|p| p.binary(next))?;
            self.set_depth(depth.max(self.depth) + 1)?;
            let pos = PosRange { start: lhs.pos.start, end: rhs.pos.end };
            let (l, r) = (Box::new(lhs), Box::new(rhs));
            let kind = ExprKind::Binary { op, lhs: l, rhs: r, matching: Some(matching), return_bool };
            lhs = Expr { pos, kind };
        }
        Ok(lhs)
    }

    /// A sign and its operand; the sign binds weaker than `^` and tighter than `*`.
    fn unary(&mut self) -> Fallible<Expr> {
        let sign = self.peek();
        if !sign.is("-") && !sign.is("+") {
            return self.postfix();
        }
        self.advance();
        let negative = sign.text == "-";
        let operand = self.nested(|p| p.binary(POW_PRECEDENCE))?;
        let pos = PosRange { start: sign.pos.start, end: operand.pos.end };
        self.set_depth(self.depth + 1)?;
        let kind = match operand.kind {
            ExprKind::Number { value, is_duration } => {
                ExprKind::Number { value: if negative { -value } else { value }, is_duration }
            }
            _ => ExprKind::Unary { negative, expr: Box::new(operand) },
        };
        Ok(Expr { pos, kind })
    }

    /// `bool`, `on`/`ignoring`, `group_left`/`group_right`, `fill…` after an operator.
    fn binary_modifiers(&mut self) -> Fallible<(VectorMatching, bool)> {
        let mut matching = VectorMatching::default();
        let return_bool = self.accept_word("bool");
        if self.peek().is_word("on") || self.peek().is_word("ignoring") {
            matching.on = self.advance().text.eq_ignore_ascii_case("on");
            matching.labels = self.grouping_labels()?;
            if self.peek().is_word("group_left") || self.peek().is_word("group_right") {
                let left = self.advance().text.eq_ignore_ascii_case("group_left");
                matching.card = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.peek().is("(") {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((matching, return_bool))
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Fallible<()> {
        loop {
            let word = self.peek();
            let (left, right) = match () {
                () if word.is_word("fill") => (true, true),
                () if word.is_word("fill_left") => (true, false),
                () if word.is_word("fill_right") => (false, true),
                () => return Ok(()),
            };
            // `fill` may also be the name of a metric on the right
            if !self.peek_after().is("(") {
                return Ok(());
            }
            if !self.features.binop_fill_modifiers {
                return Err((word.pos, "binop fill modifiers are experimental and not enabled".to_owned()));
            }
            self.advance();
            self.expect("(", "fill modifier")?;
            let value = self.signed_number("fill modifier")?;
            self.expect(")", "fill modifier")?;
            if (left && matching.fill_left.is_some()) || (right && matching.fill_right.is_some()) {
                return Err((word.pos, "fill modifier may not be set multiple times".to_owned()));
            }
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_word(word);
        if found {
            self.advance();
        }
        found
    }
}

const POW_PRECEDENCE: u8 = 6;

/// The operator that a token is, and how tightly it binds.
fn binary_op(token: &Token<'_>) -> Option<(BinaryOp, u8)> {
    use BinaryOp::*;
    let lower;
    let text = match token.kind {
        Kind::Punct => token.text,
        Kind::Keyword => {
            lower = token.text.to_ascii_lowercase();
            &lower
        }
        _ => return None,
    };
    Some(match text {
        "or" => (Or, 1),
        "and" => (And, 2),
        "unless" => (Unless, 2),
        "==" => (Eq, 3),
        "!=" => (Ne, 3),
        "<" => (Lt, 3),
        "<=" => (Le, 3),
        ">" => (Gt, 3),
        ">=" => (Ge, 3),
        "</" => (TrimUpper, 3),
        ">/" => (TrimLower, 3),
        "+" => (Add, 4),
        "-" => (Sub, 4),
        "*" => (Mul, 5),
        "/" => (Div, 5),
        "%" => (Mod, 5),
        "atan2" => (Atan2, 5),
        "^" => (Pow, POW_PRECEDENCE),
        _ => return None,
    })
}
