//! The table of properties in docs/routr-v1.md is the list in the code, and each of its tests is there.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use trunkline_model::dialect::v1::properties;

const BEGIN: &str = "<!-- properties: made from crates/model/src/dialect/v1/properties.txt -->\n";
const END: &str = "<!-- end of properties -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> String {
    let mut text = String::new();
    let mut kind = None;
    for property in properties() {
        let of = property.of.map_or("Configuration", |of| of.kinds().last().copied().unwrap_or_default());
        if kind != Some(of) {
            let _ = write!(
                text,
                "\n### {of}\n\n| property | releases | what it does | shown by |\n| --- | --- | --- | --- |\n"
            );
            kind = Some(of);
        }
        let releases = property.releases.to_lowercase();
        let _ = writeln!(
            text,
            "| `{}` | {releases} | {} | `{}` |",
            property.path, property.does, property.shown_by
        );
    }
    text
}

/// `TRUNKLINE_WRITE_DOCS=1` writes the table; otherwise it must be there.
#[test]
fn the_table_is_the_list() {
    let file = root().join("docs/routr-v1.md");
    let text = std::fs::read_to_string(&file).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (found, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("TRUNKLINE_WRITE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{}\n{END}{after}", table())).expect("written");
        return;
    }
    let help = "TRUNKLINE_WRITE_DOCS=1 cargo test -p trunkline-model --test properties_v1";
    assert!(found == format!("{}\n", table()), "docs/routr-v1.md is not the list: {help}");
}

#[test]
fn each_test_of_the_list_is_there() {
    let mut names = HashSet::new();
    let mut folders = vec![root().join("crates"), root().join("tests/flows")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let lines: Vec<&str> = text.lines().map(str::trim).collect();
                for pair in lines.windows(2) {
                    let name = pair[1].strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                    names.extend(name.filter(|_| pair[0] == "#[test]").map(str::to_owned));
                }
            }
        }
    }
    let missing: Vec<_> = properties().filter(|p| !names.contains(p.shown_by)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(properties().count() > 80, "the list is read");
}
