//! Go's text templates, with the functions that Prometheus adds, as annotations and labels of alerts use them.
//!
//! A text is parsed ([`Template::parse`]) and then executed with data. Numbers, texts and errors have the forms of the
//! original. What is missing: methods of times, and functions as values.

mod exec;
mod format;
mod funcs;
mod human;
mod lex;
mod parse;
mod value;

pub use value::Value;

use std::collections::BTreeMap;

/// Most bytes that a template may make.
const MAX_OUTPUT: usize = 1 << 20;
/// Deepest nesting of templates that call others.
const MAX_DEPTH: usize = 100;

/// What is wrong with a template, or went wrong in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct Error {
    name: String,
    line: usize,
    message: String,
}

impl Error {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Error { name: String::new(), line, message: message.into() }
    }

    fn of(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    trees: parse::Trees,
}

/// What templates may ask about.
pub struct Context<'a> {
    /// Milliseconds since the epoch, for `now`.
    pub now_ms: i64,
    /// Where the server is reached from outside.
    pub external_url: &'a str,
    /// Evaluates a query: its samples, see [`sample`].
    pub query: &'a dyn Fn(&str) -> Result<Vec<Value>, String>,
}

impl Template {
    /// Parses a text; `name` stands in errors.
    ///
    /// # Errors
    /// The first mistake and its line.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let trees = parse::parse(name, text).map_err(|e| e.of(name))?;
        Ok(Template { name: name.to_owned(), trees })
    }

    /// Executes it: `data` is what the dot stands for.
    ///
    /// # Errors
    /// Where a function fails, a field is missing or types do not go together.
    pub fn execute(&self, data: &Value, context: &Context<'_>) -> Result<String, Error> {
        exec::execute(&self.trees, &self.name, data, context).map_err(|e| e.of(&self.name))
    }
}

/// A sample of a query's answer, as templates see it.
pub fn sample(labels: BTreeMap<String, String>, value: Value) -> Value {
    funcs::sample(labels, value)
}

#[cfg(test)]
mod tests;
