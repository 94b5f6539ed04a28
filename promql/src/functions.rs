//! The table of functions: names, argument types, results.

/// A function as the parser knows it.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
}
