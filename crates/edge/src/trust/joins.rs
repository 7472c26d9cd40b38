//! Attended transfers of a carrier's calls: a phone that has two of them asks the carrier to connect their far ends (RFC 3515,
//! RFC 3891). Nobody new is called by that, whatever number the far end has.

use std::cell::Cell;

use trunkline_calls::Talker;
use trunkline_proxy::{Holder, Way};
use trunkline_routing::may_be_said_by_another;
use trunkline_sip::{Address, HeaderName, Index, Limits, Message, Uri, decode_escapes};

use crate::edge::Edge;
use crate::hang_up::contact;
use crate::inbound::Inbound;

/// The dialog that a Replaces names: Call-ID and both tags.
struct Replaced {
    call_id: Vec<u8>,
    tags: [Vec<u8>; 2],
}

impl Replaced {
    /// Of the headers in a URI.
    fn read(headers: &[u8]) -> Option<Replaced> {
        let headers = headers.strip_prefix(b"?").unwrap_or(headers);
        let is_replaces = |header: &&[u8]| {
            let name = header.split(|b| *b == b'=').next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"Replaces")
        };
        let value = headers.split(|b| *b == b'&').find(is_replaces)?.splitn(2, |b| *b == b'=').nth(1)?;
        let value = decode_escapes(value);
        let mut parts = value.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let call_id = parts.next()?.to_vec();
        let tag = |name: &[u8]| {
            let tags = parts.clone().filter_map(|part| part.strip_prefix(name)?.strip_prefix(b"="));
            tags.map(<[u8]>::to_vec).next()
        };
        Some(Replaced { call_id, tags: [tag(b"to-tag")?, tag(b"from-tag")?] })
    }
}

impl Edge {
    /// Does every URI of the Refer-To name the far end of another live call of this agent, by the same trunk, and what it replaces?
    pub(super) fn joins_its_calls(&self, inbound: &Inbound<'_>, holder: &Holder, way: &Way) -> bool {
        let values: Vec<&[u8]> = inbound.message.list(HeaderName::ReferTo).flatten().collect();
        !values.is_empty()
            && values.iter().all(|value| {
                let address = Address::parse(value, "Refer-To");
                let uri = address.ok().and_then(|address| address.parsed_uri().ok());
                uri.is_some_and(|uri| {
                    may_be_said_by_another(uri.headers) && self.is_far_end(&uri, holder, way)
                })
            })
    }

    fn is_far_end(&self, uri: &Uri<'_>, holder: &Holder, way: &Way) -> bool {
        let Some(Replaced { call_id, tags: [one, other] }) = Replaced::read(uri.headers) else {
            return false;
        };
        let (calls, secret) = (&self.shared.calls, &self.shared.secret);
        // Whose contact it is: the carrier is the caller where the agent is not.
        let agent_calls = Cell::new(false);
        let found = calls.of_dialog(&call_id, [&one, &other], |call| {
            let its = |reference: &[u8]| !reference.is_empty() && secret.party(reference) == holder.party;
            agent_calls.set(its(call.caller_ref));
            secret.party(call.trunk_ref) == way.party && (its(call.caller_ref) || its(call.callee_ref))
        });
        let talkers = found.and_then(|number| calls.talkers(number));
        let Some([by_caller, by_callee]) = talkers else { return false };
        let far = if agent_calls.get() { by_caller } else { by_callee };
        is_at(&far, &Uri { headers: b"", ..*uri })
    }
}

/// Is this where the requests of a side go?
fn is_at(talker: &Talker, uri: &Uri<'_>) -> bool {
    let mut index = Index::default();
    if index.parse_head(&talker.message, &Limits::default()).is_err() {
        return false;
    }
    let m = Message::new(&talker.message, &index);
    let target = if talker.target.is_empty() { contact(&m) } else { Some(talker.target.as_slice()) };
    target.is_some_and(|target| Uri::parse(target).is_ok_and(|target| same_target(&target, uri)))
}

/// As a remote target is compared (RFC 3261 §19.1.4), parameters that one of them lacks aside.
fn same_target(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    a.user_decoded() == b.user_decoded()
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port == b.port
        && a.scheme == b.scheme
}
