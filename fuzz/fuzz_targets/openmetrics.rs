//! OpenMetrics: no bytes make parser or validator panic, and what the validator accepts the parser reads.
#![no_main]

use exposition::{Format, Parser, openmetrics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let valid = openmetrics::validate(bytes);
    let mut parser = Parser::new(bytes, Format::OpenMetrics);
    loop {
        match parser.next(&[]) {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                assert!(valid.is_err(), "validated, but not read: {error}");
                break;
            }
        }
    }
});
