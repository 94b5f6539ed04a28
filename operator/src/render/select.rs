//! Label selectors as Kubernetes evaluates them.

use crds::select::{LabelRequirement, LabelSelector};
use std::collections::BTreeMap;

/// Why a selector is none. The texts are those that the API gives for selectors of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// An operator that needs values has none.
    #[error("values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty")]
    NoValues,
    /// An operator that takes no values has some.
    #[error("values: Invalid value: values set must be empty for exists and does not exist")]
    Values,
    /// An unknown operator.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}

/// A checked selector.
#[derive(Clone, Debug)]
pub struct Selector<'a> {
    labels: Option<&'a BTreeMap<String, String>>,
    /// Requirements with the operator resolved.
    pub(crate) requirements: Vec<(&'a LabelRequirement, Operator)>,
}

/// The operator of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl<'a> Selector<'a> {
    /// Checks a selector.
    ///
    /// # Errors
    /// Where a requirement is none.
    pub fn new(selector: &'a LabelSelector) -> Result<Self, SelectorError> {
        let requirements = selector.match_expressions.iter().flatten();
        let requirements: Result<Vec<_>, _> = requirements.map(|r| Ok((r, operator(r)?))).collect();
        Ok(Selector { labels: selector.match_labels.as_ref(), requirements: requirements? })
    }

    /// Labels that must be equal, by name.
    pub(crate) fn equalities(&self) -> impl Iterator<Item = (&'a String, &'a String)> + use<'a> {
        self.labels.into_iter().flatten()
    }

    /// Whether an object with these labels is chosen.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.equalities().all(|(name, value)| labels.get(name) == Some(value))
            && self.requirements.iter().all(|(requirement, operator)| {
                let value = labels.get(&requirement.key);
                let listed = || requirement.values.iter().flatten().any(|v| Some(v) == value);
                match operator {
                    Operator::In => listed(),
                    Operator::NotIn => !listed(),
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }
}

fn operator(requirement: &LabelRequirement) -> Result<Operator, SelectorError> {
    let empty = requirement.values.as_ref().is_none_or(Vec::is_empty);
    let (operator, takes_values) = match requirement.operator.as_str() {
        "In" => (Operator::In, true),
        "NotIn" => (Operator::NotIn, true),
        "Exists" => (Operator::Exists, false),
        "DoesNotExist" => (Operator::DoesNotExist, false),
        other => return Err(SelectorError::Operator(other.to_owned())),
    };
    match (takes_values, empty) {
        (true, true) => Err(SelectorError::NoValues),
        (false, false) => Err(SelectorError::Values),
        _ => Ok(operator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let selector: LabelSelector = serde_yaml::from_str(selector).unwrap();
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(Selector::new(&selector).unwrap().matches(&labels), expected);
    }

    #[test]
    fn requirements_must_all_hold() {
        check("{}", &[], true);
        check("{matchLabels: {a: x}}", &[("a", "x"), ("b", "y")], true);
        check("{matchLabels: {a: x}}", &[("a", "y")], false);
        let not_in = "{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}";
        check(not_in, &[("a", "x")], false);
        check(not_in, &[], true);
        check("{matchExpressions: [{key: a, operator: In, values: [x, y]}]}", &[("a", "y")], true);
        check("{matchExpressions: [{key: a, operator: Exists}]}", &[], false);
        check("{matchExpressions: [{key: a, operator: DoesNotExist}]}", &[("b", "")], true);
    }

    #[test]
    fn bad_requirements_are_refused() {
        let selector: LabelSelector =
            serde_yaml::from_str("{matchExpressions: [{key: a, operator: In}]}").unwrap();
        assert_eq!(Selector::new(&selector).unwrap_err(), SelectorError::NoValues);
        let selector: LabelSelector =
            serde_yaml::from_str("{matchExpressions: [{key: a, operator: Near}]}").unwrap();
        assert_eq!(Selector::new(&selector).unwrap_err(), SelectorError::Operator("Near".to_owned()));
    }
}
