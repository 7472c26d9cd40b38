//! Building a document.

use trunkline_model::document::{Content, Key, Node, Place};

/// A map of maps, filled path by path.
pub(super) struct Tree {
    root: Node,
}

impl Tree {
    /// Empty, for errors at the whole standing at `place`.
    pub fn new(place: Place) -> Tree {
        Tree { root: Node { place, content: Content::Map(Vec::new()) } }
    }

    /// Sets the value at a path such as `listen.udp`; what stood there before goes.
    pub fn set(&mut self, path: &str, value: Node) {
        set(&mut self.root, path, value);
    }

    /// The value at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(&self.root, |node, step| node.get(step))
    }

    /// The document.
    pub fn into_node(self) -> Node {
        self.root
    }
}

/// Sets the value at a path, making the maps on the way there.
pub(super) fn set(root: &mut Node, path: &str, value: Node) {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    if !matches!(root.content, Content::Map(_)) {
        root.content = Content::Map(Vec::new());
    }
    let Content::Map(entries) = &mut root.content else { return };
    let at = entries.iter().position(|(key, _)| key.text == step).unwrap_or_else(|| {
        let place = value.place.clone();
        let empty = Node { place: place.clone(), content: Content::Map(Vec::new()) };
        entries.push((Key { text: step.to_owned(), place }, empty));
        entries.len() - 1
    });
    let Some((_, child)) = entries.get_mut(at) else { return };
    match rest {
        Some(rest) => set(child, rest, value),
        None => *child = value,
    }
}

/// Text that stands where the operator wrote what it comes from.
pub(super) fn text(text: impl Into<String>, place: &Place) -> Node {
    Node { place: place.clone(), content: Content::Scalar { text: text.into(), plain: true } }
}

/// A list.
pub(super) fn list(items: Vec<Node>, place: &Place) -> Node {
    Node { place: place.clone(), content: Content::List(items) }
}
