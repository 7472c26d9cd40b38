//! Which headers of a message go no further, and which parameters of its URIs: one rule for first requests, requests inside
//! a dialog and responses.

use std::cell::OnceCell;

use trunkline_sip::{Header, HeaderName, Message, Span};

use crate::parameters::{each_unwanted, each_verified, holds_uri, in_request_uri};
use crate::party::RoutedKind;

/// Headers of ours that nobody from outside may set.
const OURS: [&[u8]; 4] = [b"X-Gateway-Auth", b"X-Connect-Token", b"X-Edgeport-Ref", b"X-Call-Direction"];

/// A transfer by BYE, of a draft that expired in 2000 and that old PBXs follow all the same. REFER has rules, this has none.
const OLD_TRANSFER: [&[u8]; 2] = [b"Also", b"Requested-By"];

/// What is said of a party, of who pays or of a peer's own number (RFC 3325, 6050, 7315, 5503, 8496): believed of trunks
/// and peers alone. A name that ends in `-` stands for all that begin so.
const CLAIMS: [&[u8]; 30] = [
    b"P-Associated-URI",
    b"P-Attestation-Indicator",
    b"P-Charge-Info",
    b"P-Charging-Vector",
    b"P-Charging-Function-Addresses",
    b"P-Asserted-Service",
    b"P-Origination-ID",
    b"P-Preferred-Service",
    b"P-Served-User",
    b"P-Profile-Key",
    b"P-User-Database",
    b"P-Visited-Network-ID",
    b"P-Private-Network-Indication",
    b"P-DCS-",
    b"X-Asserted-Identity",
    b"X-Charge-Number",
    b"X-DOD-Number",
    b"X-DOD-Privacy",
    b"Additional-Identity",
    b"Attestation-Info",
    b"Charge-Number",
    b"Charge",
    b"Origination-Id",
    b"Priority-Verstat",
    b"Relayed-Charge",
    b"Isup-OLI",
    b"Proxy-Asserted-Identity",
    b"Verstat",
    b"X-Isup-OLI",
    b"X-Verstat",
];

/// What says to a carrier from which number a call was diverted to it, at whose expense it then is, or that it goes before
/// others (RFC 5806, 7044, 4412), beside the headers that have a name of their own: believed of trunks and peers alone, and
/// of others it goes to no carrier. Phones may tell each other.
const CLAIMS_TO_CARRIERS: [&[u8]; 5] =
    [b"CC-Diversion", b"P-Called-Party-ID", b"Resource-Priority", b"X-Diversion", b"X-History-Info"];

/// What has a phone answer by itself, or take the place of a party of a call or join it (RFC 3891, 3911, 4538, 5373): believed of
/// everybody but strangers, agents that have not shown who they are, and other domains.
const COMMANDS: [&[u8]; 9] = [
    b"Alert-Info",
    b"Answer-Mode",
    b"Auto-Answer",
    b"Join",
    b"P-Auto-Answer",
    b"Priv-Answer-Mode",
    b"Target-Dialog",
    b"X-Auto-Answer",
    b"X-AutoAnswer",
];

/// What a server says of the digest that it asked for (RFC 7615).
const DIGEST_INFO: [&[u8]; 2] = [b"Authentication-Info", b"Proxy-Authentication-Info"];

/// What has nothing to do in a response, and what a phone may follow all the same: the call to be replaced or joined, beside
/// Replaces and Refer-To, and an announcement to be called (RFC 3261 §20.18).
const COMMANDS_IN_RESPONSES: [&[u8]; 3] = [b"Error-Info", b"Join", b"Target-Dialog"];

/// The options of these headers: who gets the message without the header is not to refuse it because of its option.
const COMMAND_OPTIONS: [&[u8]; 4] = [b"answermode", b"join", b"replaces", b"tdialog"];

/// Between whom a message goes.
#[derive(Clone, Copy)]
pub struct Passage<'a> {
    /// What its sender is.
    pub from: RoutedKind,
    /// May it command phones: has an agent shown who it is, and is the receiver of its own domain, or of one that lets others? Strangers
    /// may never, and carriers always.
    pub shown: bool,
    /// Are the sender's challenges passed on, so that what it says of the digest is for the receiver too?
    pub asks: bool,
    /// What its receiver is.
    pub to: RoutedKind,
    /// May the sender say a parameter of this name (in lower case, decoded) to the carriers that may get the message?
    pub allows: &'a dyn Fn(&[u8]) -> bool,
}

impl Passage<'_> {
    /// Is the sender believed when it says who somebody is (RFC 3325 §5)?
    fn is_believed(&self) -> bool {
        match self.from {
            RoutedKind::Peer | RoutedKind::Pstn => true,
            RoutedKind::Unknown | RoutedKind::Agent => false,
        }
    }

    /// Do phones do as the sender's headers say?
    fn commands(&self) -> bool {
        match self.from {
            RoutedKind::Pstn => true,
            RoutedKind::Agent | RoutedKind::Peer => self.shown,
            RoutedKind::Unknown => false,
        }
    }

    /// Is the receiver to see what somebody withholds? Phones are not (RFC 3325 §7).
    fn sees_withheld(&self) -> bool {
        !matches!(self.to, RoutedKind::Agent | RoutedKind::Unknown)
    }

    /// May the receiver choose a route or a price by what a URI says?
    fn reaches_carriers(&self) -> bool {
        matches!(self.to, RoutedKind::Pstn | RoutedKind::Unknown)
    }
}

/// Calls `out` for each stretch of the message that goes no further. From and To of a response are those of its request.
pub fn filter(message: &Message<'_>, passage: &Passage<'_>, mut out: impl FnMut(Span)) {
    let carriers = passage.reaches_carriers();
    if carriers && message.status().is_none() {
        let span = message.uri_span();
        in_request_uri(message.uri_text(), passage.allows, |from, to| out(within(span, from, to)));
    }
    // A message may have thousands of identities.
    let withheld = OnceCell::new();
    let withheld = || *withheld.get_or_init(|| withholds_identity(message));
    for header in message.index.headers() {
        if is_judged(header.name) && goes_no_further(message, header, passage, &withheld) {
            out(header.line);
        } else if header.name == HeaderName::Require {
            if !passage.commands() {
                let value = header.value.of(message.bytes);
                each_command_option(value, |from, to| out(within(header.value, from, to)));
            }
        } else if carriers && speaks_to_carriers(header.name, message) {
            let value = header.value.of(message.bytes);
            if holds_uri(value) {
                each_unwanted(value, passage.allows, |from, to| out(within(header.value, from, to)));
            }
        } else if header.name == HeaderName::From && message.status().is_none() && !passage.is_believed() {
            let value = header.value.of(message.bytes);
            each_verified(value, |from, to| out(within(header.value, from, to)));
        }
    }
}

fn within(span: Span, from: usize, to: usize) -> Span {
    Span { start: span.start + from as u16, end: span.start + to as u16 }
}

/// May a header of this name be left out whole?
fn is_judged(name: HeaderName) -> bool {
    const fn bit(name: HeaderName) -> u64 {
        1 << name as u8
    }
    const JUDGED: u64 = bit(HeaderName::PAssertedIdentity)
        | bit(HeaderName::RemotePartyId)
        | bit(HeaderName::PPreferredIdentity)
        | bit(HeaderName::Diversion)
        | bit(HeaderName::HistoryInfo)
        | bit(HeaderName::Replaces)
        | bit(HeaderName::ReferTo)
        | bit(HeaderName::Require)
        | bit(HeaderName::WwwAuthenticate)
        | bit(HeaderName::ProxyAuthenticate)
        | bit(HeaderName::Other);
    JUDGED & bit(name) != 0
}

/// Is the whole header left out?
fn goes_no_further(
    message: &Message<'_>,
    header: &Header,
    passage: &Passage<'_>,
    withheld: &dyn Fn() -> bool,
) -> bool {
    let is_answer = || message.status().is_some();
    match header.name {
        HeaderName::PAssertedIdentity | HeaderName::RemotePartyId => {
            !passage.is_believed() || !passage.sees_withheld() && withheld()
        }
        HeaderName::PPreferredIdentity => true,
        HeaderName::Diversion | HeaderName::HistoryInfo => {
            !passage.is_believed() && passage.reaches_carriers()
        }
        HeaderName::Replaces => !passage.commands() || is_answer() && !passage.is_believed(),
        HeaderName::ReferTo => is_answer() && !passage.is_believed(),
        HeaderName::Require => {
            !passage.commands()
                && options(header.value.of(message.bytes))
                    .all(|(_, _, option)| option.is_empty() || is_command_option(option))
        }
        // A challenge stands in these two responses alone (RFC 3261 §20); which of them go on is judged elsewhere.
        HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate => {
            !matches!(message.status(), Some(401 | 407))
        }
        HeaderName::Other => {
            let name = name_of(header.line.of(message.bytes));
            if !passage.commands() && commands(name, header.value.of(message.bytes)) {
                return true;
            }
            let claims = || is_one_of(name, &CLAIMS);
            let to_carriers = || passage.reaches_carriers() && is_one_of(name, &CLAIMS_TO_CARRIERS);
            match name.first().map(u8::to_ascii_lowercase) {
                Some(b'x') if is_one_of(name, &OURS) => true,
                Some(b'a' | b'r') if is_one_of(name, &OLD_TRANSFER) => true,
                // Another's nonce in it would stand for ours (RFC 7616 §3.5).
                Some(b'a' | b'p') if is_one_of(name, &DIGEST_INFO) => !passage.asks || !is_answer(),
                Some(b'e' | b'j' | b't') => {
                    is_answer() && !passage.is_believed() && is_one_of(name, &COMMANDS_IN_RESPONSES)
                }
                Some(b'a' | b'c' | b'i' | b'o' | b'p' | b'r' | b'v' | b'x') => {
                    !passage.is_believed() && (claims() || to_carriers())
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// The options of a list, each with its place: from behind the comma before it to the comma behind it.
fn options(list: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut from = 0;
    list.split(|b| *b == b',').map(move |option| {
        let place = (from, from + option.len());
        from = place.1 + 1;
        (place.0, place.1, option.trim_ascii())
    })
}

fn is_command_option(option: &[u8]) -> bool {
    COMMAND_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option))
}

/// Gives the places of the options that are left out of a list where others stay, each with a comma.
fn each_command_option(list: &[u8], mut out: impl FnMut(usize, usize)) {
    let mut stays = false;
    for (from, to, option) in options(list) {
        match (is_command_option(option), stays) {
            (false, _) => stays = true,
            (true, false) => out(from, to + 1),
            (true, true) => out(from.saturating_sub(1), to),
        }
    }
}

/// Does a message hold a header that has a phone do something by itself?
pub fn has_commands(message: &Message<'_>) -> bool {
    message.index.headers().iter().any(|header| match header.name {
        HeaderName::Replaces => true,
        HeaderName::Other => commands(name_of(header.line.of(message.bytes)), header.value.of(message.bytes)),
        _ => false,
    })
}

/// Does an INVITE take the place of a party of a call, or join it (RFC 3891, RFC 3911)?
pub(crate) fn joins_a_call(message: &Message<'_>) -> bool {
    message.header_line(HeaderName::Replaces).is_some() || message.other_header("Join").is_some()
}

/// Does a header have a phone do something by itself?
fn commands(name: &[u8], value: &[u8]) -> bool {
    let answers = || {
        let word = b"answer-after";
        value.windows(word.len()).any(|text| text.eq_ignore_ascii_case(word))
    };
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'a' | b'j' | b'p' | b't' | b'x') => is_one_of(name, &COMMANDS),
        // It has pictures and cards, too.
        Some(b'c') => name.eq_ignore_ascii_case(b"Call-Info") && answers(),
        _ => false,
    }
}

/// Is this a header whose URIs a carrier may route or charge by? Those of the dialog (Contact, Route) are left alone: they
/// are for who sends there next, and so are those that tell a response's way.
fn speaks_to_carriers(name: HeaderName, message: &Message<'_>) -> bool {
    match name {
        HeaderName::Via
        | HeaderName::Route
        | HeaderName::RecordRoute
        | HeaderName::Contact
        | HeaderName::CallId
        | HeaderName::CSeq
        | HeaderName::MaxForwards
        | HeaderName::ContentLength
        | HeaderName::ContentType
        | HeaderName::Expires
        | HeaderName::Authorization
        | HeaderName::ProxyAuthorization
        | HeaderName::WwwAuthenticate
        | HeaderName::ProxyAuthenticate => false,
        HeaderName::From | HeaderName::To => message.status().is_none(),
        _ => true,
    }
}

/// Does the caller withhold its identity: `Privacy: id` (RFC 3325 §9.3)?
pub(crate) fn withholds_identity(message: &Message<'_>) -> bool {
    wants_privacy(message, &[b"id"])
}

/// Does the caller want no carrier to show it to whom it calls: `id`, or `user`, which asks the network to hide what the caller
/// wrote (RFC 3323 §4.2)? `full` is an older word for both (draft-ietf-sip-privacy-00).
pub(crate) fn wants_to_be_nobody(message: &Message<'_>) -> bool {
    wants_privacy(message, &[b"id", b"user", b"full"])
}

fn wants_privacy(message: &Message<'_>, words: &[&[u8]]) -> bool {
    message
        .list(HeaderName::Privacy)
        .flatten()
        .flat_map(|value| value.split(|&b| b == b';'))
        .any(|value| words.iter().any(|word| value.trim_ascii().eq_ignore_ascii_case(word)))
}

/// The name of a header, by its line.
fn name_of(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| matches!(b, b':' | b' ' | b'\t')).unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

/// Is it one of these?
fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|one| match name.len() == one.len() {
        true => name.eq_ignore_ascii_case(one),
        false => one.ends_with(b"-") && name.get(..one.len()).is_some_and(|n| n.eq_ignore_ascii_case(one)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits, Splices};

    const NONE: &dyn Fn(&[u8]) -> bool = &|_| false;

    /// The message as it goes on.
    fn passed(text: &str, from: RoutedKind, to: RoutedKind, allows: &dyn Fn(&[u8]) -> bool) -> String {
        passed_of(text, (from, true), to, allows)
    }

    fn passed_of(
        text: &str,
        (from, shown): (RoutedKind, bool),
        to: RoutedKind,
        allows: &dyn Fn(&[u8]) -> bool,
    ) -> String {
        let text = format!(
            "{text}Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a;cpc=x@h>;tag=1\r\n\
             To: <sip:+1555;npdi@h>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 {}\r\n\r\n",
            if text.starts_with("SIP/") { "INVITE" } else { text.split(' ').next().unwrap() }
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let (mut splices, mut out) = (Splices::default(), Vec::new());
        let message = Message::new(text.as_bytes(), &index);
        filter(&message, &Passage { from, shown, asks: false, to, allows }, |span| splices.delete(span));
        splices.apply(text.as_bytes(), text.len() as u16, &mut out);
        String::from_utf8(out).unwrap()
    }

    use RoutedKind::{Agent, Peer, Pstn, Unknown};

    #[test]
    fn strangers_command_no_phone() {
        let said = "Replaces: a;to-tag=b;from-tag=c\r\njoin: a;to-tag=b;from-tag=c\r\nAnswer-Mode: Auto\r\n\
                    Priv-Answer-Mode : Auto;require\r\nALERT-INFO: <http://x>;info=alert-autoanswer\r\n\
                    Call-Info: <sip:x>\r\n ; Answer-After = 0\r\nP-Auto-Answer: normal\r\n";
        let kept = "Call-Info: <http://x/a.png>;purpose=icon\r\nX-Alert: 1\r\n";
        let text = format!("INVITE sip:x@h SIP/2.0\r\n{said}{kept}");
        for to in [Agent, Peer] {
            // An agent that has not shown who it is, is a stranger here, as are agents and peers of another domain.
            for sender in [(Unknown, true), (Unknown, false), (Agent, false), (Peer, false)] {
                let got = passed_of(&text, sender, to, NONE);
                assert!(got.contains(kept), "{got}");
                for word in ["to-tag", "Auto", "alert-auto", "After", "normal"] {
                    assert!(!got.contains(word), "{word}: {got}");
                }
            }
            assert!(passed_of(&text, (Pstn, false), to, NONE).contains(said));
            for from in [Agent, Peer, Pstn] {
                assert!(passed(&text, from, to, NONE).contains(said), "{from:?}");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_not_required() {
        for (said, stays) in [
            ("Require: replaces\r\n", ""),
            ("Require: , replaces\r\n", ""),
            ("Require: Replaces, join,answermode\r\n", ""),
            ("Require: 100rel, replaces\r\n", "Require: 100rel\r\n"),
            ("Require: replaces, 100rel\r\n", "Require: 100rel\r\n"),
            ("Require: join , timer,replaces, tdialog, 100rel\r\n", "Require: timer, 100rel\r\n"),
            ("Require: 100rel\r\nRequire: replaces\r\n", "Require: 100rel\r\n"),
            ("Require: replaces-too\r\n", "Require: replaces-too\r\n"),
        ] {
            let text = format!("INVITE sip:x@h SIP/2.0\r\nReplaces: a;to-tag=b;from-tag=c\r\n{said}");
            for receiver in [Agent, Peer, Pstn, Unknown] {
                let got = passed_of(&text, (Unknown, false), receiver, NONE);
                let lines: String =
                    got.split_inclusive("\r\n").filter(|line| line.starts_with("Require")).collect();
                assert_eq!(lines.replace(":  ", ": "), stays, "{got}");
            }
            assert!(passed(&text, Agent, Agent, NONE).contains(said), "{said}");
        }
    }

    #[test]
    fn challenges_stand_in_their_responses_alone() {
        let said = "WWW-Authenticate: Digest realm=\"h\", nonce=\"n\"\r\nProxy-Authenticate: Digest realm=\"h\", nonce=\"n\"\r\n";
        for (status, stays) in
            [(401, true), (407, true), (200, false), (403, false), (488, false), (494, false)]
        {
            let got = passed(&format!("SIP/2.0 {status} X\r\n{said}"), Agent, Agent, NONE);
            assert_eq!(got.contains(said), stays, "{got}");
            assert_eq!(got.contains("nonce"), stays, "{got}");
        }
    }

    #[test]
    fn a_response_commands_nobody_and_speaks_of_its_own_digest() {
        let commands = "Refer-To: <sip:+1900@h>\r\nr: <sip:+1900@h>\r\nReplaces: a;to-tag=b;from-tag=c\r\n\
                        Join: a;to-tag=b;from-tag=c\r\nTarget-Dialog: a;local-tag=b;remote-tag=c\r\n\
                        Error-Info: <sip:+1900@h>\r\n";
        let digest = "authentication-info: nextnonce=\"n\"\r\nProxy-Authentication-Info: nextnonce=\"n\"\r\n";
        let kept = "Refer-Sub: false\r\nAlert-Info: <http://h/r.wav>\r\nAnswer-Mode: Manual\r\n";
        for from in [Agent, Unknown, Peer, Pstn] {
            let text = format!("SIP/2.0 200 OK\r\n{commands}{digest}{kept}");
            let got = passed(&text, from, Agent, NONE);
            assert_eq!(got.contains(commands), matches!(from, Peer | Pstn), "{from:?}: {got}");
            assert!(!got.contains("nextnonce"), "{from:?}: {got}");
            assert!(from == Unknown || got.contains(kept), "{from:?}: {got}");
            let asked = format!("INVITE sip:x@h SIP/2.0\r\n{digest}");
            assert!(!passed(&asked, from, Agent, NONE).contains("nextnonce"), "{from:?}");
        }
    }

    const SAID: &str = "P-Asserted-Identity: <sip:king@h>\r\nRemote-Party-ID: <sip:king@h>\r\n\
        P-Charge-Info : <sip:king@h>\r\np-dcs-billing-info: x\r\nX-DOD-Number: +1\r\n\
        isup-oli: DOD\r\nVerstat: DOD\r\n";

    #[test]
    fn who_says_who_somebody_is() {
        for start in ["BYE sip:x@h SIP/2.0\r\n", "SIP/2.0 200 OK\r\n"] {
            let text = format!("{start}{SAID}x-call-direction: x\r\nX-Other: 1\r\nP-Other: 1\r\n");
            for to in [Agent, Peer, Pstn, Unknown] {
                for from in [Agent, Unknown] {
                    let got = passed(&text, from, to, NONE);
                    assert!(!got.contains("king") && !got.contains("dcs"), "{from:?} {to:?} {got}");
                    assert!(!got.contains("DOD") && !got.contains("direction"), "{got}");
                    assert!(got.contains("X-Other: 1\r\nP-Other: 1\r\n"), "{got}");
                }
                for from in [Peer, Pstn] {
                    let got = passed(&text, from, to, NONE);
                    assert!(got.contains(SAID) && !got.contains("direction"), "{from:?} {to:?} {got}");
                }
            }
            let withheld = format!("{text}Privacy: user;id\r\n");
            for (to, sees) in [(Agent, false), (Unknown, false), (Peer, true), (Pstn, true)] {
                let got = passed(&withheld, Pstn, to, NONE);
                assert_eq!(got.contains("P-Asserted-Identity"), sees, "{to:?}");
            }
        }
    }

    /// Who diverted a call, and how urgent it is: nothing that a carrier takes from a phone.
    #[test]
    fn who_diverted_a_call() {
        let said = "Diversion: <sip:king@h>;reason=unconditional\r\ncc-diversion: <sip:king@h>\r\n\
            History-Info: <sip:king@h>;index=1\r\nResource-Priority : ets.0\r\n\
            P-Called-Party-ID: <sip:king@h>\r\nx-diversion: <sip:king@h>\r\n";
        let who =
            "Additional-Identity: <sip:king@h>\r\nCharge: <sip:king@h>\r\np-associated-uri: <sip:king@h>\r\n";
        for start in ["INVITE sip:x@h SIP/2.0\r\n", "SIP/2.0 200 OK\r\n"] {
            let text = format!("{start}{said}{who}Date: now\r\nHide: 1\r\nCharge-Type: x\r\n");
            for from in [Agent, Unknown] {
                for to in [Pstn, Unknown] {
                    let got = passed(&text, from, to, NONE);
                    assert!(!got.contains("king") && !got.contains("ets.0"), "{from:?} {to:?} {got}");
                    assert!(got.contains("Date: now\r\nHide: 1\r\nCharge-Type: x\r\n"), "{got}");
                }
                for to in [Agent, Peer] {
                    let got = passed(&text, from, to, NONE);
                    assert!(got.contains(said) && !got.contains("Charge: "), "{from:?} {to:?} {got}");
                }
            }
            for from in [Peer, Pstn] {
                assert!(passed(&text, from, Pstn, NONE).contains(&format!("{said}{who}")), "{from:?}");
            }
        }
    }

    #[test]
    fn what_speaks_to_carriers() {
        let text = "INVITE sip:+1;mine=1@h:5070;npdi;transport=tcp;%72n=+1900;CIC=1 SIP/2.0\r\n\
            r: <sip:+1;rn=+1900@h>\r\nAnything: <tel:+1;t%67rp=x>\r\nContact: <sip:a;tgrp=own@h>\r\n\
            Route: <sip:h;lr;npdi>\r\nEvent: x;ext=1\r\n";
        for from in [Agent, Peer, Pstn] {
            let got = passed(text, from, Pstn, NONE);
            assert!(got.starts_with("INVITE sip:+1;mine=1@h:5070;transport=tcp SIP/2.0\r\n"), "{got}");
            for kept in
                ["r: <sip:+1@h>\r\n", "Anything: <tel:+1>\r\n", "To: <sip:+1555@h>", "From: <sip:a@h>"]
            {
                assert!(got.contains(kept), "{kept}: {got}");
            }
            for kept in ["Contact: <sip:a;tgrp=own@h>", "Route: <sip:h;lr;npdi>", "Event: x;ext=1"] {
                assert!(got.contains(kept), "{kept}: {got}");
            }
        }
        assert_eq!(passed(text, Agent, Peer, NONE), passed(text, Agent, Agent, NONE));
        assert!(passed(text, Agent, Peer, NONE).contains("To: <sip:+1555;npdi@h>"));
        let got = passed(text, Agent, Pstn, &|name| matches!(name, b"rn" | b"cic" | b"tgrp"));
        assert!(
            got.starts_with("INVITE sip:+1;mine=1@h:5070;transport=tcp;%72n=+1900;CIC=1 SIP/2.0\r\n"),
            "{got}"
        );
        assert!(got.contains("Anything: <tel:+1;t%67rp=x>"), "{got}");
        // A response has the From and To of its request.
        let got = passed("SIP/2.0 200 OK\r\nReply-To: <sip:a;rn=1@h>\r\n", Agent, Pstn, NONE);
        assert!(got.contains("Reply-To: <sip:a@h>") && got.contains("To: <sip:+1555;npdi@h>"), "{got}");
    }
}
