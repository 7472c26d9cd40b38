//! `docs/reasons.md`, made from the list.

use std::fmt::Write as _;

use crate::Reason;

/// The page of all reasons, as Markdown: one table per subject.
pub fn page() -> String {
    let mut out = String::from(
        "# Reason codes\n\n\
         The exchange gives each answer that it makes itself a reason code. The code is in the call record, the log, the events \
         and the label `reason` of the metric `trunkline_reasons_total`. It is also in the answer, in a `Warning` header with \
         the warn-code 399 (RFC 3261 section 20.43), where it reveals nothing to a stranger: codes marked with \u{2020} are sent \
         to everybody, the others only to callers that have proven who they are.\n\n\
         This page is made from the list in `crates/reasons/src/list.rs`; a test compares them.\n",
    );
    let mut subject = "";
    for reason in Reason::ALL {
        if reason.subject() != subject {
            subject = reason.subject();
            let _ = write!(
                out,
                "\n## {subject}\n\n| code | SIP status | meaning | what to do |\n| --- | --- | --- | --- |\n"
            );
        }
        let mark = if reason.is_public() { " \u{2020}" } else { "" };
        let (code, status) = (reason.code(), reason.status());
        let _ = writeln!(out, "| `{code}`{mark} | {status} | {} | {} |", reason.meaning(), reason.remedy());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `UPDATE_DOCS` set it writes the page.
    #[test]
    fn the_page_in_docs_is_made_from_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reasons.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == page(), "docs/reasons.md is old: run UPDATE_DOCS=1 cargo test -p trunkline-reasons");
    }
}
