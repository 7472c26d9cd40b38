//! Attended transfers: a party that has two calls asks the far end of one, a carrier or a phone of another domain, to connect itself with
//! that of the other (RFC 3515, RFC 3891). Nobody new is called by that, whatever number the far end has.

use std::cell::Cell;

use trunkline_calls::{CallView, Calls, Talker};
use trunkline_proxy::{Holder, Way};
use trunkline_routing::may_be_said_by_another;
use trunkline_sip::{HeaderName, Index, Limits, Message, Uri, decode_escapes};

use super::transfers::all_referred_to;
use crate::edge::Edge;
use crate::hang_up::contact;
use crate::inbound::Inbound;

/// The dialog that a Replaces names: Call-ID and both tags.
struct Replaced {
    call_id: Vec<u8>,
    tags: [Vec<u8>; 2],
}

impl Replaced {
    /// Of the headers in a URI. What stands twice is read differently by others, so that it is not read.
    fn read(headers: &[u8]) -> Option<Replaced> {
        let headers = headers.strip_prefix(b"?").unwrap_or(headers).split(|b| *b == b'&');
        let mut values = headers.filter_map(|header| {
            let (name, value) = header.split_at_checked(header.iter().position(|b| *b == b'=')?)?;
            name.eq_ignore_ascii_case(b"Replaces").then_some(value.get(1..)?)
        });
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Replaced::of(&decode_escapes(value))
    }

    /// Of the value of a Replaces.
    fn of(value: &[u8]) -> Option<Replaced> {
        let mut parts = value.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let call_id = parts.next()?.to_vec();
        let tag = |name: &[u8]| {
            let mut tags = parts.clone().filter_map(|part| {
                let (found, tag) = part.split_at_checked(part.iter().position(|b| *b == b'=')?)?;
                found.trim_ascii().eq_ignore_ascii_case(name).then_some(tag.get(1..)?.trim_ascii())
            });
            let (tag, None) = (tags.next()?, tags.next()) else { return None };
            Some(tag.to_vec())
        };
        Some(Replaced { call_id, tags: [tag(b"to-tag")?, tag(b"from-tag")?] })
    }
}

/// The record of the call that an INVITE takes the place of, if this account has part in it.
pub(crate) fn replaced_record(calls: &Calls, invite: &Message<'_>, account: &[u8]) -> Option<u64> {
    let Replaced { call_id, tags: [one, other] } = Replaced::of(invite.header(HeaderName::Replaces)?)?;
    let record = Cell::new(None);
    calls.of_dialog(&call_id, [&one, &other], |call| {
        let its = !account.is_empty() && [call.caller_ref, call.callee_ref].contains(&account);
        record.set(its.then_some(call.id));
        its
    })?;
    record.get()
}

impl Edge {
    /// Does every URI of the Refer-To name the far end of another live call of this agent, by the same trunk, and what it replaces?
    pub(super) fn joins_its_calls(&self, inbound: &Inbound<'_>, holder: &Holder, way: &Way) -> bool {
        let by_trunk = |call: &CallView<'_>, _: &[u8]| self.shared.secret.party(call.trunk_ref) == way.party;
        let m = &inbound.message;
        m.header(HeaderName::ReferTo).is_some()
            && all_referred_to(m, |uri| {
                may_be_said_by_another(uri.headers)
                    && self
                        .far_end(uri, holder, by_trunk)
                        .is_some_and(|far| is_at(&far, &Uri { headers: b"", ..*uri }))
            })
    }

    /// The far end of the live call that the Replaces of this URI names, which is one of this party's with somebody who `passes`, told the
    /// call and whose the far end is.
    pub(super) fn far_end(
        &self,
        uri: &Uri<'_>,
        holder: &Holder,
        passes: impl Fn(&CallView<'_>, &[u8]) -> bool,
    ) -> Option<Talker> {
        let Replaced { call_id, tags: [one, other] } = Replaced::read(uri.headers)?;
        let (calls, secret) = (&self.shared.calls, &self.shared.secret);
        // Whose contact it is: the far end is the caller where the party is not.
        let party_calls = Cell::new(false);
        let found = calls.of_dialog(&call_id, [&one, &other], |call| {
            let its = |reference: &[u8]| !reference.is_empty() && secret.party(reference) == holder.party;
            let calling = its(call.caller_ref);
            party_calls.set(calling);
            (calling || its(call.callee_ref))
                && passes(call, if calling { call.callee_ref } else { call.caller_ref })
        });
        let [by_caller, by_callee] = calls.talkers(found?)?;
        Some(if party_calls.get() { by_caller } else { by_callee })
    }
}

/// Is this where the requests of a side go?
pub(super) fn is_at(talker: &Talker, uri: &Uri<'_>) -> bool {
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
