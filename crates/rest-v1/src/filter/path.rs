//! Paths within a document: `@.spec.domains[0]`, `@['metadata']['ref']`, `@..username`.

use serde_json::Value;

use super::FilterError;
use super::lexer::{Lexer, is_name};
use super::work::Work;

/// A path from the document (`@`) or from all of them (`$`).
#[derive(Clone, Debug)]
pub(super) struct Path {
    root: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    /// These keys; more than one make a list of what is there.
    Keys(Vec<String>),
    /// The item of that place, from the end where it is negative.
    Item(i64),
    /// Everything in it.
    All,
    /// Everything at any depth, itself included.
    Deep,
}

/// Steps of a path, at most.
const MOST_STEPS: usize = 64;
/// More values found by one path are not looked at.
const MOST_FOUND: usize = 10_000;

impl Path {
    /// Reads a path; `@` or `$` is next.
    pub fn read(lexer: &mut Lexer<'_>) -> Result<Path, FilterError> {
        let root = lexer.next() == Some('$');
        let mut steps = Vec::new();
        loop {
            if steps.len() > MOST_STEPS {
                return Err(lexer.error("the path is too long"));
            }
            if lexer.take("..") {
                steps.push(Step::Deep);
                if lexer.peek() != Some('[') {
                    steps.push(name(lexer)?);
                }
            } else if lexer.take(".") {
                steps.push(name(lexer)?);
            } else if lexer.take("[") {
                steps.push(bracket(lexer)?);
            } else {
                return Ok(Path { root, steps });
            }
        }
    }

    /// The value in a document of these; a list of all of them where the path may lead to several; `None` where it leads
    /// nowhere, or the work is over.
    pub fn find(&self, (document, all): (&Value, &Value), work: &Work) -> Option<Value> {
        let mut found = vec![if self.root { all } else { document }];
        let mut several = false;
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                if next.len() >= MOST_FOUND || !work.take(1) {
                    break;
                }
                step.take(value, &mut next, work);
            }
            next.truncate(MOST_FOUND);
            several |= match step {
                Step::Keys(keys) => keys.len() > 1,
                Step::Item(_) => false,
                Step::All | Step::Deep => true,
            };
            found = next;
        }
        match several {
            true => {
                let all = found.into_iter().map(|value| work.take_all(value).then(|| value.clone()));
                all.collect::<Option<Vec<Value>>>().map(Value::Array)
            }
            false => found.first().filter(|value| work.take_all(value)).map(|value| (*value).clone()),
        }
    }
}

impl Step {
    fn take<'v>(&self, value: &'v Value, into: &mut Vec<&'v Value>, work: &Work) {
        match self {
            Step::Keys(keys) => into.extend(keys.iter().filter_map(|key| value.get(key))),
            Step::Item(at) => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                let place = usize::try_from(*at).ok();
                let place =
                    place.or_else(|| items.len().checked_sub(usize::try_from(at.unsigned_abs()).ok()?));
                into.extend(place.and_then(|place| items.get(place)));
            }
            Step::All => {
                into.extend(children(value).take_while(|_| work.take(1)));
            }
            Step::Deep => deep(value, into, work),
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(entries) => Box::new(entries.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

fn deep<'v>(value: &'v Value, into: &mut Vec<&'v Value>, work: &Work) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if into.len() >= MOST_FOUND || !work.take(1) {
            return;
        }
        into.push(value);
        open.extend(children(value).take(MOST_FOUND));
    }
}

/// The part after a dot.
fn name(lexer: &mut Lexer<'_>) -> Result<Step, FilterError> {
    if lexer.take("*") {
        return Ok(Step::All);
    }
    match lexer.take_while(is_name) {
        "" => Err(lexer.error("a name is missing")),
        name => Ok(Step::Keys(vec![name.to_owned()])),
    }
}

/// The content of brackets.
fn bracket(lexer: &mut Lexer<'_>) -> Result<Step, FilterError> {
    lexer.space();
    let step = match lexer.peek() {
        Some('*') => {
            lexer.next();
            Step::All
        }
        Some('\'' | '"') => {
            let mut keys = Vec::new();
            loop {
                lexer.space();
                keys.push(lexer.quoted()?);
                lexer.space();
                if !lexer.take(",") || keys.len() > MOST_STEPS {
                    break Step::Keys(keys);
                }
            }
        }
        _ => {
            let digits = lexer.take_while(|c| c.is_ascii_digit() || c == '-');
            match digits.parse() {
                Ok(at) => Step::Item(at),
                Err(_) => return Err(lexer.error("a key in quotes, a place or * is missing")),
            }
        }
    };
    lexer.space();
    if lexer.take("]") { Ok(step) } else { Err(lexer.error("`]` is missing")) }
}
