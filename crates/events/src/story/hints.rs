//! Causes of failures that a list of events shows, and what to do about them. A finding has a name, which programs can go by.

use trunkline_reasons::Reason;
use trunkline_sip::Transport;

use super::sign::Sign;
use super::words::name;
use crate::event::{Answer, Failure};

/// A cause that was found.
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) text: String,
}

fn finding(name: &'static str, text: impl Into<String>) -> Finding {
    Finding { name, text: text.into() }
}

/// What went wrong and what to do in words, and the names of what was found; the most important first.
pub(super) fn of<'s>(
    (result, failed): (Option<Answer>, bool),
    signs: impl Iterator<Item = &'s Sign> + Clone,
) -> (Vec<String>, Vec<&'static str>) {
    let mut hints = Vec::new();
    let reason = result.and_then(|answer| answer.reason).filter(|_| failed);
    if let Some(reason) = reason {
        hints.push(format!("Cause ({}): {}", reason.code(), reason.meaning()));
        hints.push(format!("To do: {}", reason.remedy()));
    }
    let mut found = Vec::new();
    found.extend(reason.and_then(side));
    if failed {
        found.extend(on_the_way(signs.clone()));
        found.extend(refused_by_callee(signs.clone()));
        found.extend(reason.and_then(|reason| number_format(reason, signs.clone())));
    }
    found.extend(many_stale(signs.clone()));
    found.extend(clock(signs.clone()));
    found.extend(media(result, signs.clone()));
    found.extend(signs.filter_map(addresses));
    let mut names = Vec::new();
    for Finding { name, text } in found {
        // One of a kind is enough to act upon.
        if !names.contains(&name) {
            names.push(name);
            hints.push(format!("Finding ({name}): {text}"));
        }
    }
    (hints, names)
}

/// Whose password is wrong.
fn side(reason: Reason) -> Option<Finding> {
    match reason.code() {
        "auth.wrong-password" => Some(finding(
            "password.phone",
            "The wrong password is the one in the phone, or in its credentials here (trunkline credentials).",
        )),
        "trunk.rejected-our-credentials" => Some(finding(
            "password.trunk",
            "The wrong password is the one of the trunk here, not the phone's: correct its outbound credentials.",
        )),
        _ => None,
    }
}

/// What is known of the way to a target.
struct Way<'s> {
    branch: u8,
    /// `trunk provider`, or `the callee`.
    whose: String,
    transport: Transport,
    to: &'s str,
}

/// Why targets could not be reached.
fn on_the_way<'s>(signs: impl Iterator<Item = &'s Sign>) -> Vec<Finding> {
    let mut ways: Vec<Way<'s>> = Vec::new();
    let mut found = Vec::new();
    for sign in signs {
        match sign {
            Sign::Sent { branch, trunk, transport, to, .. } => {
                let whose = if trunk.is_empty() { "the callee".to_owned() } else { format!("trunk {trunk}") };
                ways.retain(|way| way.branch != *branch);
                ways.push(Way { branch: *branch, whose, transport: *transport, to });
            }
            Sign::Failed { branch, how } => {
                let way = ways.iter().find(|way| way.branch == *branch);
                found.extend(way.and_then(|way| unreached(way, *how)));
            }
            _ => {}
        }
    }
    found
}

fn unreached(way: &Way<'_>, how: Failure) -> Option<Finding> {
    let Way { whose, transport, to, .. } = way;
    let transport = name(*transport);
    Some(match how {
        Failure::Unreachable | Failure::NoConnection => finding(
            "transport.nothing-listens",
            format!(
                "Nothing listens at {to} over {transport}: compare host, port and transport in the address of {whose} with \
                 what the other side offers."
            ),
        ),
        Failure::NoTls => finding(
            "transport.no-tls",
            format!(
                "{to} speaks no TLS: set the port for TLS (often 5061) in the address of {whose}, or another transport."
            ),
        ),
        Failure::CertificateName => finding(
            "certificate.name",
            format!(
                "The certificate at {to} is for another name than that in the address of {whose}: write the name that the \
                 certificate contains there."
            ),
        ),
        Failure::CertificateExpired => finding(
            "certificate.expired",
            format!("The certificate at {to} has expired, or the clock of this machine is wrong (date)."),
        ),
        Failure::CertificateEarly => finding(
            "clock.certificate",
            format!(
                "The certificate at {to} is not valid yet: the clock of this machine is behind (date), or that of the \
                 machine that made the certificate is ahead."
            ),
        ),
        Failure::CertificateUntrusted => finding(
            "certificate.untrusted",
            format!(
                "The certificate at {to} is from no authority that is trusted: add its authority to tls.trustedCa."
            ),
        ),
        Failure::TlsRefused => finding(
            "certificate.refused",
            format!(
                "{to} refused the TLS handshake: it may want a certificate of the exchange (clientCertificate of the trunk), \
                 or another version of TLS (tls.minVersion)."
            ),
        ),
        Failure::Silent
        | Failure::ConnectionEnded
        | Failure::NoAnswer
        | Failure::NoHandshake
        | Failure::NoWay => return None,
    })
}

/// What the refusal of a carrier says of the number, and that of a callee of its media.
fn refused_by_callee<'s>(signs: impl Iterator<Item = &'s Sign>) -> Option<Finding> {
    let mut sent: Option<&str> = None;
    for sign in signs {
        match sign {
            Sign::Sent { uri, trunk, .. } => sent = (!trunk.is_empty()).then_some(uri),
            Sign::Heard { code: 404 | 484 | 604, .. } => {
                let Some(uri) = sent else { continue };
                let form = if uri.contains(":+") { "with a plus" } else { "without a plus" };
                return Some(finding(
                    "number.format",
                    format!(
                        "The carrier does not know {uri}: check whether it wants numbers {form}, as it was sent \
                         (routing.e164), and in the international form."
                    ),
                ));
            }
            Sign::Heard { code: 488 | 606, why, .. } => {
                let text = format!("Both sides have no common codec or encryption of media. {why}");
                return Some(finding("media.no-codec", text.trim_end()));
            }
            _ => {}
        }
    }
    None
}

/// A number that a carrier called, in a form that none of ours has.
fn number_format<'s>(reason: Reason, mut signs: impl Iterator<Item = &'s Sign>) -> Option<Finding> {
    if reason.code() != "number.unknown" {
        return None;
    }
    let uri = signs.find_map(|sign| match sign {
        Sign::Arrived { uri, .. } => Some(uri),
        _ => None,
    })?;
    Some(finding(
        "number.format",
        format!(
            "The carrier called {uri}: telUrl of a number must have the same digits, with the code of the country if the carrier \
             sends it; a plus does not matter (trunkline numbers)."
        ),
    ))
}

/// A client that is challenged again and again.
fn many_stale<'s>(signs: impl Iterator<Item = &'s Sign>) -> Option<Finding> {
    let stale =
        |sign: &&Sign| matches!(sign, Sign::Answered(a) if a.reason == Reason::from_code("auth.stale"));
    (signs.filter(stale).count() >= 3).then(|| {
        finding(
            "nat.changing-address",
            "The client gets a new nonce again and again: its address changes between two packets (NAT with several \
             addresses), or its credentials are older than the nonce's life.",
        )
    })
}

/// Clocks that differ.
fn clock<'s>(mut signs: impl Iterator<Item = &'s Sign>) -> Option<Finding> {
    signs.find_map(|sign| match sign {
        Sign::Heard { clock, code, .. } if *clock != 0 => {
            let (by, how) = (clock.unsigned_abs(), if *clock > 0 { "ahead of" } else { "behind" });
            Some(finding(
                "clock.skew",
                format!(
                    "The clock of the other side, which answered {code}, is {by} seconds {how} the one of this machine: set both by \
                     NTP. Certificates, signatures and tokens depend on the time."
                ),
            ))
        }
        _ => None,
    })
}

/// Media that cannot arrive.
fn media<'s>(result: Option<Answer>, signs: impl Iterator<Item = &'s Sign> + Clone) -> Vec<Finding> {
    let mut found = Vec::new();
    let refused = signs.clone().find_map(|sign| match sign {
        Sign::Media(why) => Some(why),
        _ => None,
    });
    found.extend(refused.map(|why| finding("media.relay", format!("Media relay: {why}"))));
    if signs.clone().any(|sign| matches!(sign, Sign::Relay)) {
        return found;
    }
    let mut private = signs.filter_map(|sign| match sign {
        Sign::Arrived { private_media: true, source, .. } => Some(format!("of the caller, from {source},")),
        Sign::Heard { private_media: true, .. } => Some("of the callee".to_owned()),
        _ => None,
    });
    let Some(whose) = private.next() else { return found };
    found.push(finding(
        "sdp.private-address",
        format!("The SDP {whose} names a private address, which the other side cannot send its sound to."),
    ));
    if result.is_some_and(|answer| (200..300).contains(&answer.code)) {
        found.push(finding(
            "nat.no-media-relay",
            "The call went through a NAT and was answered, but no media relay took part, so one side or both hear nothing: run \
             rtpengine and set its address (key rtpengine).",
        ));
    }
    found
}

/// Addresses that cannot be right.
fn addresses(sign: &Sign) -> Option<Finding> {
    match sign {
        Sign::Arrived { rewritten: true, contact, source, .. } => Some(finding(
            "contact.alg",
            format!(
                "Contact names {contact}, Via another address, and the packet came from {source}: a router on the way changes \
                 SIP messages. Switch its SIP ALG off, or let the phone use TLS."
            ),
        )),
        Sign::Arrived { contact, source, method, .. } if !contact.is_empty() && method != "REGISTER" => {
            Some(finding(
                "contact.nat",
                format!(
                    "Contact names {contact}, but the packet came from {source}: the client is behind a NAT."
                ),
            ))
        }
        Sign::Sent { unheard: true, trunk, transport, to, .. } => {
            let whose = if trunk.is_empty() { to.clone() } else { format!("trunk {trunk}") };
            let key = transport.to_string().to_lowercase();
            Some(finding(
                "transport.no-listener",
                format!(
                    "The call goes to {whose} over {}, and the exchange does not listen there: calls and requests of the other side \
                     cannot come in. Set listen.{key}.",
                    name(*transport)
                ),
            ))
        }
        _ => None,
    }
}
