//! Causes of failures that a list of events shows, and what to do about them.

use trunkline_reasons::Reason;

use super::sign::Sign;
use crate::event::Answer;

/// The causes, the most important first.
pub(super) fn of<'s>(
    (result, failed): (Option<Answer>, bool),
    signs: impl Iterator<Item = &'s Sign> + Clone,
) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(reason) = result.and_then(|answer| answer.reason).filter(|_| failed) {
        out.push(format!("Cause ({}): {}", reason.code(), reason.meaning()));
        out.push(format!("To do: {}", reason.remedy()));
        out.extend(side(reason));
    }
    out.extend(refused_by_carrier(signs.clone()).filter(|_| failed));
    out.extend(many_stale(signs.clone()));
    for sign in signs {
        match sign {
            Sign::Media(why) => out.push(format!("Media relay: {why}")),
            Sign::Arrived { private_media: true, source, .. } => out.push(format!(
                "The SDP from {source} names a private address: without a media relay (key rtpengine) the other side sends \
                 its sound nowhere."
            )),
            Sign::Arrived { contact, source, method, .. } if !contact.is_empty() && method != "REGISTER" => {
                out.push(format!(
                    "Contact names {contact}, but the packet came from {source}: the client is behind a NAT, or a router \
                     (ALG) changed the message."
                ));
            }
            _ => {}
        }
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|hint| seen.insert(hint.clone()));
    out
}

/// Whose password is wrong.
fn side(reason: Reason) -> Option<String> {
    Some(
        match reason.code() {
            "auth.wrong-password" => {
                "The wrong password is the one in the phone, or in its credentials here."
            }
            "trunk.rejected-our-credentials" => {
                "The wrong password is the one of the trunk here, not the phone's."
            }
            _ => return None,
        }
        .into(),
    )
}

/// What a carrier's refusal says of the number.
fn refused_by_carrier<'s>(signs: impl Iterator<Item = &'s Sign>) -> Option<String> {
    let mut sent: Option<&str> = None;
    let mut found = None;
    for sign in signs {
        match sign {
            Sign::Sent { uri, trunk } if !trunk.is_empty() => sent = Some(uri),
            Sign::Sent { .. } => sent = None,
            Sign::Heard { code: 404 | 484 | 604, .. } => {
                found = found.or(sent.map(|uri| {
                    let form = if uri.contains(":+") { "with a plus" } else { "without a plus" };
                    format!("The carrier does not know {uri}: check whether it wants numbers {form}, as it was sent.")
                }));
            }
            Sign::Heard { code: 488 | 606, why } => {
                found =
                    found.or(Some(format!("Both sides have no common codec or encryption of media. {why}")));
            }
            _ => {}
        }
    }
    found
}

/// A client that is challenged again and again.
fn many_stale<'s>(signs: impl Iterator<Item = &'s Sign>) -> Option<String> {
    let stale =
        |sign: &&Sign| matches!(sign, Sign::Answered(a) if a.reason == Reason::from_code("auth.stale"));
    (signs.filter(stale).count() >= 3).then(|| {
        "The client gets a new nonce again and again: its address changes between two packets (NAT with several addresses), \
         or its credentials are older than the nonce's life."
            .into()
    })
}
