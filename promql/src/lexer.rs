//! Tokens of the query language.
//!
//! The lexer knows two contexts: inside braces every word is a label name; inside brackets a colon stands alone.

use crate::ast::PosRange;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// End of the text.
    Eof,
    /// A word that is no keyword: a metric, label or function.
    Identifier,
    /// A word with colons: a metric.
    MetricIdentifier,
    /// A word that is a keyword; lower case in [`Token::word`].
    Keyword,
    /// A number in any form without units.
    Number,
    /// A number with units.
    Duration,
    /// A string with its quotes.
    String,
    /// An operator, bracket or other punctuation.
    Punct,
    /// Where the text fits no token; ends the list.
    Error,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) pos: PosRange,
}

impl Token<'_> {
    /// Whether this is the given operator or bracket.
    pub(crate) fn is(&self, punct: &str) -> bool {
        self.kind == Kind::Punct && self.text == punct
    }

    /// Whether this is the given keyword.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Keyword && self.text.eq_ignore_ascii_case(word)
    }

    /// The token as error texts name it.
    pub(crate) fn describe(&self) -> String {
        let shown = if self.text.chars().count() > 10 && self.kind != Kind::Identifier {
            let short: String = self.text.chars().take(10).collect();
            format!("{}...", model::float::quote(&short))
        } else {
            model::float::quote(self.text)
        };
        match self.kind {
            Kind::Eof | Kind::Error => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", model::float::quote(self.text)),
            Kind::MetricIdentifier => format!("metric identifier {}", model::float::quote(self.text)),
            Kind::Number => format!("number {shown}"),
            Kind::Duration => format!("duration {shown}"),
            Kind::String => format!("string {shown}"),
            Kind::Keyword => match self.text.to_ascii_lowercase().as_str() {
                word @ ("and" | "or" | "unless" | "atan2") => format!("<op:{word}>"),
                word if AGGREGATIONS.contains(&word) => format!("<aggr:{}>", self.text),
                _ => format!("<{}>", self.text),
            },
            Kind::Punct => match self.text {
                "(" | ")" | "{" | "}" | "[" | "]" | "," | ":" | "=" => shown,
                op => format!("<op:{op}>"),
            },
        }
    }
}

/// Names of the aggregations.
pub(crate) const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];

const OTHER_KEYWORDS: [&str; 27] = [
    "and",
    "or",
    "unless",
    "atan2",
    "offset",
    "smoothed",
    "anchored",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
    "bool",
    "start",
    "end",
    "step",
    "range",
    "max_of",
    "min_of",
    "inf",
    "nan",
    "+inf",
    "-inf",
];

/// Place and cause where a character fits nothing.
pub(crate) type LexError = (PosRange, String);

/// Cuts a text into tokens; the last one is [`Kind::Eof`], or [`Kind::Error`] where a character fits nothing: it counts only
/// when the parser comes to it, as what stands before may be wrong already.
pub(crate) fn lex(text: &str) -> (Vec<Token<'_>>, Option<LexError>) {
    let mut lexer = Lexer { text, at: 0, braces: false, brackets: false, parens: 0 };
    let mut tokens = Vec::new();
    loop {
        match lexer.next() {
            Ok(token) => {
                tokens.push(token);
                if token.kind == Kind::Eof {
                    return (tokens, None);
                }
            }
            Err(error) => {
                tokens.push(Token { kind: Kind::Error, text: "", pos: error.0 });
                return (tokens, Some(error));
            }
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: bool,
    brackets: bool,
    parens: usize,
}

type LexResult<'a> = Result<Token<'a>, LexError>;

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn token(&mut self, kind: Kind, len: usize) -> Token<'a> {
        let start = self.at;
        self.at += len;
        Token { kind, text: &self.text[start..self.at], pos: PosRange { start, end: self.at } }
    }

    fn error<T>(&self, start: usize, message: impl Into<String>) -> Result<T, (PosRange, String)> {
        Err((PosRange { start, end: self.text.len() }, message.into()))
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn next(&mut self) -> LexResult<'a> {
        self.skip_blank();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return self.at_end();
        };
        if matches!(first, '"' | '\'' | '`') {
            return self.string(first);
        }
        if first.is_ascii_alphabetic() || first == '_' || (first == ':' && !self.brackets && !self.braces) {
            return Ok(self.word());
        }
        if self.braces {
            return self.punct_in_braces(first);
        }
        let dotted = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || dotted {
            return self.number();
        }
        self.punct(first)
    }

    fn at_end(&mut self) -> LexResult<'a> {
        if self.braces {
            return self.error(self.at, "unexpected end of input inside braces");
        }
        if self.brackets {
            return self.error(self.at, "unexpected end of input in brackets");
        }
        if self.parens > 0 {
            return self.error(self.at, "unclosed left parenthesis");
        }
        Ok(self.token(Kind::Eof, 0))
    }

    fn string(&mut self, quote: char) -> LexResult<'a> {
        let bytes = self.rest().as_bytes();
        let mut i = 1;
        while i < bytes.len() {
            match bytes[i] {
                b if b == quote as u8 => return Ok(self.token(Kind::String, i + 1)),
                b'\\' if quote != '`' => i += 1,
                b'\n' if quote != '`' => break,
                _ => {}
            }
            i += 1;
        }
        let kind = if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" };
        self.error(self.at, kind)
    }

    fn word(&mut self) -> Token<'a> {
        let colons = !self.brackets && !self.braces;
        let len = self
            .rest()
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || (colons && *b == b':'))
            .count();
        let word = &self.rest()[..len];
        if self.braces {
            return self.token(Kind::Identifier, len);
        }
        let lower = word.to_ascii_lowercase();
        let kind = match lower.as_str() {
            "inf" | "nan" => Kind::Number,
            w if AGGREGATIONS.contains(&w) || OTHER_KEYWORDS.contains(&w) => Kind::Keyword,
            _ if word.contains(':') => Kind::MetricIdentifier,
            _ => Kind::Identifier,
        };
        self.token(kind, len)
    }

    fn punct_in_braces(&mut self, first: char) -> LexResult<'a> {
        let rest = self.rest();
        let len = match first {
            '}' => {
                self.braces = false;
                1
            }
            ',' => 1,
            '=' if rest.starts_with("=~") => 2,
            '=' => 1,
            '!' if rest.starts_with("!~") || rest.starts_with("!=") => 2,
            '!' => {
                let after = rest[1..].chars().next();
                let shown = after.map_or_else(|| "end of input".to_owned(), |c| format!("{c:?}"));
                return self.error(self.at, format!("unexpected character after '!' inside braces: {shown}"));
            }
            '{' => return self.error(self.at, "unexpected left brace '{'"),
            c => return self.error(self.at, format!("unexpected character inside braces: {c:?}")),
        };
        Ok(self.token(Kind::Punct, len))
    }

    /// A number or a duration: everything that could belong to one, then a look at what it is.
    fn number(&mut self) -> LexResult<'a> {
        let bytes = self.rest().as_bytes();
        let mut len = 0;
        let hex = bytes.len() > 1 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X');
        while let Some(&b) = bytes.get(len) {
            let exponent_sign = matches!(b, b'+' | b'-')
                && !hex
                && len > 0
                && matches!(bytes[len - 1], b'e' | b'E')
                && bytes[..len - 1].iter().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'_'));
            if !(b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || exponent_sign) {
                break;
            }
            len += 1;
        }
        let text = &self.rest()[..len];
        if parse_number(text).is_some() {
            return Ok(self.token(Kind::Number, len));
        }
        let letters = text.bytes().any(|b| b.is_ascii_alphabetic()) && text != "0";
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric());
        if letters && clean && model::duration::parse_ms(text) != Err(invalid(text)) {
            return Ok(self.token(Kind::Duration, len));
        }
        self.error(self.at, format!("bad number or duration syntax: {}", model::float::quote(text)))
    }

    fn punct(&mut self, first: char) -> LexResult<'a> {
        let rest = self.rest();
        let two = rest.get(..2).unwrap_or("");
        let len = match first {
            '=' if two == "==" => 2,
            '=' if two == "=~" => return self.error(self.at, "unexpected character after '=': '~'"),
            '!' if two == "!=" => 2,
            '!' => {
                let after = rest[1..].chars().next();
                let shown = after.map_or_else(|| "end of input".to_owned(), |c| format!("{c:?}"));
                return self.error(self.at, format!("unexpected character after '!': {shown}"));
            }
            '<' if two == "<=" || two == "</" => 2,
            '>' if two == ">=" || two == ">/" => 2,
            '{' => {
                self.braces = true;
                1
            }
            '[' if self.brackets => return self.error(self.at, "unexpected left bracket '['"),
            '[' => {
                self.brackets = true;
                1
            }
            ']' if !self.brackets => return self.error(self.at, "unexpected right bracket ']'"),
            ']' => {
                self.brackets = false;
                1
            }
            '(' => {
                self.parens += 1;
                1
            }
            // the place is that after it, as in Prometheus
            ')' if self.parens == 0 => {
                return self.error(self.at + 1, "unexpected right parenthesis ')'");
            }
            ')' => {
                self.parens -= 1;
                1
            }
            '}' => return self.error(self.at, "unexpected right brace '}'"),
            '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | ',' | '@' | '=' => 1,
            ':' if self.brackets => 1,
            c => return self.error(self.at, format!("unexpected character: {c:?}")),
        };
        Ok(self.token(Kind::Punct, len))
    }
}

fn invalid(text: &str) -> model::duration::Error {
    model::duration::Error::Invalid(text.to_owned())
}

/// A number in any form that the language takes: decimal, exponent, hexadecimal, octal (leading 0), `Inf`, `NaN`,
/// underscores between digits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "inf" => return Some(f64::INFINITY),
        "nan" => return Some(model::sample::NORMAL_NAN),
        _ => {}
    }
    let bytes = lower.as_bytes();
    let underscores_ok = (0..bytes.len()).filter(|i| bytes[*i] == b'_').all(|i| {
        i > 0
            && (bytes[i - 1].is_ascii_hexdigit() || bytes[i - 1] == b'x')
            && bytes.get(i + 1).is_some_and(u8::is_ascii_hexdigit)
    });
    if !underscores_ok {
        return None;
    }
    let plain = lower.replace('_', "");
    if let Some(digits) = plain.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')).map(|v| v as f64);
    }
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit());
    if let Some(v) = octal.then(|| i64::from_str_radix(&plain, 8).ok()).flatten() {
        return Some(v as f64);
    }
    let numeric = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    if numeric { plain.parse().ok() } else { None }
}
