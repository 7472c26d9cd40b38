//! Text to trees.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::diagnostic::{Diagnostic, Place, Source};
use super::fields::Reading;
use super::node::{Content, Key, Node};

/// How many values aliases may repeat in one text: a few lines could otherwise stand for millions.
const MAX_REPEATED: usize = 100_000;

/// Reads all documents of a YAML text. JSON is YAML.
pub fn parse(source: &Arc<Source>) -> Result<Vec<Node>, Diagnostic> {
    let mut tree = Tree { source, open: Vec::new(), done: Vec::new(), anchors: HashMap::new(), repeated: 0 };
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            let place = Place {
                source: source.clone(),
                line: at.line() as u32,
                column: at.col() as u32 + 1,
                length: 1,
            };
            Diagnostic { message: format!("this is not YAML: {error}"), place: Some(place), help: None }
        })?;
        tree.event(event, span)?;
    }
    Ok(tree.done)
}

/// Reads the entries of a text: its documents, and what lists among them hold. What cannot be read is noted.
pub fn entries(source: &Arc<Source>, reading: &Reading) -> Vec<Node> {
    let roots = match parse(source) {
        Ok(roots) => roots,
        Err(error) => {
            reading.add(error.into());
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for root in roots {
        match root.content {
            Content::List(items) => found.extend(items),
            // An empty document: a file of comments.
            Content::Scalar { .. } if root.is_null() => {}
            Content::Scalar { .. } | Content::Map(_) => found.push(root),
        }
    }
    found
}

struct Tree<'a> {
    source: &'a Arc<Source>,
    /// Lists and maps that are not complete yet, the innermost last.
    open: Vec<Open>,
    done: Vec<Node>,
    anchors: HashMap<usize, Node>,
    repeated: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key>,
    /// Is that key the `<<` that merges? In quotes it is a key like any other.
    merges: bool,
    /// The keys that came by merging, which give way to those that are written, wherever these stand.
    merged: HashSet<String>,
}

impl Open {
    fn new(node: Node, anchor: usize) -> Open {
        Open { node, anchor, key: None, merges: false, merged: HashSet::new() }
    }
}

impl Tree<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let node =
                    Node { place: self.place(span), content: Content::Scalar { text: text.into(), plain } };
                self.value(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let node = Node { place: self.place(span), content: Content::List(Vec::new()) };
                self.open.push(Open::new(node, anchor));
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                let node = Node { place: self.place(span), content: Content::Map(Vec::new()) };
                self.open.push(Open::new(node, anchor));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.value(open.node, open.anchor),
                None => Ok(()),
            },
            Event::Alias(id) => {
                let place = self.place(span);
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(error("the anchor is not complete here", place));
                };
                self.repeated += size(&node);
                if self.repeated > MAX_REPEATED {
                    return Err(error("aliases repeat too much", place));
                }
                self.value(node, 0)
            }
            // Directives, comments, document borders: nothing to keep.
            _ => Ok(()),
        }
    }

    /// A complete value: to the innermost open list or map, or a document of its own.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.done.push(node);
            return Ok(());
        };
        match &mut open.node.content {
            Content::List(items) => items.push(node),
            Content::Map(entries) => match (open.key.take(), node.content) {
                (None, Content::Scalar { text, plain }) => {
                    open.merges = plain && text == "<<";
                    open.key = Some(Key { text, place: node.place });
                }
                (None, Content::List(_) | Content::Map(_)) => {
                    return Err(error("a key must be text", node.place));
                }
                (Some(_), content @ (Content::Map(_) | Content::List(_))) if open.merges => {
                    let place = node.place;
                    let maps = match content {
                        Content::List(items) => items,
                        content => vec![Node { place: place.clone(), content }],
                    };
                    let mut there: HashSet<String> =
                        entries.iter().map(|(key, _)| key.text.clone()).collect();
                    for map in maps {
                        let Content::Map(merged) = map.content else {
                            return Err(error("only maps can be merged", place));
                        };
                        for (key, value) in merged {
                            if there.insert(key.text.clone()) {
                                open.merged.insert(key.text.clone());
                                entries.push((key, value));
                            }
                        }
                    }
                }
                (Some(key), content) => {
                    if open.merged.remove(&key.text) {
                        entries.retain(|(merged, _)| merged.text != key.text);
                    }
                    entries.push((key, Node { place: node.place, content }));
                }
            },
            Content::Scalar { .. } => {}
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (span.start, span.end);
        let length = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
        Place {
            source: self.source.clone(),
            line: start.line() as u32,
            column: start.col() as u32 + 1,
            length: length.max(1) as u32,
        }
    }
}

fn error(message: &str, place: Place) -> Diagnostic {
    Diagnostic { message: message.to_owned(), place: Some(place), help: None }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::Scalar { .. } => 1,
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|(_, value)| size(value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Node> {
        parse(&Source::new("test.yaml", text)).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn places_and_texts() {
        let docs = read("a: 0123\nb:\n  - x\n  - \"y\"\n---\n[1, true, ~, \"1\"]\n");
        assert_eq!(docs.len(), 2);
        let y = docs[0].at("b[1]");
        assert_eq!((y.place.line, y.place.column, y.place.length), (4, 5, 3));
        assert_eq!(docs[0].at("a").to_json(), serde_json::json!(123));
        assert_eq!(docs[1].to_json(), serde_json::json!([1, true, null, "1"]));
        assert!(matches!(&docs[0].at("a").content, Content::Scalar { text, plain: true } if text == "0123"));
        assert_eq!(docs[0].at("b[7].c").place.line, docs[0].at("b").place.line, "the nearest that exists");
    }

    #[test]
    fn anchors_and_merges() {
        let docs = read("base: &b {x: 1, y: 2}\nd:\n  <<: *b\n  z: 3\ne: *b\n");
        assert_eq!(docs[0].at("d").to_json(), serde_json::json!({"x": 1, "y": 2, "z": 3}));
        assert_eq!(docs[0].at("e").to_json(), serde_json::json!({"x": 1, "y": 2}));
        let docs = read("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\n  w: 0\n");
        let Content::Map(entries) = &docs[0].at("c").content else { panic!("a map") };
        assert_eq!(entries.len(), 4, "what is written stands over what is merged, once");
        assert_eq!(docs[0].at("c").to_json(), serde_json::json!({"x": 9, "y": 2, "z": 4, "w": 0}));
        assert!(parse(&Source::new("x", "a: &a [1]\nb:\n  <<: *a\n")).is_err(), "a list of no maps");
    }

    #[test]
    fn aliases_cannot_explode() {
        let mut text = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")] {
            text +=
                &format!("{to}: &{to} [*{from},*{from},*{from},*{from},*{from},*{from},*{from},*{from}]\n");
        }
        assert!(parse(&Source::new("bomb", text)).is_err());
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let error = parse(&Source::new("bad.yaml", "a: [1, 2\nb: 3\n")).expect_err("bad");
        assert!(error.to_string().contains("bad.yaml:"), "{error}");
    }

    #[test]
    fn json_is_yaml() {
        let docs = read("[\n\t{\"a\\/b\": \"\\u00e9\\n\", \"c\": -1.5e3, \"d\": []}\n]\n");
        assert_eq!(docs[0].to_json(), serde_json::json!([{"a/b": "é\n", "c": -1500.0, "d": []}]));
    }
}
