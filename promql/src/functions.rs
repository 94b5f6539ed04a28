//! The table of functions: names, argument types, results.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function as the parser knows it.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of the arguments; where [`Function::variadic`] is not 0 the last one repeats or may be left out.
    pub args: &'static [ValueType],
    /// 0: exactly the arguments above. Positive: up to so many beyond the required ones (all but the last).
    /// Negative: any number beyond them.
    pub variadic: i32,
    /// What it yields.
    pub returns: ValueType,
    /// Only with the feature flag for experimental functions.
    pub experimental: bool,
}

impl Function {
    /// Finds a function by its name.
    pub fn find(name: &str) -> Option<&'static Function> {
        FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|at| &FUNCTIONS[at])
    }
}

const fn stable(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i32,
    returns: ValueType,
) -> Function {
    Function { name, args, variadic, returns, experimental: false }
}

const fn experimental(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i32,
    returns: ValueType,
) -> Function {
    Function { name, args, variadic, returns, experimental: true }
}

const V: &[ValueType] = &[Vector];
const M: &[ValueType] = &[Matrix];

/// All functions, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    stable("abs", V, 0, Vector),
    stable("absent", V, 0, Vector),
    stable("absent_over_time", M, 0, Vector),
    stable("acos", V, 0, Vector),
    stable("acosh", V, 0, Vector),
    stable("asin", V, 0, Vector),
    stable("asinh", V, 0, Vector),
    stable("atan", V, 0, Vector),
    stable("atanh", V, 0, Vector),
    stable("avg_over_time", M, 0, Vector),
    stable("ceil", V, 0, Vector),
    stable("changes", M, 0, Vector),
    stable("clamp", &[Vector, Scalar, Scalar], 0, Vector),
    stable("clamp_max", &[Vector, Scalar], 0, Vector),
    stable("clamp_min", &[Vector, Scalar], 0, Vector),
    stable("cos", V, 0, Vector),
    stable("cosh", V, 0, Vector),
    stable("count_over_time", M, 0, Vector),
    stable("day_of_month", V, 1, Vector),
    stable("day_of_week", V, 1, Vector),
    stable("day_of_year", V, 1, Vector),
    stable("days_in_month", V, 1, Vector),
    stable("deg", V, 0, Vector),
    stable("delta", M, 0, Vector),
    stable("deriv", M, 0, Vector),
    experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], 0, Vector),
    experimental("end", &[], 0, Scalar),
    stable("exp", V, 0, Vector),
    stable("first_over_time", M, 0, Vector),
    stable("floor", V, 0, Vector),
    stable("histogram_avg", V, 0, Vector),
    stable("histogram_count", V, 0, Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], 0, Vector),
    stable("histogram_quantile", &[Scalar, Vector], 0, Vector),
    experimental("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9, Vector),
    stable("histogram_stddev", V, 0, Vector),
    stable("histogram_stdvar", V, 0, Vector),
    stable("histogram_sum", V, 0, Vector),
    stable("hour", V, 1, Vector),
    stable("idelta", M, 0, Vector),
    stable("increase", M, 0, Vector),
    experimental("info", &[Vector, Vector], 1, Vector),
    stable("irate", M, 0, Vector),
    stable("label_join", &[Vector, String, String, String], -1, Vector),
    stable("label_replace", &[Vector, String, String, String, String], 0, Vector),
    stable("last_over_time", M, 0, Vector),
    stable("ln", V, 0, Vector),
    stable("log10", V, 0, Vector),
    stable("log2", V, 0, Vector),
    experimental("mad_over_time", M, 0, Vector),
    experimental("max_of", &[Scalar, Scalar], 0, Scalar),
    stable("max_over_time", M, 0, Vector),
    experimental("min_of", &[Scalar, Scalar], 0, Scalar),
    stable("min_over_time", M, 0, Vector),
    stable("minute", V, 1, Vector),
    stable("month", V, 1, Vector),
    stable("pi", &[], 0, Scalar),
    stable("predict_linear", &[Matrix, Scalar], 0, Vector),
    stable("present_over_time", M, 0, Vector),
    stable("quantile_over_time", &[Scalar, Matrix], 0, Vector),
    stable("rad", V, 0, Vector),
    experimental("range", &[], 0, Scalar),
    stable("rate", M, 0, Vector),
    stable("resets", M, 0, Vector),
    stable("round", &[Vector, Scalar], 1, Vector),
    stable("scalar", V, 0, Scalar),
    stable("sgn", V, 0, Vector),
    stable("sin", V, 0, Vector),
    stable("sinh", V, 0, Vector),
    stable("sort", V, 0, Vector),
    experimental("sort_by_label", &[Vector, String], -1, Vector),
    experimental("sort_by_label_desc", &[Vector, String], -1, Vector),
    stable("sort_desc", V, 0, Vector),
    stable("sqrt", V, 0, Vector),
    experimental("start", &[], 0, Scalar),
    experimental("start_timestamp", V, 0, Vector),
    stable("stddev_over_time", M, 0, Vector),
    stable("stdvar_over_time", M, 0, Vector),
    experimental("step", &[], 0, Scalar),
    stable("sum_over_time", M, 0, Vector),
    stable("tan", V, 0, Vector),
    stable("tanh", V, 0, Vector),
    stable("time", &[], 0, Scalar),
    stable("timestamp", V, 0, Vector),
    experimental("ts_of_first_over_time", M, 0, Vector),
    experimental("ts_of_last_over_time", M, 0, Vector),
    experimental("ts_of_max_over_time", M, 0, Vector),
    experimental("ts_of_min_over_time", M, 0, Vector),
    stable("vector", &[Scalar], 0, Vector),
    stable("year", V, 1, Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_complete() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].name < w[1].name));
        assert_eq!(FUNCTIONS.len(), 90);
        for f in FUNCTIONS {
            assert!(Function::find(f.name).is_some_and(|found| std::ptr::eq(found, f)));
        }
    }
}
