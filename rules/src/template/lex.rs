//! Words of a template: text between actions, and what stands within `{{` and `}}`.

use super::Error;

/// A word and its line, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Text outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// White space within an action: it parts operands.
    Space,
    /// A name.
    Word(String),
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$name`, or `$`.
    Variable(String),
    /// A quoted text, its escapes resolved.
    Text2(String),
    /// An integer.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `|`
    Pipe,
    /// `,`
    Comma,
    /// `=`
    Assign,
    /// `:=`
    Declare,
}

/// Splits a template into words.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { rest: text, line: 1, tokens: Vec::new() };
    lexer.all()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(self.line, message))
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn skip(&mut self, len: usize) {
        let (skipped, rest) = self.rest.split_at(len);
        self.line += skipped.bytes().filter(|b| *b == b'\n').count();
        self.rest = rest;
    }

    fn all(&mut self) -> Result<(), Error> {
        let mut trim = false;
        loop {
            let end = self.rest.find("{{").unwrap_or(self.rest.len());
            let last = end == self.rest.len();
            let trims_before = !last && is_trim(&self.rest[end + 2..]);
            let mut text = &self.rest[..end];
            if trim {
                text = text.trim_start_matches(WHITE);
            }
            if trims_before {
                text = text.trim_end_matches(WHITE);
            }
            if !text.is_empty() {
                let kind = Kind::Text(text.to_owned());
                self.push(kind);
            }
            self.skip(end);
            if last {
                return Ok(());
            }
            self.skip(if trims_before { 4 } else { 2 });
            trim = if self.rest.starts_with("/*") { self.comment()? } else { self.action()? };
        }
    }

    /// A comment; says whether the text behind is trimmed.
    fn comment(&mut self) -> Result<bool, Error> {
        let Some(end) = self.rest.find("*/") else { return self.fail("unclosed comment") };
        self.skip(end + 2);
        match self.close() {
            Some(trim) => Ok(trim),
            None => self.fail("comment ends before closing delimiter"),
        }
    }

    /// The end of an action, if it is here; says whether the text behind is trimmed.
    fn close(&mut self) -> Option<bool> {
        let white = self.rest.len() - self.rest.trim_start_matches(WHITE).len();
        let trimmed = white > 0 && self.rest[white..].starts_with("-}}");
        if trimmed {
            self.skip(white + 3);
            return Some(true);
        }
        self.rest.starts_with("}}").then(|| {
            self.skip(2);
            false
        })
    }

    fn action(&mut self) -> Result<bool, Error> {
        self.push(Kind::Open);
        loop {
            if let Some(trim) = self.close() {
                self.push(Kind::Close);
                return Ok(trim);
            }
            let Some(c) = self.rest.chars().next() else { return self.fail("unclosed action") };
            match c {
                ' ' | '\t' | '\r' | '\n' => {
                    let white = self.rest.len() - self.rest.trim_start_matches(WHITE).len();
                    // the dash of a trimming end belongs to it
                    self.push(Kind::Space);
                    let keep = usize::from(self.rest[white..].starts_with("-}}"));
                    self.skip(white - keep);
                }
                '(' => self.symbol(Kind::LeftParen, 1),
                ')' => self.symbol(Kind::RightParen, 1),
                '|' => self.symbol(Kind::Pipe, 1),
                ',' => self.symbol(Kind::Comma, 1),
                '=' => self.symbol(Kind::Assign, 1),
                ':' if self.rest.starts_with(":=") => self.symbol(Kind::Declare, 2),
                ':' => return self.fail("expected :="),
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                '$' => {
                    let name = word(&self.rest[1..]);
                    let kind = Kind::Variable(format!("${name}"));
                    self.symbol(kind, 1 + name.len());
                }
                '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    let name = word(&self.rest[1..]);
                    let kind = if name.is_empty() { Kind::Dot } else { Kind::Field(name.to_owned()) };
                    self.symbol(kind, 1 + name.len());
                }
                '+' | '-' | '.' | '0'..='9' => self.number()?,
                c if c == '_' || c.is_alphabetic() => {
                    let name = word(self.rest);
                    let kind = Kind::Word(name.to_owned());
                    self.symbol(kind, name.len());
                }
                c => return self.fail(format!("unexpected {:?} in command", c.to_string())),
            }
        }
    }

    fn symbol(&mut self, kind: Kind, len: usize) {
        self.push(kind);
        self.skip(len);
    }

    fn quoted(&mut self) -> Result<(), Error> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.symbol(Kind::Text2(out), at + 1);
                    return Ok(());
                }
                '\n' => break,
                '\\' => {
                    let Some((_, escaped)) = chars.next() else { break };
                    match escape(escaped, &mut || chars.next().map(|(_, c)| c)) {
                        Some(c) => out.push(c),
                        None => return self.fail("invalid syntax"),
                    }
                }
                c => out.push(c),
            }
        }
        self.fail("unterminated quoted string")
    }

    fn raw(&mut self) -> Result<(), Error> {
        let Some(len) = self.rest[1..].find('`') else { return self.fail("unterminated raw quoted string") };
        let text = self.rest[1..=len].to_owned();
        self.symbol(Kind::Text2(text), len + 2);
        Ok(())
    }

    /// A character constant: a number.
    fn character(&mut self) -> Result<(), Error> {
        let mut chars = self.rest.char_indices().skip(1);
        let value = match chars.next() {
            Some((_, '\\')) => {
                let escaped = chars.next().map(|(_, c)| c);
                escaped.and_then(|e| escape(e, &mut || chars.next().map(|(_, c)| c)))
            }
            Some((_, c)) if c != '\'' && c != '\n' => Some(c),
            _ => None,
        };
        match (value, chars.next()) {
            (Some(c), Some((at, '\''))) => {
                self.symbol(Kind::Int(i64::from(u32::from(c))), at + 1);
                Ok(())
            }
            _ => self.fail("unterminated character constant"),
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        let bytes = self.rest.as_bytes();
        let mut len = usize::from(matches!(bytes[0], b'+' | b'-'));
        while let Some(&b) = bytes.get(len) {
            let exponent_sign =
                matches!(b, b'+' | b'-') && matches!(bytes[len - 1], b'e' | b'E' | b'p' | b'P');
            if !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_') || exponent_sign) {
                break;
            }
            len += 1;
        }
        let text = &self.rest[..len];
        match number(text) {
            Some(kind) => {
                self.symbol(kind, len);
                Ok(())
            }
            None => self.fail(format!("bad number syntax: {text:?}")),
        }
    }
}

/// What Go's templates take for white space.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Whether an action begins with the mark that trims the text before it.
fn is_trim(action: &str) -> bool {
    action.starts_with('-') && action[1..].starts_with(WHITE)
}

/// The letters, digits and underscores at the beginning.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

/// The character that an escape stands for; `next` gives what follows it.
fn escape(escaped: char, next: &mut dyn FnMut() -> Option<char>) -> Option<char> {
    let mut digits = |n: usize, radix: u32, first: Option<char>| {
        let mut value = first.map_or(Some(0), |c| c.to_digit(radix))?;
        for _ in 0..n {
            value = value * radix + next()?.to_digit(radix)?;
        }
        char::from_u32(value)
    };
    match escaped {
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        '\\' | '"' | '\'' => Some(escaped),
        'x' => digits(2, 16, None),
        'u' => digits(4, 16, None),
        'U' => digits(8, 16, None),
        '0'..='7' => digits(2, 8, Some(escaped)),
        _ => None,
    }
}

fn number(text: &str) -> Option<Kind> {
    let clean = text.replace('_', "");
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let lower = digits.to_ascii_lowercase();
    let radix =
        |prefix: &str, radix| lower.strip_prefix(prefix).and_then(|d| i64::from_str_radix(d, radix).ok());
    let int = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(|| if lower.len() > 1 { radix("0", 8) } else { None })
        .or_else(|| if lower.starts_with('0') && lower.len() > 1 { None } else { lower.parse().ok() });
    if let Some(int) = int {
        return Some(Kind::Int(if negative { -int } else { int }));
    }
    // Rust's words for infinity and NaN are no numbers here
    if !lower.bytes().all(|b| b.is_ascii_digit() || b"e+-.".contains(&b)) {
        return None;
    }
    let float: f64 = lower.parse().ok()?;
    Some(Kind::Float(if negative { -float } else { float }))
}
