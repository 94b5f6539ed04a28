//! Execution of a tree.

use super::funcs;
use super::parse::{Branch, Node, Operand, Pipe, Trees};
use super::value::Value;
use super::{Context, Error, MAX_DEPTH, MAX_OUTPUT};

/// Executes the template of that name.
pub(super) fn execute(
    trees: &Trees,
    name: &str,
    data: &Value,
    context: &Context<'_>,
) -> Result<String, Error> {
    let mut out = String::new();
    run(trees, name, data, context, &mut out, 0, 1)?;
    Ok(out)
}

/// Executes a template into `out`.
fn run(
    trees: &Trees,
    name: &str,
    data: &Value,
    context: &Context<'_>,
    out: &mut String,
    depth: usize,
    line: usize,
) -> Result<(), Error> {
    let Some(nodes) = trees.get(name) else {
        return Err(Error::new(line, format!("template {name:?} not defined")));
    };
    if depth > MAX_DEPTH {
        return Err(Error::new(line, "exceeded maximum template depth"));
    }
    let variables = vec![("$".to_owned(), data.clone())];
    Exec { trees, context, variables, depth }.list(nodes, data, out).map(|_| ())
}

/// How a list ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Exec<'a> {
    trees: &'a Trees,
    context: &'a Context<'a>,
    variables: Vec<(String, Value)>,
    depth: usize,
}

impl Exec<'_> {
    fn list(&mut self, nodes: &[Node], dot: &Value, out: &mut String) -> Result<Flow, Error> {
        for node in nodes {
            let flow = self.node(node, dot, out)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value, out: &mut String) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    out.push_str(&value.print());
                    if out.len() > MAX_OUTPUT {
                        return Err(Error::new(pipe.line, format!("output exceeds {MAX_OUTPUT} bytes")));
                    }
                }
            }
            Node::If(branch) => return self.branch(branch, dot, out, false),
            Node::With(branch) => return self.branch(branch, dot, out, true),
            Node::Range(branch) => return self.range(branch, dot, out),
            Node::Template { name, data, line } => {
                let data = data.as_ref().map_or(Ok(Value::Nil), |pipe| self.pipe(pipe, dot))?;
                run(self.trees, name, &data, self.context, out, self.depth + 1, *line)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branch(
        &mut self,
        branch: &Branch,
        dot: &Value,
        out: &mut String,
        is_with: bool,
    ) -> Result<Flow, Error> {
        let scope = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.is_true() {
            self.list(&branch.then, if is_with { &value } else { dot }, out)
        } else {
            self.list(&branch.otherwise, dot, out)
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value, out: &mut String) -> Result<Flow, Error> {
        let scope = self.variables.len();
        let pipe = &branch.pipe;
        let value = self.commands(pipe, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(i, v)| (Value::Int(i as i64), v)).collect()
            }
            Value::Labels(map) => map.into_iter().map(|(k, v)| (Value::Text(k), Value::Text(v))).collect(),
            Value::Map(map) => map.into_iter().map(|(k, v)| (Value::Text(k), v)).collect(),
            Value::Int(n) if n < MAX_OUTPUT as i64 => {
                (0..n).map(|i| (Value::Int(i), Value::Int(i))).collect()
            }
            Value::Nil => Vec::new(),
            other => {
                return Err(Error::new(pipe.line, format!("range can't iterate over {}", other.print())));
            }
        };
        let mut flow = Flow::Next;
        if items.is_empty() {
            flow = self.list(&branch.otherwise, dot, out)?;
        }
        for (key, item) in items {
            match pipe.variables.as_slice() {
                [one] => self.set(one, item.clone(), pipe.assigns),
                [first, second] => {
                    self.set(first, key, pipe.assigns);
                    self.set(second, item.clone(), pipe.assigns);
                }
                _ => {}
            }
            let ended = self.list(&branch.then, &item, out)?;
            self.variables.truncate(scope);
            if ended == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) {
        match self.variables.iter_mut().rev().find(|(n, _)| n == name).filter(|_| assigns) {
            Some((_, held)) => *held = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    /// A pipe's value, which its variables take too.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Error> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            self.set(name, value.clone(), pipe.assigns);
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Error> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, last, dot, pipe.line)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
        line: usize,
    ) -> Result<Value, Error> {
        let Some((first, rest)) = operands.split_first() else { return Ok(Value::Nil) };
        let Operand::Function(name) = first else {
            if !rest.is_empty() || piped.is_some() {
                return Err(Error::new(line, "can't give argument to non-function"));
            }
            return self.operand(first, dot, line);
        };
        if name == "and" || name == "or" {
            // ends with the first that decides
            let mut value = Value::Nil;
            for operand in rest {
                value = self.operand(operand, dot, line)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return match piped {
                Some(piped) => Ok(piped),
                None if rest.is_empty() => {
                    Err(Error::new(line, format!("wrong number of args for {name}: want at least 1 got 0")))
                }
                None => Ok(value),
            };
        }
        let mut args = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            args.push(self.operand(operand, dot, line)?);
        }
        args.extend(piped);
        let failed = |why: String| Error::new(line, format!("error calling {name}: {why}"));
        if name == "tmpl" {
            let [Value::Text(called), data] = args.as_slice() else {
                return Err(failed("wants the name of a template and its data".to_owned()));
            };
            let mut out = String::new();
            run(self.trees, called, data, self.context, &mut out, self.depth + 1, line)?;
            return Ok(Value::Text(out));
        }
        funcs::call(name, &args, self.context).map_err(failed)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value, line: usize) -> Result<Value, Error> {
        match operand {
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Field(path) => fields(dot.clone(), path, line),
            Operand::Variable(name, path) => {
                let held = self.variables.iter().rev().find(|(n, _)| n == name);
                let Some((_, value)) = held else {
                    return Err(Error::new(line, format!("undefined variable: {name}")));
                };
                fields(value.clone(), path, line)
            }
            Operand::Function(_) => self.command(std::slice::from_ref(operand), None, dot, line),
            Operand::Pipe(pipe, path) => {
                let value = self.pipe(pipe, dot)?;
                fields(value, path, line)
            }
        }
    }
}

/// Goes along names.
fn fields(value: Value, path: &[String], line: usize) -> Result<Value, Error> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Labels(mut map) => Ok(Value::Text(map.remove(name).unwrap_or_default())),
        Value::Map(mut map) => Ok(map.remove(name).unwrap_or(Value::Nil)),
        Value::Struct(kind, fields) => fields
            .into_iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v)
            .ok_or_else(|| Error::new(line, format!("can't evaluate field {name} in type {kind}"))),
        Value::Nil => Err(Error::new(line, format!("nil data; no entry for key {name:?}"))),
        other => Err(Error::new(line, format!("can't evaluate field {name} in type {}", other.type_name()))),
    })
}
