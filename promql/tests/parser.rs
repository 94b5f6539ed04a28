//! The parser and the printer, by table.

use promql::{Features, parse, parse_selector, parse_with};

#[track_caller]
fn check(text: &str, canonical: &str) {
    let expr = parse_with(text, &Features::all()).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(expr.to_string(), canonical, "{text}");
    let again = parse_with(canonical, &Features::all()).unwrap_or_else(|e| panic!("{canonical}: {e}"));
    assert_eq!(again.to_string(), canonical, "the printed form of {text} is stable");
}

#[test]
fn canonical_forms() {
    for (text, canonical) in [
        ("1", "1"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        (".5e-3", "0.0005"),
        ("5m", "5m"),
        ("-Inf", "-Inf"),
        ("1 + 2 * 3 ^ 2 ^ 2", "1 + 2 * 3 ^ 2 ^ 2"),
        ("-2 ^ 2", "-2 ^ 2"),
        ("up", "up"),
        ("sum", "sum"),
        ("a:b:c{}", "a:b:c"),
        ("up{job='x', a!~\"y.*\",}", "up{a!~\"y.*\",job=\"x\"}"),
        ("{\"metric.name\", \"label.name\"=\"v\"}", "{\"label.name\"=\"v\",__name__=\"metric.name\"}"),
        ("{__name__=~\"a.+\"}", "{__name__=~\"a.+\"}"),
        ("foo[5m] offset -1w @ 10.5", "foo[5m] @ 10.500 offset -1w"),
        ("foo @ start() offset 1h30m", "foo @ start() offset 1h30m"),
        ("rate(foo[5m])[1h:]", "rate(foo[5m])[1h:]"),
        ("rate(foo[5m])[1h:30s] offset 1d @ end()", "rate(foo[5m])[1h:30s] @ end() offset 1d"),
        ("sum(x) by (b, a)", "sum by (b, a) (x)"),
        ("sum without(a) (x)", "sum without (a) (x)"),
        ("topk(3, x)", "topk(3, x)"),
        ("count_values by (a) ('v', x)", "count_values by (a) (\"v\", x)"),
        ("a + on(x) group_left(y) b", "a + on (x) group_left (y) b"),
        ("a + ignoring(x) group_right b", "a + ignoring (x) group_right () b"),
        ("a == bool b", "a == bool b"),
        ("a AND ON() b Or c unless d", "a and on () b or c unless d"),
        ("a + fill(0) b", "a + fill (0) b"),
        ("a + on(x) fill_left(1) fill_right(-2) b", "a + on (x) fill_left (1) fill_right (-2) b"),
        ("rate(x[1m] anchored)", "rate(x[1m] anchored)"),
        ("x smoothed offset 5m", "x smoothed offset 5m"),
        ("x[2m*(10+5)]", "x[2m * (10 + 5)]"),
        ("x[step()+1:max_of(1m,range())]", "x[step() + 1:max_of(1m, range())]"),
        ("x offset -(2 ^ 2)", "x offset -(2 ^ 2)"),
        ("x offset 100 + 2", "x offset 1m40s + 2"),
        ("h </ 5 >/ 1", "h </ 5 >/ 1"),
        ("- foo", "-foo"),
        ("foo # comment\n + bar", "foo + bar"),
        ("\"a\\n\\x41\\u00fc\\xc5\"", "\"a\\nAü\\xc5\""),
        ("`a\\n`", "\"a\\\\n\""),
        ("start() - 1", "start() - 1"),
        ("info(x, {a=~\".*\"})", "info(x, {a=~\".*\"})"),
        ("info(x, { })", "info(x, {})"),
    ] {
        check(text, canonical);
    }
}

#[test]
fn refusals() {
    for (text, error) in [
        ("", "unknown position: parse error: no expression found in input"),
        ("# only", "unknown position: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("foo bar", "1:5: parse error: unexpected identifier \"bar\""),
        ("\nfoo ==", "2:7: parse error: unexpected end of input"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo{a", "1:6: parse error: unexpected end of input inside braces"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("a and on(x) group_left b", "1:1: parse error: no grouping allowed for \"and\" operation"),
        (
            "a[5m] + b",
            "1:1: parse error: binary expression must contain only scalar and instant vector types",
        ),
        (
            "rate(a)",
            "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"),
        ("nope(a)", "1:1: parse error: unknown function with name \"nope\""),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("foo[0]", "1:5: parse error: duration must be greater than 0"),
        ("foo offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"),
        ("\"abc", "1:1: parse error: unterminated quoted string"),
        ("5x", "1:1: parse error: bad number or duration syntax: \"5x\""),
        (
            "a + on(x) group_left(x) b",
            "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
    ] {
        match parse(text) {
            Ok(expr) => panic!("{text} parsed as {expr}"),
            Err(e) => assert_eq!(e.to_string(), error, "{text}"),
        }
    }
}

#[test]
fn trees_as_json() {
    let expr = parse("sum by (a) (rate(x{b!=\"c\"}[5m] offset 1m)) > on(a) group_left y @ end()").unwrap();
    let json = promql::to_json(&expr);
    assert_eq!(json["type"], "binaryExpr");
    assert_eq!(json["matching"]["card"], "many-to-one");
    let rate = &json["lhs"]["expr"];
    assert_eq!(rate["func"]["name"], "rate");
    assert_eq!((&rate["args"][0]["range"], &rate["args"][0]["offset"]), (&300_000.into(), &60_000.into()));
    assert_eq!(rate["args"][0]["matchers"][0]["type"], "!=");
    assert_eq!(json["rhs"]["startOrEnd"], "end");
}

#[test]
fn optional_features_are_off() {
    for text in ["limitk(1, x)", "info(x)", "a + fill(0) b", "x smoothed", "rate(x[1m] anchored)"] {
        assert!(parse(text).is_err() && parse_with(text, &Features::all()).is_ok(), "{text}");
    }
}

#[test]
fn selectors_of_the_http_api() {
    assert_eq!(parse_selector("up{job=\"x\"}").unwrap().len(), 2);
    for text in ["up offset 5m", "rate(up[5m])", "1", "{}"] {
        assert!(parse_selector(text).is_err(), "{text}");
    }
}

#[test]
fn deep_input_is_refused_not_overflowed() {
    for text in [
        "(".repeat(100_000) + "1" + &")".repeat(100_000),
        "-".repeat(100_000) + "a",
        "a".to_owned() + &" + a".repeat(100_000),
        "a".to_owned() + &"^a".repeat(100_000),
        "x[".to_owned() + &"(".repeat(100_000),
        "abs(".repeat(100_000),
        "x".to_owned() + &"[5m:]".repeat(100_000),
        "sum by (a) (".repeat(5_000) + "x" + &")".repeat(5_000),
    ] {
        assert!(parse(&text).is_err(), "{}…", &text[..20]);
    }
    let long = "a".to_owned() + &" or a".repeat(900);
    assert_eq!(parse(&long).unwrap().to_string(), long);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Pieces of the grammar in any order either parse, and then print to something that parses, or fail.
    #[test]
    fn any_pieces_parse_or_fail(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12)) {
        let text = pieces.concat();
        if let Ok(expr) = parse_with(&text, &Features::all()) {
            let canonical = expr.to_string();
            let again = parse_with(&canonical, &Features::all());
            proptest::prop_assert!(again.is_ok(), "{text:?} -> {canonical:?}: {again:?}");
        }
    }

    #[test]
    fn any_text_parses_or_fails(text in "\\PC*") {
        let _ = parse_with(&text, &Features::all());
    }
}

const PIECES: &[&str] = &[
    "a",
    "up",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    ",",
    "=",
    "=~",
    "!=",
    "\"x\"",
    "'y'",
    "`z`",
    " ",
    "5m",
    "1",
    "0x1",
    "1e3",
    "_",
    " + ",
    " - ",
    "*",
    "/",
    "^",
    "%",
    " and ",
    " or ",
    " unless ",
    " on",
    " ignoring",
    " group_left",
    " bool ",
    "sum",
    " by",
    " without",
    "topk",
    "rate",
    "abs",
    " offset ",
    " @ ",
    "start()",
    "end()",
    "step()",
    "#",
    "\n",
    "anchored",
    " smoothed",
    "</",
    ">/",
    "<",
    ">",
    "==",
    "fill",
    "(0)",
    "[5m]",
    "[5m:1m]",
    "{a=\"b\"}",
    "rate(x[5m])",
    "min_of(1,2)",
    "inf",
    "NaN",
    "ü",
    "\\",
    "\"\\xff\"",
    "info(",
    "$",
    "!",
];

/// Input may nest as deeply as it likes: the answer is an error, or a tree that can be printed and dropped.
#[test]
fn deep_input() {
    let n = 100_000;
    for text in [
        "(".repeat(n) + "1" + &")".repeat(n),
        "(".repeat(n),
        "-".repeat(n) + "1",
        "abs(".repeat(n) + "x" + &")".repeat(n),
        "1 + ".repeat(n) + "1",
        "2 ^ ".repeat(n) + "1",
        "x[".repeat(n),
        "x".to_owned() + &"[1m:]".repeat(n),
        format!("x[{}1m{}]", "(".repeat(n), ")".repeat(n)),
        format!("x[{}1m]", "-".repeat(n)),
        format!("x[{}1m]", "1m + ".repeat(n)),
        format!("x offset {}1m", "-".repeat(n)),
        "sum(".repeat(n) + "x" + &")".repeat(n),
        "{".repeat(n),
        "x or ".repeat(n) + "x",
    ] {
        if let Ok(expr) = promql::parse_with(&text, &promql::Features::all()) {
            assert!(!promql::pretty(&expr).is_empty());
        }
    }
}
