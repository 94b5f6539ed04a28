//! `promtool promql`: prints queries anew, in lines of a readable length or with other matchers.

use crate::{Failure, Outcome};
use clap::{Args, Subcommand};
use model::{MatchOp, Matcher};
use promql::Features;
use promql::ast::{Expr, ExprKind, VectorSelector};

/// Longest expression that stays on one line, in bytes.
const MAX_LINE: usize = 100;
/// Indentation of one level.
const INDENT: &str = "  ";

#[derive(Subcommand, Debug)]
pub(crate) enum Subcommands {
    /// Print a query in lines of a readable length.
    Format {
        /// The query.
        query: String,
    },
    /// Change the matchers of all selectors of a query.
    #[command(subcommand)]
    LabelMatchers(LabelMatchers),
}

#[derive(Subcommand, Debug)]
pub(crate) enum LabelMatchers {
    /// Set a matcher.
    Set(Set),
    /// Remove a label's matchers.
    Delete {
        /// The query.
        query: String,
        /// Name of the label.
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// How to compare: =, !=, =~ or !~.
    #[arg(short = 't', long = "type", default_value = "=", value_parser = operator)]
    op: MatchOp,
    /// The query.
    query: String,
    /// Name of the label.
    name: String,
    /// What it is compared with.
    value: String,
}

fn operator(text: &str) -> Result<MatchOp, String> {
    match text {
        "=" => Ok(MatchOp::Equal),
        "!=" => Ok(MatchOp::NotEqual),
        "=~" => Ok(MatchOp::Regex),
        "!~" => Ok(MatchOp::NotRegex),
        _ => Err(format!("enum value must be one of =,!=,=~,!~, got '{text}'")),
    }
}

pub(crate) fn run(command: &Subcommands, features: &Features) -> Outcome {
    let parse = |query: &str| promql::parse_with(query, features).map_err(Failure::new);
    match command {
        Subcommands::Format { query } => println!("{}", pretty(&parse(query)?, 0)),
        Subcommands::LabelMatchers(LabelMatchers::Set(set)) => {
            let mut expr = parse(&set.query)?;
            let matcher =
                Matcher::new(set.op, set.name.as_str(), set.value.as_str()).map_err(Failure::new)?;
            selectors(&mut expr, &mut |selector| {
                let mut found = false;
                for held in selector.matchers.iter_mut().filter(|m| m.name == set.name) {
                    held.clone_from(&matcher);
                    found = true;
                }
                if !found {
                    selector.matchers.push(matcher.clone());
                }
                if set.name == model::labels::METRIC_NAME {
                    selector.name = None; // what stood before the braces no longer holds
                }
            });
            println!("{expr}");
        }
        Subcommands::LabelMatchers(LabelMatchers::Delete { query, name }) => {
            let mut expr = parse(query)?;
            selectors(&mut expr, &mut |selector| selector.matchers.retain(|m| m.name != *name));
            println!("{expr}");
        }
    }
    Ok(())
}

/// Calls `change` for all selectors.
fn selectors(expr: &mut Expr, change: &mut dyn FnMut(&mut VectorSelector)) {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => change(selector),
        ExprKind::Subquery { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => {
            selectors(expr, change);
        }
        ExprKind::Call { args, .. } => args.iter_mut().for_each(|arg| selectors(arg, change)),
        ExprKind::Aggregate { expr, param, .. } => {
            if let Some(param) = param {
                selectors(param, change);
            }
            selectors(expr, change);
        }
        ExprKind::Binary { lhs, rhs, .. } => {
            selectors(lhs, change);
            selectors(rhs, change);
        }
    }
}

/// An expression over as many lines as it takes.
fn pretty(expr: &Expr, level: usize) -> String {
    let whole = expr.to_string();
    let indent = INDENT.repeat(level);
    let line = format!("{indent}{whole}");
    // what a part is in the whole text tells what stands around it
    if let ExprKind::Unary { negative, expr } = &expr.kind {
        let sign = if *negative { '-' } else { '+' };
        return format!("{indent}{sign}{}", pretty(expr, level).trim());
    }
    if whole.len() <= MAX_LINE {
        return line;
    }
    match &expr.kind {
        ExprKind::Binary { lhs, rhs, .. } => {
            let (left, right) = (lhs.to_string(), rhs.to_string());
            let operator =
                whole.strip_prefix(left.as_str()).and_then(|rest| rest.strip_suffix(right.as_str()));
            let operator = operator.unwrap_or_default().trim();
            format!("{}\n{indent}{operator}\n{}", pretty(lhs, level + 1), pretty(rhs, level + 1))
        }
        ExprKind::Aggregate { expr: inner, param, .. } => {
            let args = match param {
                Some(param) => format!("({param}, {inner})"),
                None => format!("({inner})"),
            };
            let head = whole.strip_suffix(args.as_str()).unwrap_or_default();
            let param = param.as_ref().map(|p| pretty(p, level + 1) + ",\n").unwrap_or_default();
            format!("{indent}{head}(\n{param}{}\n{indent})", pretty(inner, level + 1))
        }
        ExprKind::Call { func, args } => {
            let args: Vec<String> = args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", func.name, args.join(",\n"))
        }
        ExprKind::Subquery { expr: inner, .. } => {
            let suffix = whole.strip_prefix(inner.to_string().as_str()).unwrap_or_default().to_owned();
            pretty(inner, level) + &suffix
        }
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn long_queries_are_broken() {
        let query = r#"histogram_quantile(0.9, sum by(le) (rate(a_really_long_metric_name_bucket{label="value",other="value2"}[5m]))) > bool 5 and on() topk(3, -(max_over_time(some_other_really_long_metric_name_with_many_words{label="value",other="value2"}[1h:5m] offset 1d)))"#;
        expect![[r#"
                histogram_quantile(
                  0.9,
                  sum by (le) (rate(a_really_long_metric_name_bucket{label="value",other="value2"}[5m]))
                )
              > bool
                5
            and on ()
              topk(
                3,
                -(
                  max_over_time(
                    some_other_really_long_metric_name_with_many_words{label="value",other="value2"}[1h:5m] offset 1d
                  )
                )
              )"#]]
        .assert_eq(&pretty(&promql::parse(query).unwrap(), 0));
        assert_eq!(pretty(&promql::parse("a+1000000").unwrap(), 0), "a + 1000000");
    }

    #[test]
    fn matchers_are_changed_everywhere() {
        let mut expr = promql::parse(r#"a{x="1"} + sum(rate(b{x!="2",y="3"}[5m]))"#).unwrap();
        selectors(&mut expr, &mut |s| s.matchers.retain(|m| m.name != "x"));
        assert_eq!(expr.to_string(), r#"a + sum(rate(b{y="3"}[5m]))"#);
    }
}
