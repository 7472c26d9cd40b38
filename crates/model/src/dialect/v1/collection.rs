//! The collections of Routr v1 and the documents in them.

use serde_json::Value;

use super::Edition;

/// A kind of resource of Routr v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// People and programs that use the REST API.
    Users,
    /// Phones.
    Agents,
    /// Hosts of AORs.
    Domains,
    /// Ways to carriers.
    Gateways,
    /// Telephone numbers: `DID` in early releases, `Number` in late ones.
    Numbers,
    /// Other SIP servers.
    Peers,
}

impl Collection {
    /// All of them.
    pub const ALL: [Collection; 6] = [
        Collection::Users,
        Collection::Agents,
        Collection::Domains,
        Collection::Gateways,
        Collection::Numbers,
        Collection::Peers,
    ];

    /// Its files and paths: `agents`; both names of the numbers.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Collection::Users => &["users"],
            Collection::Agents => &["agents"],
            Collection::Domains => &["domains"],
            Collection::Gateways => &["gateways"],
            Collection::Numbers => &["dids", "numbers"],
            Collection::Peers => &["peers"],
        }
    }

    /// The collection of a file or path, e.g. of `dids`.
    pub fn of_name(name: &str) -> Option<Collection> {
        Collection::ALL.into_iter().find(|c| c.names().contains(&name))
    }

    /// The value of `kind`.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Collection::Users => &["User"],
            Collection::Agents => &["Agent"],
            Collection::Domains => &["Domain"],
            Collection::Gateways => &["Gateway"],
            Collection::Numbers => &["DID", "Number"],
            Collection::Peers => &["Peer"],
        }
    }

    /// The collection of a kind, in any case.
    pub fn of_kind(kind: &str) -> Option<Collection> {
        Collection::ALL.into_iter().find(|c| c.kinds().iter().any(|k| k.eq_ignore_ascii_case(kind)))
    }

    /// How its resources are called, in the words of an edition.
    pub fn kind(self, edition: Edition) -> &'static str {
        match (self, edition) {
            (Collection::Numbers, Edition::Late) => "Number",
            _ => self.kinds().first().copied().unwrap_or_default(),
        }
    }
}

/// All documents as they were written, each with its `metadata.ref`: what the REST API lists. Secrets included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    lists: [Vec<Value>; Collection::ALL.len()],
}

impl Documents {
    /// The documents of a collection, in the order of their file.
    pub fn of(&self, collection: Collection) -> &[Value] {
        self.lists.get(collection as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn push(&mut self, collection: Collection, document: Value) {
        if let Some(list) = self.lists.get_mut(collection as usize) {
            list.push(document);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_collection_is_found_by_its_names_and_kinds() {
        for (place, collection) in Collection::ALL.into_iter().enumerate() {
            assert_eq!(collection as usize, place);
            for name in collection.names() {
                assert_eq!(Collection::of_name(name), Some(collection));
            }
            for kind in collection.kinds() {
                assert_eq!(Collection::of_kind(&kind.to_lowercase()), Some(collection));
            }
        }
        assert_eq!(Collection::Numbers.kind(Edition::Rc2), "DID");
        assert_eq!(Collection::Numbers.kind(Edition::Late), "Number");
        assert_eq!(Collection::of_name("config"), None);
    }
}
