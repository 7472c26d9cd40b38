//! TOML as the tree that YAML gives.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use trunkline_model::document::{Content, Key, Node, Place, Report, Source};

/// Reads a TOML document.
pub(crate) fn parse_toml(source: &Arc<Source>) -> Result<Node, Report> {
    let at = Offsets(source);
    match DeTable::parse(&source.text) {
        Ok(root) => {
            let span = root.span();
            Ok(at.table(root.into_inner(), span))
        }
        Err(error) => {
            let mut report = Report::default();
            let place = at.place(&error.span().unwrap_or_default());
            report.push(format!("this is not TOML: {}", error.message()), Some(place), None);
            Err(report)
        }
    }
}

/// Finds places in a text.
struct Offsets<'s>(&'s Arc<Source>);

impl Offsets<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.0.text.get(..span.start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let within = self.0.text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        Place {
            source: self.0.clone(),
            line: before.matches('\n').count() as u32 + 1,
            column: line.chars().count() as u32 + 1,
            length: within.chars().count().max(1) as u32,
        }
    }

    fn table(&self, table: DeTable<'_>, span: Range<usize>) -> Node {
        let entry = |(key, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| {
            let place = self.place(&key.span());
            (Key { text: key.into_inner().into_owned(), place }, self.value(value))
        };
        Node { place: self.place(&span), content: Content::Map(table.into_iter().map(entry).collect()) }
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let place = self.place(&span);
        let content = match value.into_inner() {
            DeValue::Table(table) => return self.table(table, span),
            DeValue::Array(items) => Content::List(items.into_iter().map(|item| self.value(item)).collect()),
            DeValue::String(text) => Content::Scalar { text: text.into_owned(), plain: false },
            // As they are written; only the digits may be apart.
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let text = self.0.text.get(span).unwrap_or_default().replace('_', "");
                Content::Scalar { text, plain: true }
            }
        };
        Node { place, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_values() {
        let text =
            "kind = \"Location\"\n[spec]\nbindAddr = '0.0.0.0:1'\nn = 1_000\n[[spec.list]]\non = true\n";
        let root = parse_toml(&Source::new("a.toml", text)).unwrap_or_else(|report| panic!("{report}"));
        let expected = serde_json::json!({"kind": "Location", "spec": {"bindAddr": "0.0.0.0:1", "n": 1000, "list": [{"on": true}]}});
        assert_eq!(root.to_json(), expected);
        let at = &root.at("spec.n").place;
        assert_eq!((at.line, at.column, at.length), (4, 5, 5));
        let wrong = parse_toml(&Source::new("a.toml", "a = 1\nb = = 2\n")).expect_err("no TOML");
        assert!(wrong.to_string().contains("a.toml:2:5"), "{wrong}");
    }
}
