//! What scraping reads: both formats through one door.
#![allow(clippy::unwrap_used)] // a test may panic

use expect_test::{Expect, expect};
use exposition::encode::TextEncoder;
use exposition::{Entry, Format, MetricType, Parser, decode_labels, openmetrics};
use proptest::prelude::*;

/// Every entry on a line of its own.
fn entries(text: &[u8], format: Format, expected: &[u8]) -> String {
    let mut parser = Parser::new(text, format);
    let mut told = String::new();
    loop {
        let line = match parser.next(expected) {
            Ok(None) => return told,
            Err(e) => return format!("{told}error: {e}\n"),
            Ok(Some(Entry::Series(s))) => {
                let labels = match decode_labels(s.raw, format) {
                    Ok(labels) => labels.to_string(),
                    Err(cause) => return format!("{told}error: {}\n", parser.error(cause)),
                };
                let time = s.timestamp.map(|t| format!(" at {t}")).unwrap_or_default();
                let exemplar = s.exemplar.map(|e| {
                    let time = e.timestamp.map(|t| format!(" at {t}")).unwrap_or_default();
                    format!(" exemplar {} {}{time}", decode_labels(e.raw, format).unwrap(), e.value)
                });
                format!("{labels} {}{time}{}", s.value, exemplar.unwrap_or_default())
            }
            Ok(Some(Entry::Help(metric, help))) => format!("help {metric} {help:?}"),
            Ok(Some(Entry::Type(metric, kind))) => format!("type {metric} {kind:?}"),
            Ok(Some(Entry::Unit(metric, unit))) => format!("unit {metric} {unit:?}"),
            Ok(Some(Entry::Comment(text))) => format!("comment {:?}", String::from_utf8_lossy(text)),
        };
        told = told + &line + "\n";
    }
}

#[track_caller]
fn check(format: Format, text: &str, expected: Expect) {
    expected.assert_eq(&entries(text.as_bytes(), format, &[]));
}

#[test]
fn text_is_read_leniently() {
    check(
        Format::Text,
        "\n  # a comment\n#HELP none\n#\n# HELP a \\\"A\\\" \\\\ and\\nmore\n# HELP b\n#\tTYPE  a \tcounter\n\
         a{x = \"1\" , } 1 123\n\ta\t{y=\"\"}\t+Inf\t\n# TYPE \"my.m\" gauge\n{\"my.m\",z=\"q\\\"\"} -1e-3\nlast NaN",
        expect![[r##"
            comment "# a comment"
            comment "#HELP none"
            comment "#"
            help a "\\\"A\\\" \\ and\nmore"
            help b ""
            error: line 7: invalid metric type "\tcounter"
        "##]],
    );
    check(
        Format::Text,
        "a{x = \"1\" , } 1 123\n\ta\t{y=\"\"}\t+Inf\t\n# TYPE \"my.m\" gauge\n{\"my.m\",z=\"q\\\"\"} -1e-3\nlast NaN",
        expect![[r#"
            {__name__="a", x="1"} 1 at 123
            {__name__="a"} inf
            type my.m Gauge
            {__name__="my.m", z="q\""} -0.001
            {__name__="last"} NaN
        "#]],
    );
    check(Format::Text, "", expect![[""]]);
}

#[test]
fn text_errors_name_line_and_cause() {
    for (text, expected) in [
        (
            "a 1\n\n-b 2\n",
            expect![[r#"
            {__name__="a"} 1
            error: line 3: expected a metric name or a comment, got "-b 2"
        "#]],
        ),
        (
            "a\n",
            expect![[r#"
            error: line 1: expected a value after the metric, got ""
        "#]],
        ),
        (
            "a 1 2 3\n",
            expect![[r#"
            error: line 1: expected the end of the line after the timestamp, got "3"
        "#]],
        ),
        (
            "a 1 1.5\n",
            expect![[r#"
            error: line 1: invalid timestamp "1.5"
        "#]],
        ),
        (
            "a{x=\"1\"} 0x1\n",
            expect![[r#"
            error: line 1: invalid value "0x1"
        "#]],
        ),
        (
            "a{x=\"1\"\n} 1\n",
            expect![[r#"
            error: line 1: unclosed brace
        "#]],
        ),
        (
            "# TYPE a info\n",
            expect![[r#"
            error: line 1: invalid metric type "info"
        "#]],
        ),
        (
            "# HELP 1 x\n",
            expect![[r#"
            error: line 1: expected a metric name, got "1 x"
        "#]],
        ),
    ] {
        check(Format::Text, text, expected);
    }
}

#[test]
fn openmetrics_is_read() {
    check(
        Format::OpenMetrics,
        "# HELP a_s A \\\"help\\\"\n# TYPE a_s counter\n# UNIT a_s s\na_s_total{x=\"1\"} 1 1.5 # {t=\"a\"} 0.5 1.25\n\
         a_s_created{x=\"1\"} 1e9\n# EOF",
        expect![[r#"
            help a_s "A \"help\""
            type a_s Counter
            unit a_s "s"
            {__name__="a_s_total", x="1"} 1 at 1500 exemplar {t="a"} 0.5 at 1250
            {__name__="a_s_created", x="1"} 1000000000
        "#]],
    );
    for (text, expected) in [
        (
            "a 1\n",
            expect![[r#"
            {__name__="a"} 1
            error: line 2: data does not end with # EOF
        "#]],
        ),
        (
            "a 1",
            expect![[r#"
            error: line 1: data does not end with # EOF
        "#]],
        ),
        (
            "# EOF\na 1\n",
            expect![[r#"
            error: line 1: unexpected data after # EOF
        "#]],
        ),
        (
            "a  1\n# EOF\n",
            expect![[r#"
            error: line 1: expected a space and a value after the metric, got "  1"
        "#]],
        ),
        (
            "# UNIT a s\n# EOF\n",
            expect![[r#"
            error: line 1: unit "s" is not a suffix of metric "a"
        "#]],
        ),
    ] {
        check(Format::OpenMetrics, text, expected);
    }
}

#[test]
fn an_expected_series_is_taken_only_where_it_ends_there() {
    let told = |text: &str, expected: &str| {
        let mut parser = Parser::new(text.as_bytes(), Format::Text);
        match parser.next(expected.as_bytes()).unwrap() {
            Some(Entry::Series(s)) => (String::from_utf8_lossy(s.raw).into_owned(), s.expected, s.value),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told("ab{x=\"1\"} 5\n", "ab{x=\"1\"}"), ("ab{x=\"1\"}".to_owned(), true, 5.0));
    assert_eq!(told("ab 5 100\n", "ab"), ("ab".to_owned(), true, 5.0));
    assert_eq!(told("ab 0.1234567890123456789\n", "ab"), ("ab".to_owned(), true, 0.123_456_789_012_345_68));
    assert_eq!(told("abc 5\n", "ab"), ("abc".to_owned(), false, 5.0));
    assert_eq!(told("ab {x=\"1\"} 5\n", "ab"), ("ab {x=\"1\"}".to_owned(), false, 5.0));
    assert_eq!(told("ab  5", "ab"), ("ab".to_owned(), true, 5.0));
}

fn exposition() -> impl Strategy<Value = String> {
    // pieces of real lines in any order find more than random bytes do
    let piece = prop::sample::select(vec![
        "a",
        "b_total",
        "{",
        "}",
        "x=",
        "\"1\"",
        "\"",
        ",",
        " ",
        "\t",
        "\n",
        "#",
        "# TYPE ",
        "# HELP ",
        "# UNIT ",
        "# EOF",
        "1",
        "-1.5e3",
        "NaN",
        "\\",
        " # {",
        "counter",
        "histogram",
        "ü",
        "_bucket",
        "le=\"+Inf\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in exposition(), expected in exposition()) {
        for input in [bytes.as_slice(), text.as_bytes()] {
            for format in [Format::Text, Format::OpenMetrics] {
                entries(input, format, &[]);
                entries(input, format, expected.as_bytes());
            }
            let _ = openmetrics::validate(input);
        }
    }

    #[test]
    fn expectations_change_nothing(text in exposition(), candidate in exposition()) {
        for format in [Format::Text, Format::OpenMetrics] {
            // Only what was read as a series before is ever expected.
            let before = format!("{candidate} 1\n");
            let mut parser = Parser::new(before.as_bytes(), format);
            let Ok(Some(Entry::Series(series))) = parser.next(&[]) else { continue };
            let all = format!("{before}{text}");
            prop_assert_eq!(entries(all.as_bytes(), format, series.raw), entries(all.as_bytes(), format, &[]));
        }
    }

    #[test]
    fn what_is_encoded_is_read_back(
        help in "\\PC{0,20}", labels in prop::collection::btree_map("[a-z_][a-z0-9_]{0,5}", "[\\PC\n\"\\\\]{1,10}", 0..5),
        value in any::<f64>(), time in prop::option::of(0i64..i64::MAX),
    ) {
        let mut encoder = TextEncoder::default();
        encoder.family("m:x", &help, MetricType::Gauge);
        encoder.sample("m:x", labels.iter().map(|(n, v)| (n.as_str(), v.as_str())), value, time);
        let text = encoder.finish();
        let mut parser = Parser::new(text.as_bytes(), Format::Text);
        prop_assert_eq!(parser.next(&[]).unwrap(), Some(Entry::Help("m:x".into(), help.into())));
        prop_assert_eq!(parser.next(&[]).unwrap(), Some(Entry::Type("m:x".into(), MetricType::Gauge)));
        let Some(Entry::Series(series)) = parser.next(&[]).unwrap() else { panic!("no sample") };
        prop_assert_eq!(series.timestamp, time);
        prop_assert!(series.value.to_bits() == value.to_bits() || series.value.is_nan() && value.is_nan());
        let decoded = decode_labels(series.raw, Format::Text).unwrap();
        let read: Vec<_> = decoded.without_name().iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(read, labels.into_iter().collect::<Vec<_>>());
    }
}
