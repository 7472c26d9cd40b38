//! The table of operations that the documentation has.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use trunkline_ari::OPERATIONS;

use crate::bus::Shown;

/// The table of the documentation: operation, kinds, Asterisk version and what this run showed.
pub fn write_table(shown: &BTreeMap<&'static str, Shown>, version: &str) {
    let mut out = String::from("# REST operations and kinds\n\n");
    let _ = writeln!(
        out,
        "Written by `cargo test -p trunkline-tests-ari --test asterisk`, which ran against Asterisk {version}.\n\
         *ok*: the run saw the kind succeed; *failure*: it saw the kind fail as Asterisk or the proxy says;\n\
         *down*: it saw the answer while Asterisk was killed.\n"
    );
    out.push_str("| operation | since | kind | of ari-proxy 5.3 | shown |\n|---|---|---|---|---|\n");
    for operation in OPERATIONS {
        let since = if operation.since.is_empty() { "22.0" } else { operation.since };
        if operation.kinds.is_empty() {
            let _ = writeln!(
                out,
                "| {} {} | {since} | (the event subjects) | | ok |",
                operation.method, operation.path
            );
        }
        for kind in operation.kinds {
            let state = shown.get(kind.name()).cloned().unwrap_or_default();
            let parts = [(state.ok, "ok"), (state.failed.is_some(), "failure"), (state.down, "down")];
            let parts: Vec<_> = parts.iter().filter(|(is, _)| *is).map(|(_, n)| *n).collect();
            let own = if kind.is_upstream() { "yes" } else { "no" };
            let _ = writeln!(
                out,
                "| {} {} | {since} | {} | {own} | {} |",
                operation.method,
                operation.path,
                kind.name(),
                parts.join(", ")
            );
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ari-operations.md");
    std::fs::write(path, out).expect("docs/ari-operations.md");
}
