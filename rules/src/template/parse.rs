//! From words to a tree.

use super::Error;
use super::funcs;
use super::lex::{Kind, Token, lex};
use super::value::Value;
use std::collections::BTreeMap;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Text as it stands.
    Text(String),
    /// A value that is printed.
    Action(Pipe),
    /// `if`.
    If(Branch),
    /// `range`.
    Range(Branch),
    /// `with`.
    With(Branch),
    /// Another template's output.
    Template { name: String, data: Option<Pipe>, line: usize },
    /// Ends the innermost range.
    Break,
    /// Ends this round of the innermost range.
    Continue,
}

/// A condition or a list, what it governs, and what stands in for it.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands, each with the result of the one before as its last argument.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub(super) line: usize,
    /// Variables that take the result.
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// An operand of a command.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// A constant.
    Constant(Value),
    /// The data, and fields of it.
    Field(Vec<String>),
    /// A variable, and fields of it.
    Variable(String, Vec<String>),
    /// A function.
    Function(String),
    /// The value of a pipe, and fields of it.
    Pipe(Box<Pipe>, Vec<String>),
}

/// Trees by the names of their templates.
pub(super) type Trees = BTreeMap<String, Vec<Node>>;

/// Parses a template and those defined in it.
pub(super) fn parse(name: &str, text: &str) -> Result<Trees, Error> {
    let mut parser =
        Parser { tokens: lex(text)?, at: 0, variables: vec!["$".to_owned()], ranges: 0, trees: Trees::new() };
    let (nodes, end) = parser.list(&[])?;
    debug_assert!(end.is_none());
    parser.trees.insert(name.to_owned(), nodes);
    Ok(parser.trees)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Variables in scope.
    variables: Vec<String>,
    /// Ranges around the place.
    ranges: usize,
    trees: Trees,
}

/// Which word ended a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    End,
    Else,
}

impl Parser {
    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |t| t.line)
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::new(self.line(), message))
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|t| &t.kind)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Kind::Space) {
            self.at += 1;
        }
    }

    /// The next word that is no space.
    fn next(&mut self) -> Option<Kind> {
        self.skip_space();
        let kind = self.peek().cloned();
        self.at += 1;
        kind
    }

    /// Takes the next word where it is this one.
    fn take(&mut self, kind: &Kind) -> bool {
        self.skip_space();
        let found = self.peek() == Some(kind);
        self.at += usize::from(found);
        found
    }

    /// The keyword that begins the next action, if one does.
    fn keyword(&self) -> Option<&str> {
        let mut rest = self.tokens[self.at..].iter().map(|t| &t.kind);
        match rest.by_ref().find(|k| **k != Kind::Space) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Parts as far as one of the words in `ends`; the end of the template where there are none.
    fn list(&mut self, ends: &[End]) -> Result<(Vec<Node>, Option<End>), Error> {
        let mut nodes = Vec::new();
        loop {
            match self.peek().cloned() {
                None if ends.is_empty() => return Ok((nodes, None)),
                None => return self.fail("unexpected EOF"),
                Some(Kind::Text(text)) => {
                    self.at += 1;
                    nodes.push(Node::Text(text));
                }
                Some(_) => {
                    self.at += 1; // the opening braces
                    let end = match self.keyword() {
                        Some("end") => Some(End::End),
                        Some("else") => Some(End::Else),
                        _ => None,
                    };
                    let Some(end) = end else {
                        nodes.extend(self.action()?);
                        continue;
                    };
                    if !ends.contains(&end) {
                        let word = if end == End::End { "{{end}}" } else { "{{else}}" };
                        let context = if ends == [End::End] { "expected end; found" } else { "unexpected" };
                        return self.fail(format!("{context} {word}"));
                    }
                    self.next();
                    if end == End::End {
                        self.close("end")?;
                    }
                    return Ok((nodes, Some(end)));
                }
            }
        }
    }

    fn close(&mut self, context: &str) -> Result<(), Error> {
        if self.take(&Kind::Close) { Ok(()) } else { self.unexpected(context) }
    }

    fn unexpected<T>(&mut self, context: &str) -> Result<T, Error> {
        self.skip_space();
        match self.peek() {
            None => self.fail("unexpected EOF"),
            Some(kind) => self.fail(format!("unexpected {} in {context}", shown(kind))),
        }
    }

    fn action(&mut self) -> Result<Option<Node>, Error> {
        let keyword = self.keyword().unwrap_or_default().to_owned();
        let scope = self.variables.len();
        let node = match keyword.as_str() {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => {
                self.ranges += 1;
                let branch = self.branch("range")?;
                self.ranges -= 1;
                Node::Range(branch)
            }
            "break" | "continue" => {
                self.next();
                self.close(&keyword)?;
                if self.ranges == 0 {
                    return self.fail(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
                }
                return Ok(Some(if keyword == "break" { Node::Break } else { Node::Continue }));
            }
            "template" => {
                self.next();
                let (name, data) = self.reference("template clause")?;
                return Ok(Some(Node::Template { name, data, line: self.line() }));
            }
            "define" | "block" => {
                self.next();
                return self.definition(&keyword);
            }
            _ => {
                // what is declared here is known as far as the list goes
                return Ok(Some(Node::Action(self.pipe("command", &Kind::Close)?)));
            }
        };
        self.variables.truncate(scope);
        Ok(Some(node))
    }

    /// `"name"` and perhaps a pipe.
    fn reference(&mut self, context: &str) -> Result<(String, Option<Pipe>), Error> {
        let Some(Kind::Text2(name)) = self.next() else {
            self.at -= 1;
            return self.unexpected(context);
        };
        let data = if self.take(&Kind::Close) { None } else { Some(self.pipe(context, &Kind::Close)?) };
        Ok((name, data))
    }

    fn definition(&mut self, keyword: &str) -> Result<Option<Node>, Error> {
        let context = if keyword == "define" { "define clause" } else { "block clause" };
        let line = self.line();
        let (name, data) = self.reference(context)?;
        if (keyword == "define") == data.is_some() {
            return self.fail(format!("unexpected data in {context}"));
        }
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (nodes, _) = self.list(&[End::End])?;
        self.variables = outer;
        self.trees.insert(name.clone(), nodes);
        Ok(data.map(|data| Node::Template { name, data: Some(data), line }))
    }

    fn branch(&mut self, keyword: &str) -> Result<Branch, Error> {
        self.next(); // the keyword
        let scope = self.variables.len();
        let pipe = self.pipe(keyword, &Kind::Close)?;
        let (then, end) = self.list(&[End::End, End::Else])?;
        let mut otherwise = Vec::new();
        if end == Some(End::Else) {
            let inner = self.variables.split_off(self.variables.len().min(scope + pipe.variables.len()));
            drop(inner);
            let chained = self.keyword().map(str::to_owned);
            match chained.as_deref() {
                // `else if` shares the end
                Some(word @ ("if" | "with")) if word == keyword => {
                    let branch = self.branch(word)?;
                    otherwise.push(if word == "if" { Node::If(branch) } else { Node::With(branch) });
                }
                _ => {
                    self.close("else")?;
                    otherwise = self.list(&[End::End])?.0;
                }
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipe, then, otherwise })
    }

    /// A pipe up to and with `end`.
    fn pipe(&mut self, context: &str, end: &Kind) -> Result<Pipe, Error> {
        self.skip_space();
        let mut pipe =
            Pipe { line: self.line(), variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            self.skip_space();
            if self.peek() == Some(end) {
                self.at += 1;
                break;
            }
            let command = self.command(context)?;
            if !pipe.commands.is_empty() && !executable(&command[0]) {
                let stage = pipe.commands.len() + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
            pipe.commands.push(command);
        }
        if pipe.commands.is_empty() {
            self.at -= 1;
            return self.fail(format!("missing value for {context}"));
        }
        if !pipe.assigns {
            self.variables.extend(pipe.variables.iter().cloned());
        }
        Ok(pipe)
    }

    /// `$a :=`, `$a =`, or in a range `$i, $a :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<(), Error> {
        let start = self.at;
        let mut names = Vec::new();
        while let Some(Kind::Variable(name)) = self.next() {
            names.push(name);
            match self.next() {
                Some(Kind::Comma) if context == "range" && names.len() < 2 => continue,
                Some(sign @ (Kind::Declare | Kind::Assign)) => {
                    pipe.assigns = sign == Kind::Assign;
                    if pipe.assigns
                        && let Some(unknown) = names.iter().find(|n| !self.variables.contains(n))
                    {
                        return self.fail(format!("undefined variable {unknown:?}"));
                    }
                    pipe.variables = names;
                    return Ok(());
                }
                _ => break,
            }
        }
        self.at = start;
        Ok(())
    }

    /// Operands as far as a pipe sign or the end.
    fn command(&mut self, context: &str) -> Result<Vec<Operand>, Error> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(Kind::Close | Kind::RightParen) => break,
                Some(Kind::Pipe) => {
                    self.at += 1;
                    self.skip_space();
                    if operands.is_empty() || matches!(self.peek(), Some(Kind::Close | Kind::RightParen)) {
                        return self.fail(format!("missing value for {context}"));
                    }
                    break;
                }
                None => return self.fail("unclosed action"),
                Some(_) => {}
            }
            let operand = self.operand()?;
            operands.push(operand);
            // operands are parted by space
            match self.peek() {
                None | Some(Kind::Space | Kind::Close | Kind::RightParen | Kind::Pipe) => {}
                Some(kind) => return self.fail(format!("unexpected {} in operand", shown(kind))),
            }
        }
        if operands.is_empty() { self.fail("empty command") } else { Ok(operands) }
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let kind = self.next();
        let operand = match kind {
            Some(Kind::Word(word)) => match word.as_str() {
                "true" => Operand::Constant(Value::Bool(true)),
                "false" => Operand::Constant(Value::Bool(false)),
                "nil" => Operand::Constant(Value::Nil),
                name if funcs::is_known(name) => Operand::Function(word),
                name => {
                    self.at -= 1;
                    return self.fail(format!("function {name:?} not defined"));
                }
            },
            Some(Kind::Text2(text)) => Operand::Constant(Value::Text(text)),
            Some(Kind::Int(n)) => Operand::Constant(Value::Int(n)),
            Some(Kind::Float(n)) => Operand::Constant(Value::Float(n)),
            Some(Kind::Dot) => Operand::Field(Vec::new()),
            Some(Kind::Field(name)) => {
                let mut path = vec![name];
                self.fields(&mut path);
                Operand::Field(path)
            }
            Some(Kind::Variable(name)) => {
                if !self.variables.contains(&name) {
                    self.at -= 1;
                    return self.fail(format!("undefined variable {name:?}"));
                }
                let mut path = Vec::new();
                self.fields(&mut path);
                Operand::Variable(name, path)
            }
            Some(Kind::LeftParen) => {
                let pipe = self.parenthesized()?;
                let mut path = Vec::new();
                self.fields(&mut path);
                Operand::Pipe(Box::new(pipe), path)
            }
            Some(other) => {
                self.at -= 1;
                return self.fail(format!("unexpected {} in operand", shown(&other)));
            }
            None => return self.fail("unclosed action"),
        };
        Ok(operand)
    }

    fn parenthesized(&mut self) -> Result<Pipe, Error> {
        let start = self.at;
        // a brace that closes the action before the parenthesis is the commonest mistake: named as such
        let mut depth = 1;
        for token in &self.tokens[start..] {
            match token.kind {
                Kind::LeftParen => depth += 1,
                Kind::RightParen => depth -= 1,
                Kind::Close => return self.fail("unclosed left paren"),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        let pipe = self.pipe("parenthesized pipeline", &Kind::RightParen)?;
        Ok(pipe)
    }

    /// Fields that follow without space.
    fn fields(&mut self, path: &mut Vec<String>) {
        while let Some(Kind::Field(name)) = self.peek() {
            path.push(name.clone());
            self.at += 1;
        }
    }
}

/// Whether something can take the result of the command before.
fn executable(operand: &Operand) -> bool {
    !matches!(operand, Operand::Constant(_))
}

fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Text(_) => "text".to_owned(),
        Kind::Open => "\"{{\"".to_owned(),
        Kind::Close => "\"}}\"".to_owned(),
        Kind::Space => "space".to_owned(),
        Kind::Word(word) => format!("<{word}>"),
        Kind::Field(name) => format!("<.{name}>"),
        Kind::Dot => "<.>".to_owned(),
        Kind::Variable(name) => format!("{name:?}"),
        Kind::Text2(text) => format!("{text:?}"),
        Kind::Int(n) => format!("{:?}", n.to_string()),
        Kind::Float(n) => format!("{:?}", n.to_string()),
        Kind::LeftParen => "\"(\"".to_owned(),
        Kind::RightParen => "right paren".to_owned(),
        Kind::Pipe => "\"|\"".to_owned(),
        Kind::Comma => "\",\"".to_owned(),
        Kind::Assign => "\"=\"".to_owned(),
        Kind::Declare => "\":=\"".to_owned(),
    }
}
