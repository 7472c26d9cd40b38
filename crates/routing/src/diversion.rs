//! What a diverted call says of its way: Diversion (RFC 5806) and History-Info (RFC 7044).

use std::io::Write;

use trunkline_sip::{HeaderName, Span};

use crate::ask::Ask;
use crate::call::Call;
use crate::decision::push_header;
use crate::request::Request;
use crate::rules::Rules;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Adds one Diversion per AOR that did not take the call, the last on top, and the way in History-Info.
    pub(crate) fn write_history(&mut self, call: &Call<'s, 'x>) {
        // A diversion is rare and its texts short: here memory is taken.
        let mut passed: Vec<(String, u16)> = Vec::new();
        let mut last = String::new();
        if let Some(diversion) = self.request.diversion {
            passed.push((diversion.from.to_owned(), diversion.cause));
            diversion.to.clone_into(&mut last);
        }
        for (agent, domain) in &call.diverted {
            passed.push((format!("sip:{}@{}", agent.username, domain.domain_uri), 480));
            last = agent.fallback_no_answer.clone().unwrap_or_default();
        }
        let clean = |text: &str| !text.bytes().any(|b| b <= b' ' || matches!(b, b'<' | b'>' | b'"'));
        if !clean(&last) || !passed.iter().all(|(aor, _)| clean(aor)) {
            return;
        }
        let mut lines = Vec::new();
        for (aor, cause) in passed.iter().rev() {
            let value = format!("<{aor}>;reason={};counter=1", reason(*cause));
            push_header(&mut lines, "Diversion", value.as_bytes());
        }
        match self.request.message.header_line(HeaderName::Diversion) {
            Some(top) => self.decision.replace(Span { start: top.line.start, end: top.line.start }, &lines),
            None => self.decision.add_lines(&lines),
        }
        self.decision.add_header("History-Info", &history(&last_index(self.request), &passed, &last));
    }
}

/// The entries of History-Info: those the call went past, each with the reason it did not stay, and the target.
/// With `known` the first is there already, under that index.
fn history(known: &str, passed: &[(String, u16)], last: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut index = known.to_owned();
    let mut mapped = String::new();
    for (i, (aor, cause)) in passed.iter().enumerate() {
        if i == 0 && !known.is_empty() {
            mapped = format!(";mp={known}");
            continue;
        }
        index.push_str(if index.is_empty() { "1" } else { ".1" });
        let _ = write!(out, "<{aor}?Reason=SIP%3Bcause%3D{cause}>;index={index}{mapped}, ");
        mapped = format!(";mp={index}");
    }
    let _ = write!(out, "<{last}>;index={index}.1{mapped}");
    out
}

/// The index of the last entry a request brings along; empty when it brings none.
fn last_index(request: &Request<'_>) -> String {
    let entry = request.message.list(HeaderName::HistoryInfo).flatten().last();
    let address = entry.and_then(|e| trunkline_sip::Address::parse(e, "History-Info").ok());
    let index = address.and_then(|a| a.param("index").flatten()).unwrap_or_default();
    let valid = index.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if valid { String::from_utf8_lossy(index).into_owned() } else { String::new() }
}

/// The reason of RFC 5806 §5.1 for a status.
fn reason(cause: u16) -> &'static str {
    match cause {
        486 | 600 => "user-busy",
        408 | 487 => "no-answer",
        603 => "do-not-disturb",
        480 | 404 => "unavailable",
        _ => "unconditional",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_call() {
        let passed = [("sip:a@h".to_owned(), 486), ("sip:b@h".to_owned(), 480)];
        let text =
            |known: &str, n: usize| String::from_utf8(history(known, &passed[..n], "sip:vm@h")).unwrap();
        assert_eq!(text("", 1), "<sip:a@h?Reason=SIP%3Bcause%3D486>;index=1, <sip:vm@h>;index=1.1;mp=1");
        assert_eq!(
            text("", 2),
            "<sip:a@h?Reason=SIP%3Bcause%3D486>;index=1, <sip:b@h?Reason=SIP%3Bcause%3D480>;index=1.1;mp=1, \
             <sip:vm@h>;index=1.1.1;mp=1.1"
        );
        assert_eq!(text("1.2", 1), "<sip:vm@h>;index=1.2.1;mp=1.2");
    }
}
