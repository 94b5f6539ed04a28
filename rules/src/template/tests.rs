//! Templates as people write them in rules, and those that are wrong.

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn expand(text: &str) -> Result<String, String> {
    let query = |query: &str| -> Result<Vec<Value>, String> {
        match query {
            "up" => Ok(vec![
                sample(labels(&[("instance", "b")]), Value::Float(11.0)),
                sample(labels(&[("instance", "a")]), Value::Float(21.0)),
            ]),
            "none" => Ok(Vec::new()),
            other => Err(format!("no such query {other}")),
        }
    };
    let context = Context { now_ms: 1_700_000_000_500, external_url: "http://h:9090/p", query: &query };
    let data = Value::Struct(
        "data",
        vec![("Labels", Value::Labels(labels(&[("job", "x"), ("n", "2")]))), ("Value", Value::Float(1234.5))],
    );
    let template = Template::parse("t", text).map_err(|e| e.to_string())?;
    template.execute(&data, &context).map_err(|e| e.to_string())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let got = expand(text).unwrap_or_else(|e| e);
        assert_eq!(got, *expected, "{text}");
    }
}

#[test]
fn values_and_pipes() {
    check(&[
        ("plain {} text", "plain {} text"),
        ("{{ .Labels.job }} {{ .Value }} {{.Labels.none}}|", "x 1234.5 |"),
        ("{{ $v := .Value }}{{ $v | humanize }}", "1.234k"),
        ("{{ $v := 1 }}{{ if true }}{{ $v = 2 }}{{ $v := 3 }}{{ $v }}{{ end }}{{ $v }}", "32"),
        ("a  {{- 1 -}}  b {{- /* note */ -}} c", "a1bc"),
        (
            "{{ \"q\\\"\\n\" }}{{ `raw\\n` }}{{ 'a' }}{{ 0x10 }}{{ 1e3 }}{{ -2 }}{{ nil }}",
            "q\"\nraw\\n97161000-2<no value>",
        ),
        (
            "{{ printf \"%.1f %s\" .Value \"x\" }} {{ print 1 2 \"a\" 3 }} {{ len \"abc\" }}",
            "1234.5 x 1 2a3 3",
        ),
        (
            "{{ (index .Labels \"job\") }}{{ index \"abc\" 1 }}{{ slice \"abc\" 1 }}{{ slice \"abc\" 1 2 }}",
            "x98bcb",
        ),
        ("{{ html \"<a>\" }} {{ urlquery \"a b\" }} {{ js \"it's\" }}", "&lt;a&gt; a+b it\\'s"),
        ("{{ 1 | printf \"%d-%d\" 0 }}", "0-1"),
        ("{{ .Labels }}", "map[job:x n:2]"),
    ]);
}

#[test]
fn branches_and_loops() {
    check(&[
        ("{{ if eq .Labels.job \"x\" \"y\" }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if and (gt .Value 1.5) (not false) }}a{{ else if true }}b{{ end }}", "a"),
        ("{{ if or \"\" 0 }}a{{ else if 1 }}b{{ else }}c{{ end }}", "b"),
        ("{{ with .Labels.job }}{{ . }}{{ end }}{{ with .Labels.none }}x{{ else }}-{{ end }}", "x-"),
        (
            "{{ range $i, $s := query \"up\" }}{{ $i }}={{ $s.Labels.instance }}:{{ $s | value }} {{ end }}",
            "0=b:11 1=a:21 ",
        ),
        ("{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Value }},{{ end }}", "21,11,"),
        ("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"),
        (
            "{{ range $k, $v := .Labels }}{{ $k }}{{ $v }}{{ if eq $k \"job\" }}{{ continue }}{{ end }};{{ end }}",
            "jobxn2;",
        ),
        ("{{ range 3 }}{{ . }}{{ if eq . 1 }}{{ break }}{{ end }}{{ end }}", "01"),
        ("{{ define \"d\" }}<{{ . }}>{{ end }}{{ template \"d\" 5 }}{{ tmpl \"d\" \"x\" }}", "<5><x>"),
        ("{{ block \"b\" 1 }}[{{ . }}]{{ end }}", "[1]"),
        ("{{ query \"up\" | first | label \"instance\" }}", "b"),
        ("{{ range args 7 8 }}{{ . }}{{ end }}{{ with args 7 8 }}{{ .arg1 }}{{ end }}", "788"),
    ]);
}

#[test]
fn functions_for_alerts() {
    check(&[
        (
            "{{ humanizePercentage 0.1234 }} {{ humanizeDuration \"3661\" }} {{ humanize1024 2048 }}",
            "12.34% 1h 1m 1s 2ki",
        ),
        (
            "{{ humanizeTimestamp 1435065584.128 }} {{ now }}",
            "2015-06-23 13:19:44.128 +0000 UTC 1.7000000005e+09",
        ),
        ("{{ reReplaceAll \"(a)b\" \"${1}c\" \"abab\" }} {{ match \"^a\" \"ab\" }}", "acac true"),
        ("{{ title \"a b\" }} {{ toUpper \"a\" }} {{ toLower \"B\" }} {{ stripPort \"h:1\" }}", "A B A b h"),
        (
            "{{ externalURL }}{{ pathPrefix }} {{ graphLink \"up > 0\" }}",
            "http://h:9090/p/p /graph?g0.expr=up+%3E+0&g0.tab=0",
        ),
        (
            "{{ parseDuration \"1h\" }} {{ toDuration 90 }} {{ toTime 1.5 }}",
            "3600 1m30s 1970-01-01 00:00:01.5 +0000 UTC",
        ),
    ]);
}

#[test]
fn mistakes() {
    check(&[
        ("{{ if }}x{{ end }}", "template: t:1: missing value for if"),
        ("{{ $x }}", "template: t:1: undefined variable \"$x\""),
        ("a\n{{ end }}", "template: t:2: unexpected {{end}}"),
        ("{{ .Foo | nofunc }}", "template: t:1: function \"nofunc\" not defined"),
        ("{{ range .A }}", "template: t:1: unexpected EOF"),
        ("{{ 1 | 2 }}", "template: t:1: non executable command in pipeline stage 2"),
        ("{{", "template: t:1: unclosed action"),
        ("{{ $value := }}", "template: t:1: missing value for command"),
        ("{{ (1 }}", "template: t:1: unclosed left paren"),
        ("{{ \"abc }}", "template: t:1: unterminated quoted string"),
        ("{{ 1x }}", "template: t:1: bad number syntax: \"1x\""),
        ("{{ .A = 1 }}", "template: t:1: unexpected \"=\" in operand"),
        ("{{ break }}", "template: t:1: {{break}} outside {{range}}"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "template: t:1: expected end; found {{else}}"),
        ("{{ /* x }}", "template: t:1: unexpected \"/\" in command"),
        ("{{ .Nope }}", "template: t:1: can't evaluate field Nope in type data"),
        (
            "{{ if gt .Value 5 }}{{ end }}",
            "template: t:1: error calling gt: incompatible types for comparison",
        ),
        ("{{ query \"bad\" }}", "template: t:1: error calling query: no such query bad"),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "template: t:1: exceeded maximum template depth",
        ),
        ("{{ template \"none\" }}", "template: t:1: template \"none\" not defined"),
        (
            "{{ query \"none\" | first }}",
            "template: t:1: error calling first: first() called on vector with no elements",
        ),
    ]);
}
