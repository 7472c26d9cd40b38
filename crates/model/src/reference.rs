//! Names by which resources refer to each other.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The `ref` of a resource: free text without spaces, unique among all resources.
///
/// Cloning costs a count, comparing two clones of the same one a pointer comparison.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct Ref(Arc<str>);

impl Ref {
    /// Takes the text unchecked; it is validated where it is read.
    pub fn new(text: impl Into<Arc<str>>) -> Ref {
        Ref(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Ref {
    fn eq(&self, other: &Ref) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl PartialEq<str> for Ref {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl std::hash::Hash for Ref {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Borrow<str> for Ref {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Deref for Ref {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Ref {
    fn from(text: &str) -> Ref {
        Ref(text.into())
    }
}

impl From<String> for Ref {
    fn from(text: String) -> Ref {
        Ref(text.into())
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
