//! An event in words.

use trunkline_sip::{Transport, reason};

use super::sign::Sign;
use crate::event::{Answer, Event, Failure};

/// A text of the wire as it may be shown: without the password of a URI, and without control characters.
pub fn shown(bytes: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let (Some(scheme), Some(at)) = (text.find(':'), text.find('@')) else { return text };
    match text.get(scheme + 1..at).and_then(|user| user.find(':')) {
        Some(colon) => {
            let user = text.get(..scheme + 1 + colon).unwrap_or_default();
            format!("{user}:…{}", text.get(at..).unwrap_or_default())
        }
        None => text,
    }
}

/// As operators write it.
pub(super) fn name(transport: Transport) -> String {
    transport.to_string().to_uppercase()
}

/// Fills the gaps (`{}`) of a fact's words with its names, which have NUL between.
pub fn filled(words: &str, names: &str) -> String {
    let mut names = names.split('\0');
    let mut out = String::new();
    for (place, part) in words.split("{}").enumerate() {
        if place > 0 {
            out += names.next().unwrap_or_default();
        }
        out += part;
    }
    shown(out.as_bytes())
}

/// What it says; `true`: it explains what was said before.
pub(crate) fn of(event: &Event<'_>) -> (String, bool) {
    match event {
        Event::Arrived(a) if a.own => {
            let (method, uri, why) = (shown(a.method), shown(a.uri), shown(a.agent));
            (format!("the exchange sends {method} {uri} in the name of {}: {why}", a.source), false)
        }
        Event::Arrived(a) => {
            let mut out = format!(
                "{} {} arrived from {} over {}",
                shown(a.method),
                shown(a.uri),
                a.source,
                name(a.transport)
            );
            if a.credentials {
                out += ", with credentials";
            }
            if !a.agent.is_empty() {
                out += &format!(" ({})", shown(a.agent));
            }
            (out, false)
        }
        Event::Fact { words, names } => (filled(words, names), true),
        Event::Waits(b"") => ("waits for the media relay".into(), false),
        Event::Waits(name) => (format!("waits for DNS: {}", shown(name)), false),
        Event::GoesOn => ("goes on".into(), false),
        Event::Sent(a) => {
            let trunk = if a.trunk.is_empty() { String::new() } else { format!(", trunk {}", a.trunk) };
            let out = format!(
                "→ {} at {} over {}{trunk}, branch {}",
                shown(a.uri),
                a.to,
                name(a.transport),
                a.branch
            );
            (out, false)
        }
        Event::Heard(h) => {
            let mut out = format!("← {} {}, branch {}", h.code, shown(h.phrase), h.branch);
            if !h.why.is_empty() {
                out += &format!(" ({})", shown(h.why));
            }
            (out, false)
        }
        Event::Failed { branch, how } => {
            let what = match how {
                Failure::Silent => "no answer came in time",
                Failure::Unreachable => "the network says that the packet cannot be delivered (ICMP)",
                Failure::NoConnection => "no connection could be made",
                Failure::ConnectionEnded => "the connection ended",
                Failure::NoAnswer => "it rang, and nobody took the call in time",
                Failure::NoTls => "the other side speaks no TLS",
                Failure::CertificateName => "the certificate of the other side is for another name",
                Failure::CertificateExpired => "the certificate of the other side has expired",
                Failure::CertificateEarly => "the certificate of the other side is not valid yet",
                Failure::CertificateUntrusted => {
                    "the certificate of the other side is from an authority that is not trusted"
                }
                Failure::TlsRefused => "the other side refused the TLS handshake",
                Failure::NoHandshake => "the TLS handshake failed",
                Failure::NoWay => "nothing was sent: no address of this target can be used now",
            };
            (format!("branch {branch}: {what}"), false)
        }
        Event::Media(why) => (format!("media: {why}"), true),
        Event::Diverted(to) => (format!("goes on to {}", shown(to)), false),
        Event::Cancelled => ("the caller cancels".into(), false),
        Event::Answered(Answer { code, reason: why, ours }) => {
            let mut out = format!("the caller gets {code} {}", reason(*code));
            if let Some(why) = why.filter(|_| *ours) {
                out += &format!(": {}", why.code());
            }
            (out, false)
        }
    }
}

pub(super) fn sign(event: &Event<'_>) -> Sign {
    match event {
        Event::Arrived(a) => Sign::Arrived {
            method: shown(a.method),
            from: shown(a.from),
            uri: shown(a.uri),
            call_id: String::from_utf8_lossy(a.call_id).into_owned(),
            inside: a.inside,
            contact: shown(a.contact),
            source: a.source.ip().to_string(),
            private_media: a.private_media,
            rewritten: a.rewritten,
        },
        Event::Waits(b"") => Sign::Relay,
        Event::Sent(a) => Sign::Sent {
            branch: a.branch,
            uri: shown(a.uri),
            trunk: a.trunk.to_owned(),
            transport: a.transport,
            to: a.to.to_string(),
            unheard: a.unheard,
        },
        Event::Heard(h) => {
            Sign::Heard { code: h.code, why: shown(h.why), private_media: h.private_media, clock: h.clock }
        }
        Event::Failed { branch, how } => Sign::Failed { branch: *branch, how: *how },
        Event::Media(why) => Sign::Media((*why).to_owned()),
        Event::Answered(answer) => Sign::Answered(*answer),
        Event::Fact { .. } | Event::Waits(_) | Event::GoesOn | Event::Diverted(_) | Event::Cancelled => {
            Sign::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_uris_and_control_characters_are_not_shown() {
        for (text, want) in [
            ("sip:1001:secret@sip.local", "sip:1001:…@sip.local"),
            ("sip:1001@sip.local:5060", "sip:1001@sip.local:5060"),
            ("tel:+4930", "tel:+4930"),
            ("sip:a\x1b[31m@h", "sip:a\u{fffd}[31m@h"),
        ] {
            assert_eq!(shown(text.as_bytes()), want);
        }
    }
}
