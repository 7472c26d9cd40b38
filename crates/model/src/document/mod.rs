//! YAML and JSON documents with the place of each node, for errors.
//!
//! Reading never stops at the first mistake: what cannot be read is noted in a [`Report`] and left out.

mod diagnostic;
mod fields;
mod nearest;
mod node;
mod parse;
mod printable;

pub use diagnostic::{Diagnostic, Place, Report, Source};
pub use fields::{Fields, Foreign, Reading};
pub(crate) use nearest::leaf;
pub use nearest::nearest;
pub use node::{Content, Key, Node};
pub use parse::{entries, parse};
pub use printable::{is_obeyed, printable, printable_json};
