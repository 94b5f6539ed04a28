//! `promtool promql`: prints queries anew, in lines of a readable length or with other matchers.

use crate::{Failure, Outcome};
use clap::{Args, Subcommand};
use model::{MatchOp, Matcher};
use promql::Features;
use promql::ast::{Expr, ExprKind, VectorSelector};

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
        Subcommands::Format { query } => println!("{}", promql::pretty(&parse(query)?)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_changed_everywhere() {
        let mut expr = promql::parse(r#"a{x="1"} + sum(rate(b{x!="2",y="3"}[5m]))"#).unwrap();
        selectors(&mut expr, &mut |s| s.matchers.retain(|m| m.name != "x"));
        assert_eq!(expr.to_string(), r#"a + sum(rate(b{y="3"}[5m]))"#);
    }
}
