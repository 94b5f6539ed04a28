//! The tree of a document, with lines.

use super::Error;
use granit_parser::{Event, Parser, ScalarStyle};
use std::collections::{HashMap, HashSet};

/// Aliases may repeat no more nodes than this: a few lines could otherwise stand for any amount of memory.
const MAX_ALIASED_NODES: usize = 1_000_000;

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins, from 1.
    pub line: usize,
    /// The character in the line where it begins, from 1.
    pub column: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar without quotes: text, number or boolean, as the reader's type says.
    Plain(String),
    /// A quoted or block scalar: always text.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their lines, and values, in the file's order. Merge keys are resolved.
    Map(Vec<(String, usize, Node)>),
}

impl Node {
    /// Reads the first document of a text; an empty text is null.
    ///
    /// # Errors
    /// Where the text is no YAML, a key stands twice, or aliases repeat too much.
    pub fn parse(text: &str) -> Result<Node, Error> {
        let mut builder =
            Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), aliased: 0, column: 1 };
        loop {
            match builder.event()? {
                None | Some((Event::StreamEnd, _)) => {
                    return Ok(Node { line: 1, column: 1, kind: Kind::Null });
                }
                Some((Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _)) => {}
                Some((event, line)) => return builder.node(event, line),
            }
        }
    }

    /// The value of a key, where this is a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, ..)| k == key).map(|(.., v)| v),
            _ => None,
        }
    }

    /// Whether another document follows the first one in a text.
    pub fn has_more_documents(text: &str) -> bool {
        let events = Parser::new_from_str(text).map_while(Result::ok);
        events.filter(|(event, _)| matches!(event, Event::DocumentStart(..))).nth(1).is_some()
    }

    /// The items, where this is a list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// Line of the value at a path such as `scrape_configs[1].job_name`, or of the last part of it that exists.
    pub fn line_of(&self, path: &str) -> usize {
        let (mut node, mut line) = (self, self.line);
        for part in path.split('.') {
            let (key, indexes) = part.split_once('[').map_or((part, ""), |(key, rest)| (key, rest));
            let Kind::Map(entries) = &node.kind else { break };
            let Some((_, key_line, value)) = entries.iter().find(|(k, ..)| k == key) else { break };
            (node, line) = (value, *key_line);
            for index in indexes.split(['[', ']']).filter_map(|i| i.parse::<usize>().ok()) {
                let Kind::List(items) = &node.kind else { break };
                let Some(item) = items.get(index) else { break };
                (node, line) = (item, item.line);
            }
        }
        line
    }

    fn count(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|(.., v)| v.count()).sum::<usize>(),
            _ => 1,
        }
    }
}

struct Builder<'input> {
    parser: Parser<'input, granit_parser::StrInput<'input>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    /// Where the last event began in its line.
    column: usize,
}

impl<'input> Builder<'input> {
    /// The next event that is no comment, and its line.
    fn event(&mut self) -> Result<Option<(Event<'input>, usize)>, Error> {
        for event in self.parser.by_ref() {
            let (event, span) =
                event.map_err(|e| Error::at(e.marker().line(), format!("not valid YAML: {}", e.info())))?;
            if !matches!(event, Event::Comment(..)) {
                self.column = span.start.col() + 1;
                return Ok(Some((event, span.start.line())));
            }
        }
        Ok(None)
    }

    fn node(&mut self, event: Event<'input>, line: usize) -> Result<Node, Error> {
        let column = self.column;
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().and_then(|t| t.suffix_in_namespace("tag:yaml.org,2002:"));
                let tag = tag.as_deref();
                let text = if tag == Some("binary") { decode(&text, line)? } else { text.into_owned() };
                (anchor, scalar(text, style == ScalarStyle::Plain && tag.is_none()))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list()?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map()?),
            Event::Alias(id) => return self.alias(id, line),
            other => return Err(Error::at(line, format!("not valid YAML: unexpected {other:?}"))),
        };
        let node = Node { line, column, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, line: usize) -> Result<Node, Error> {
        let target = self.anchors.get(&id).ok_or_else(|| Error::at(line, "alias within its own anchor"))?;
        self.aliased += target.count();
        if self.aliased > MAX_ALIASED_NODES {
            return Err(Error::at(line, format!("aliases repeat more than {MAX_ALIASED_NODES} values")));
        }
        Ok(target.clone())
    }

    fn next(&mut self) -> Result<(Event<'input>, usize), Error> {
        self.event()?.ok_or_else(|| Error::at(1, "not valid YAML: unexpected end"))
    }

    fn list(&mut self) -> Result<Kind, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, line) => items.push(self.node(event, line)?),
            }
        }
    }

    fn map(&mut self) -> Result<Kind, Error> {
        let (mut entries, mut seen, mut merged) = (Vec::new(), HashSet::new(), Vec::new());
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let (key, plain) = match self.node(event, line)?.kind {
                Kind::Plain(text) => (text, true),
                Kind::Quoted(text) => (text, false),
                Kind::Null => ("null".to_owned(), true),
                Kind::List(_) | Kind::Map(_) => return Err(Error::at(line, "a key must be a text")),
            };
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line)?;
            if plain && key == "<<" {
                merged.push(value);
            } else if seen.insert(key.clone()) {
                entries.push((key, line, value));
            } else {
                return Err(Error::at(line, format!("key {key:?} already set in map")).below_key(&key));
            }
        }
        for source in merged {
            merge(source, &mut entries, &mut seen)?;
        }
        Ok(Kind::Map(entries))
    }
}

/// Adds the entries of `<<: source` that are not set already.
fn merge(
    source: Node,
    entries: &mut Vec<(String, usize, Node)>,
    seen: &mut HashSet<String>,
) -> Result<(), Error> {
    match source.kind {
        Kind::Map(more) => entries.extend(more.into_iter().filter(|(key, ..)| seen.insert(key.clone()))),
        Kind::List(sources) => {
            for source in sources {
                merge(source, entries, seen)?;
            }
        }
        _ => return Err(Error::at(source.line, "map merge requires a map or a list of maps as the value")),
    }
    Ok(())
}

/// A text written in base64.
fn decode(text: &str, line: usize) -> Result<String, Error> {
    use base64::Engine as _;
    let clean: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(clean);
    bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Error::at(line, "!!binary value is not base64 of valid UTF-8"))
}

fn scalar(text: String, plain: bool) -> Kind {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" if plain => Kind::Null,
        _ if plain => Kind::Plain(text),
        _ => Kind::Quoted(text),
    }
}
