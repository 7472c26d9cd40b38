//! A JSON object read in place: names compared without case, values left as they stand.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan;

/// The members of one JSON object, borrowed from the bytes they came in.
///
/// Go clients decode without regard to the case of a name, so partners send any case; the last
/// member of a name counts. A member that is `null` counts as absent.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads an object from `json`.
    ///
    /// # Errors
    /// The error, when the JSON is not one object.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        match std::str::from_utf8(json).ok().and_then(Object::skimmed) {
            Some(object) => Ok(object),
            None => serde_json::from_slice(json),
        }
    }

    /// Reads an object from a JSON value; anything that is not an object is `None`.
    #[must_use]
    pub fn from_raw(raw: &'a str) -> Option<Self> {
        Object::skimmed(raw).or_else(|| serde_json::from_str(raw).ok())
    }

    fn skimmed(json: &'a str) -> Option<Self> {
        let mut members = Vec::with_capacity(16);
        scan::members(json, |name, value| members.push((Cow::Borrowed(name), value)))?;
        Some(Object { members })
    }

    /// The value of `name` as JSON, unless it is absent or `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        // Exact names first: nearly every partner sends them.
        let hit = self.members.iter().rev().find(|(n, _)| n == name);
        let hit = hit.or_else(|| self.members.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)));
        hit.map(|&(_, v)| v).filter(|v| *v != "null")
    }

    /// The object under `name`.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        self.get(name).and_then(Object::from_raw)
    }

    /// The text under `name`; empty when absent.
    ///
    /// # Errors
    /// The name, when the value is there and is not text.
    pub fn text(&self, name: &'static str) -> Result<Cow<'a, str>, NotText> {
        match self.get(name) {
            None => Ok(Cow::Borrowed("")),
            Some(raw) => text_of(raw).ok_or(NotText(name)),
        }
    }

    /// The text under `name`, or the texts of a list there joined by commas as Asterisk takes them.
    ///
    /// # Errors
    /// The name, when the value is neither.
    pub fn list(&self, name: &'static str) -> Result<Cow<'a, str>, NotTexts> {
        let Some(raw) = self.get(name) else { return Ok(Cow::Borrowed("")) };
        if let Some(text) = text_of(raw) {
            return Ok(text);
        }
        let list: Vec<Cow<'_, str>> = serde_json::from_str(raw).map_err(|_| NotTexts(name))?;
        Ok(Cow::Owned(list.join(",")))
    }

    /// The whole number under `name`; 0 when absent or not a number.
    #[must_use]
    pub fn integer(&self, name: &str) -> i64 {
        self.get(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or(0)
    }

    /// The members in the order they came, their values as JSON.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(n, v)| (n.as_ref(), *v))
    }
}

/// The text a raw JSON string stands for, borrowed when nothing in it is escaped.
#[must_use]
pub fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A member that should be text is something else.
#[derive(Debug, thiserror::Error)]
#[error("{0} must be a string")]
pub struct NotText(pub &'static str);

/// A member that should be text or a list of texts is something else.
#[derive(Debug, thiserror::Error)]
#[error("{0} must be a string or a list of strings")]
pub struct NotTexts(pub &'static str);

/// Reads a list of objects one by one, so that it takes the memory of one.
///
/// # Errors
/// When `json` is not a list of objects. `take` has got those before the fault.
pub(crate) fn each<'a>(json: &'a [u8], take: impl FnMut(Object<'a>)) -> Result<(), serde_json::Error> {
    struct Items<F>(F);

    impl<'de, F: FnMut(Object<'de>)> Visitor<'de> for Items<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of JSON objects")
        }

        fn visit_seq<S: SeqAccess<'de>>(mut self, mut items: S) -> Result<(), S::Error> {
            while let Some(item) = items.next_element()? {
                (self.0)(item);
            }
            Ok(())
        }
    }

    let mut json = serde_json::Deserializer::from_slice(json);
    json.deserialize_seq(Items(take))?;
    json.end()
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value::<&RawValue>()?.get()));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(|members| Object { members })
    }
}

/// A member name, borrowed when nothing in it is escaped.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(v))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(v.to_owned()))
            }
        }

        deserializer.deserialize_str(Text).map(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        let o = Object::parse(br#"{"Kind":"a","KIND":"b","n":null,"x\u0041":1}"#).unwrap();
        assert_eq!(o.text("kind").unwrap(), "b");
        assert!(o.get("n").is_none());
        assert_eq!(o.integer("xa"), 1);
    }

    #[test]
    fn text_is_unescaped_and_checked() {
        let o = Object::parse(br#"{"a":"x\ny","b":5}"#).unwrap();
        assert_eq!(o.text("a").unwrap(), "x\ny");
        assert_eq!(o.text("missing").unwrap(), "");
        assert_eq!(o.text("b").unwrap_err().to_string(), "b must be a string");
    }

    #[test]
    fn lists_are_joined_and_read_one_by_one() {
        let o = Object::parse(br#"{"a":["x","y\n"],"b":"x,y","c":[1]}"#).unwrap();
        assert_eq!(o.list("a").unwrap(), "x,y\n");
        assert_eq!(o.list("b").unwrap(), "x,y");
        assert_eq!(o.list("none").unwrap(), "");
        assert_eq!(o.list("c").unwrap_err().to_string(), "c must be a string or a list of strings");
        let mut ids = Vec::new();
        each(br#"[{"id":"a"},{"id":"b"}]"#, |o| ids.push(o.text("id").unwrap())).unwrap();
        assert_eq!(ids, ["a", "b"]);
        for bad in ["{}", "[1]", "[{}", "[{}] x"] {
            assert!(each(bad.as_bytes(), |_| ()).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_an_object_is_an_object() {
        assert!(Object::parse(b"[1]").is_err());
        assert!(Object::parse(b"").is_err());
        assert!(Object::parse(b"{\"a\":").is_err());
    }
}
