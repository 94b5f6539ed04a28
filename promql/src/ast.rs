//! The syntax tree, with source positions on every node.

use model::Matcher;

/// A half-open range of byte offsets in the query's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PosRange {
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it stands.
    pub pos: PosRange,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number; `is_duration` where it was written as one (`5m`), for the printer.
    Number {
        /// The value; a duration in seconds.
        value: f64,
        /// Written as a duration.
        is_duration: bool,
    },
    /// A string.
    String(String),
    /// `name{a="b"}` with its modifiers.
    Vector(VectorSelector),
    /// A vector selector with a range.
    Matrix {
        /// What is selected; its `pos` is that of the selector without the range.
        selector: VectorSelector,
        /// Where the selector stands without its range.
        selector_pos: PosRange,
        /// The window's length.
        range: Span,
    },
    /// `expr[range:step]` with its modifiers.
    Subquery {
        /// What is evaluated at each step.
        expr: Box<Expr>,
        /// The window's length.
        range: Span,
        /// Distance of the steps; the default evaluation interval where missing.
        step: Option<Span>,
        /// `offset` and `@`.
        modifiers: Modifiers,
    },
    /// A function call.
    Call {
        /// The function's name as in the table of functions.
        func: &'static crate::functions::Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// An aggregation.
    Aggregate {
        /// Which one.
        op: AggregateOp,
        /// The vector.
        expr: Box<Expr>,
        /// The first argument of those that have two.
        param: Option<Box<Expr>>,
        /// Labels after `by` or `without`.
        grouping: Vec<String>,
        /// `without` rather than `by`.
        without: bool,
    },
    /// A binary operation.
    Binary {
        /// Which one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
        /// How vectors are matched; present where both sides are vectors.
        matching: Option<VectorMatching>,
        /// `bool` after a comparison.
        return_bool: bool,
    },
    /// `-expr` or `+expr`.
    Unary {
        /// Minus rather than plus.
        negative: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `(expr)`.
    Paren(Box<Expr>),
}

/// A length of time in a query: fixed, or an expression that is evaluated before the query begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Milliseconds.
    Millis(i64),
    /// An expression over durations, numbers, `step()`, `range()`, `min`, `max`; yields seconds.
    Expr(Box<DurationExpr>),
}

/// An expression in the place of a duration.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// Where it stands.
    pub pos: PosRange,
    /// What it is.
    pub kind: DurationExprKind,
}

/// The kinds of duration expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExprKind {
    /// Seconds; `is_duration` where written with units.
    Number {
        /// Seconds, or a plain number.
        value: f64,
        /// Written with units.
        is_duration: bool,
    },
    /// `step()`: the query's step.
    Step,
    /// `range()`: the query's end less its start.
    Range,
    /// `-x` or `+x`.
    Unary {
        /// Minus rather than plus.
        negative: bool,
        /// The operand.
        expr: Box<DurationExpr>,
    },
    /// `+ - * / % ^`.
    Binary {
        /// Which one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<DurationExpr>,
        /// Right operand.
        rhs: Box<DurationExpr>,
    },
    /// `min(a, b)`.
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max(a, b)`.
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// `(x)`.
    Paren(Box<DurationExpr>),
}

/// `offset` and `@` of a selector or subquery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    /// `offset`; negative looks ahead.
    pub offset: Option<Span>,
    /// `@`.
    pub at: Option<At>,
}

/// The time that `@` fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// The query's start.
    Start,
    /// The query's end.
    End,
}

/// How a window takes the samples around its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Only the samples inside.
    #[default]
    Inside,
    /// `anchored`: the last sample before the window counts as its begin.
    Anchored,
    /// `smoothed`: values at the bounds are interpolated.
    Smoothed,
}

/// What a vector or matrix selector asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The name before the braces, which is in `matchers` too.
    pub name: Option<String>,
    /// All conditions, the name's included.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub modifiers: Modifiers,
    /// `anchored` or `smoothed`.
    pub boundary: Boundary,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
    /// `</`: keep the observations below.
    TrimUpper,
    /// `>/`: keep the observations above.
    TrimLower,
}

/// Aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

/// How many series on either side may match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How two vectors are brought together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorMatching {
    /// How many of each side.
    pub card: Cardinality,
    /// Labels after `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Labels that `group_left` or `group_right` brings along.
    pub include: Vec<String>,
    /// Value for a series missing on the left.
    pub fill_left: Option<f64>,
    /// Value for a series missing on the right.
    pub fill_right: Option<f64>,
}

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Nothing (errors only).
    None,
    /// A number.
    Scalar,
    /// A string.
    String,
    /// One sample per series.
    Vector,
    /// Samples over time per series.
    Matrix,
}

impl BinaryOp {
    /// As written in a query.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    /// Whether it compares, and so filters unless `bool` stands after it.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }

    /// Whether it is `and`, `or` or `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

impl AggregateOp {
    /// As written in a query.
    pub fn name(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Count => "count",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Group => "group",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }
}

impl ValueType {
    /// As the HTTP API names it.
    pub fn short(self) -> &'static str {
        match self {
            ValueType::None => "none",
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
        }
    }

    /// As the documentation names it.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            other => other.short(),
        }
    }
}

impl Expr {
    /// What it yields.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Vector(_) | ExprKind::Aggregate { .. } => ValueType::Vector,
            ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => ValueType::Matrix,
            ExprKind::Call { func, .. } => func.returns,
            ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => expr.value_type(),
            ExprKind::Binary { lhs, rhs, .. } => match lhs.value_type() {
                ValueType::Scalar => rhs.value_type(),
                other => other,
            },
        }
    }

    /// The expression within parentheses.
    pub fn unwrapped(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The expressions directly below.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix { .. } => {
                Vec::new()
            }
            ExprKind::Subquery { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => {
                vec![expr]
            }
            ExprKind::Call { args, .. } => args.iter().collect(),
            ExprKind::Aggregate { expr, param, .. } => {
                param.iter().map(|p| &**p).chain(std::iter::once(&**expr)).collect()
            }
            ExprKind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        }
    }

    /// Levels of the tree. Not recursive.
    pub fn depth(&self) -> usize {
        let (mut deepest, mut todo) = (0, vec![(self, 1)]);
        while let Some((expr, depth)) = todo.pop() {
            deepest = deepest.max(depth);
            todo.extend(expr.children().into_iter().map(|child| (child, depth + 1)));
        }
        deepest
    }
}
