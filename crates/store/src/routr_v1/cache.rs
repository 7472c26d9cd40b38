//! The copy of a provider's resources on disk, for a start without the provider.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trunkline_model::dialect::v1::Collection;

use super::as_documents;
use super::provider::{Texts, ref_of, text_of};

/// A file, for its owner's eyes only: the documents hold secrets.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    /// Of which provider it is.
    provider: String,
}

impl Cache {
    pub fn new(file: &Path, provider: &str) -> Cache {
        Cache { file: file.to_owned(), provider: provider.to_owned() }
    }

    /// Keeps the documents. What goes wrong is logged: the exchange serves all the same.
    pub fn keep(&self, texts: &Texts, configuration: Option<&Value>) {
        if let Err(error) = self.write(texts, configuration) {
            tracing::warn!(file = %self.file.display(), %error, "cannot write the copy of the data provider's resources");
        }
    }

    fn write(&self, texts: &Texts, configuration: Option<&Value>) -> io::Result<()> {
        let documents: Vec<Value> = as_documents(texts)
            .filter_map(|(collection, text)| {
                let document: Value = serde_json::from_str(text).ok()?;
                Some(json!({"collection": collection.names().last(), "document": document}))
            })
            .collect();
        let mut whole = json!({"provider": self.provider, "documents": documents});
        if let Some(configuration) = configuration {
            whole["configuration"] = configuration.clone();
        }
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(&mut file, &whole)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        std::fs::rename(part, &self.file)
    }

    /// The stored copy of the same provider, if there is one: its documents and its configuration.
    pub fn read(&self) -> Option<(Texts, Option<Value>)> {
        let bytes = std::fs::read(&self.file).ok()?;
        let mut whole: Value = serde_json::from_slice(&bytes).ok()?;
        let configuration = whole.get_mut("configuration").map(Value::take);
        if whole["provider"].as_str() != Some(&self.provider) {
            return None;
        }
        let entries = whole["documents"].as_array()?;
        let texts = entries.iter().filter_map(|entry| {
            let collection = Collection::of_name(entry["collection"].as_str()?)?;
            let document = entry.get("document")?;
            let name = ref_of(document).unwrap_or("a document without a ref");
            Some((collection, text_of(&self.provider, name, document)))
        });
        Some((texts.collect(), configuration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn kept_for_its_owner_and_for_one_provider() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept");
        let cache = Cache::new(&file, "Redis at a:1");
        assert!(cache.read().is_none());
        let document = json!({"kind": "Agent", "metadata": {"ref": "ag1"}, "spec": {"x": "\u{1f600}\u{0}"}});
        let configuration = json!({"apiVersion": "v1beta1", "spec": {}});
        let texts = vec![(Collection::Agents, text_of("Redis at a:1", "ag1", &document))];
        cache.keep(&texts, Some(&configuration));
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        let (read, kept) = cache.read().expect("kept");
        assert_eq!(kept, Some(configuration));
        let [(Collection::Agents, text)] = &read[..] else { panic!("{read:?}") };
        assert_eq!(serde_json::from_str::<Value>(&text.text).expect("JSON"), document);
        assert_eq!(text.name, "Redis at a:1, ag1");
        assert!(Cache::new(&file, "Redis at b:1").read().is_none());
        cache.keep(&texts, None);
        assert_eq!(cache.read().expect("kept").1, None);
    }
}
