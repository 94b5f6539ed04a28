//! Annotations: warnings and infos that a query gathers, each once, with the place in the query.

use crate::ast::PosRange;
use crate::parser::line_column;
use parking::Guarded;
use std::collections::BTreeSet;

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Warning,
    Info,
}

/// The annotations of one query; shared by all threads that evaluate it.
#[derive(Debug, Default)]
pub(crate) struct Notes(Guarded<BTreeSet<(Level, usize, String)>>);

impl Notes {
    pub(crate) fn add(&self, level: Level, pos: PosRange, text: String) {
        self.0.with(|set| {
            // bounded: a name per series could flood the answer
            if set.len() < MAX_NOTES {
                set.insert((level, pos.start, text));
            }
        });
    }

    pub(crate) fn warn(&self, pos: PosRange, text: impl Into<String>) {
        self.add(Level::Warning, pos, text.into());
    }

    pub(crate) fn info(&self, pos: PosRange, text: impl Into<String>) {
        self.add(Level::Info, pos, text.into());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.with(|set| set.len())
    }

    /// A warning from storage, without a place.
    pub(crate) fn plain(&self, text: String) {
        self.0.with(|set| set.insert((Level::Warning, usize::MAX, text)));
    }

    /// The texts of one level, in the form that the HTTP API shows.
    pub(crate) fn texts(&self, level: Level, query: &str) -> Vec<String> {
        let prefix = if level == Level::Warning { "PromQL warning" } else { "PromQL info" };
        self.0.with(|set| {
            let chosen = set.iter().filter(|(l, _, _)| *l == level);
            chosen
                .map(|(_, start, text)| {
                    if *start == usize::MAX {
                        return text.clone();
                    }
                    let (line, column) =
                        if query.is_empty() { (1, start + 1) } else { line_column(query, *start) };
                    format!("{prefix}: {text} ({line}:{column})")
                })
                .collect()
        })
    }
}

/// Most annotations a query keeps; the HTTP API shows ten of each level.
const MAX_NOTES: usize = 1000;

mod parking {
    //! A mutex that survives a panic of another thread: annotations are only added to.
    use std::sync::{Mutex, PoisonError};

    #[derive(Debug, Default)]
    pub(super) struct Guarded<T>(Mutex<T>);

    impl<T> Guarded<T> {
        pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

/// Says that a metric's name follows in the text.
pub(crate) fn for_metric(text: &str, name: &str) -> String {
    if name.is_empty() {
        return text.to_owned();
    }
    format!("{text} for metric name {}", model::float::quote(name))
}
