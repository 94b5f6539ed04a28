//! Memory of answers: a query's result counts among what all queries may hold until its reader has it.

use super::{Engine, QueryError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are held, until it is dropped.
#[derive(Debug)]
pub struct Held {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Relaxed);
    }
}

impl Held {
    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.used.fetch_sub(rest, Relaxed);
        self.bytes -= rest;
    }
}

impl Engine {
    /// Holds so many bytes of what all queries together may have.
    ///
    /// # Errors
    /// Where there is not so much now.
    pub fn hold(&self, bytes: usize, part: &'static str) -> Result<Held, QueryError> {
        let all = self.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let held = Held { used: self.used.clone(), bytes };
        let budget = self.options.memory_budget;
        if budget > 0 && all > budget { Err(QueryError::OverGlobalBudget { budget, part }) } else { Ok(held) }
    }

    /// Bytes that running queries and answers under way hold now.
    pub fn held_bytes(&self) -> usize {
        self.used.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineOptions;

    #[test]
    fn answers_count_until_they_are_gone() {
        let engine = Engine::new(EngineOptions { memory_budget: 100, ..EngineOptions::default() });
        let mut held = engine.hold(60, "an answer").unwrap();
        let refused = engine.hold(41, "an answer").unwrap_err();
        assert!(matches!(refused, QueryError::OverGlobalBudget { budget: 100, part: "an answer" }));
        assert_eq!(engine.held_bytes(), 60);
        held.shrink_to(10);
        held.shrink_to(20);
        assert_eq!(engine.held_bytes(), 10);
        drop(held);
        assert_eq!(engine.held_bytes(), 0);
    }
}
