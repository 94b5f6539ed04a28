//! What targets send: the exposition formats.

use exposition::{Entry, Format, Parser, decode_labels};

/// No bytes make the text parser panic, and what it decodes stays the same when it is expected.
pub fn text(bytes: &[u8]) {
    let mut parser = Parser::new(bytes, Format::Text);
    let mut last: &[u8] = &[];
    while let Ok(Some(entry)) = parser.next(last) {
        if let Entry::Series(series) = entry {
            let Ok(labels) = decode_labels(series.raw, Format::Text) else { break };
            if series.expected {
                assert_eq!(Ok(labels), decode_labels(last, Format::Text));
            }
            last = series.raw;
        }
    }
}

/// No bytes make parser or validator of OpenMetrics panic, and what the validator accepts the parser reads.
pub fn openmetrics(bytes: &[u8]) {
    let valid = exposition::openmetrics::validate(bytes);
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
}

/// A page with all that the format has.
pub fn text_seeds() -> Vec<Vec<u8>> {
    let page = "# HELP up Whether \\\\ it \\n is.\n# TYPE up gauge\nup{job=\"a\",path=\"C:\\\\x\\\"\\n\"} 1 1700000000000\n\
                {\"quoted name\",\"l l\"=\"v\"} NaN\nh_bucket{le=\"+Inf\",} 3e-7\n";
    vec![page.as_bytes().to_vec()]
}

/// The same for OpenMetrics.
pub fn openmetrics_seeds() -> Vec<Vec<u8>> {
    let page = "# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a b\na_total{x=\"y\"} 17.0 1520879607.789 # {trace_id=\"z\"} 0.5\n\
                a_created{x=\"y\"} 1520872607.123\n# TYPE h histogram\nh_bucket{le=\"1.0\"} 0\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n# EOF\n";
    vec![page.as_bytes().to_vec()]
}
