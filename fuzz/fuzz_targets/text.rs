//! The text format: no bytes make the parser panic, and what it decodes stays the same when it is expected.
#![no_main]

use exposition::{Entry, Format, Parser, decode_labels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parser = Parser::new(bytes, Format::Text);
    let mut last: &[u8] = &[];
    while let Ok(Some(entry)) = parser.next(last) {
        if let Entry::Series(series) = entry {
            let Ok(labels) = decode_labels(series.raw, Format::Text) else { break };
            if series.expected {
                assert_eq!(labels, decode_labels(last, Format::Text).unwrap());
            }
            last = series.raw;
        }
    }
});
