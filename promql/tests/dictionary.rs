//! The dictionary of the fuzz target has every function.

use promql::functions::FUNCTIONS;

#[test]
fn has_every_function() {
    let words: Vec<&str> = include_str!("../../fuzz/promql.dict").lines().collect();
    for function in FUNCTIONS {
        let word = format!("\"{}\"", function.name);
        assert!(words.contains(&word.as_str()), "{word} is missing in fuzz/promql.dict");
    }
}
