//! Registrations of phones: shown, removed, added by hand.

use std::net::SocketAddr;

use trunkline_location::{Binding, ContactChange, Register};
use trunkline_operations::{ManualContact, OperationError, Registration};
use trunkline_sip::{ConnectionId, Flow, Scheme, Transport, Uri};

use super::{some, text};
use crate::roles::SipView;
use crate::time::{unix_ms, unix_seconds};

/// Registrations are read in pages of this many AORs, so that no table is locked for long.
const PAGE: usize = 1_000;

/// Up to so many registrations with that text in AOR or contact, in order.
pub fn list(sip: &SipView, filter: Option<&str>, limit: usize) -> Vec<Registration> {
    let now = unix_ms();
    let filter = filter.map(str::to_lowercase);
    let holds = |text: &str| filter.as_ref().is_none_or(|f| text.to_lowercase().contains(f));
    let mut items = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next.filter(|_| items.len() < limit) {
        next = sip.shared.location.list(from, PAGE, now, |aor, b| {
            let aor = text(aor);
            if items.len() < limit && (holds(&aor) || holds(&text(b.uri))) {
                items.push(shown(sip, aor, &b, now));
            }
        });
    }
    items.sort_by(|a, b| (&a.aor, &a.contact).cmp(&(&b.aor, &b.contact)));
    items
}

fn shown(sip: &SipView, aor: String, b: &Binding<'_>, now: u64) -> Registration {
    let by_source = sip.shared.config.registrar.by_source;
    let rewritten = b.behind_nat && by_source.covers(b.flow.transport);
    Registration {
        aor,
        contact: text(b.uri),
        expires: i64::from(b.expires_in(now)),
        q: Some(f32::from(b.q) / 1000.0),
        flow: format!("{} {}", b.flow.transport, b.flow.remote),
        user_agent: some(text(b.user_agent)),
        instance: some(text(b.instance)),
        behind_nat: b.behind_nat && !is_at(b.uri, b.flow.remote),
        reached_at: rewritten.then(|| at_source(b.uri, b.flow.remote)).flatten(),
    }
}

/// Removes the registrations of an AOR, or one contact of it; returns how many.
pub fn kick(sip: &SipView, aor: &str, contact: Option<&str>) -> usize {
    sip.shared.location.kick(aor.as_bytes(), contact.map(str::as_bytes), unix_ms())
}

/// Removes all registrations; returns how many.
pub fn kick_all(sip: &SipView) -> usize {
    let mut aors = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        next = sip.shared.location.list(from, PAGE, unix_ms(), |aor, _| aors.push(text(aor)));
    }
    aors.iter().map(|aor| kick(sip, aor, None)).sum()
}

/// Adds a contact that is reached over UDP.
pub fn add(sip: &SipView, aor: &str, contact: &ManualContact) -> Result<(), OperationError> {
    let remote = SocketAddr::new(contact.address, contact.port);
    let ours = sip
        .listening
        .iter()
        .find(|l| l.transport == Transport::Udp && l.address.is_ipv4() == remote.is_ipv4());
    let Some(ours) = ours else {
        return Err(OperationError::Failed(format!("nothing listens on UDP for {remote}")));
    };
    let uri = format!("sip:{}@{remote}", contact.user);
    let changes = [ContactChange::new(uri.as_bytes(), contact.expires)];
    let flow =
        Flow { transport: Transport::Udp, local: ours.address, remote, connection: ConnectionId::NONE };
    // A later addition has a greater CSeq.
    let cseq = u32::try_from(unix_seconds()).unwrap_or(u32::MAX);
    let register = Register::new(aor.as_bytes(), b"rest-v1", cseq, flow, &changes);
    let added = sip.shared.location.register(&register, unix_ms(), |_| {});
    added.map(drop).map_err(|error| OperationError::Failed(error.to_string()))
}

/// A contact with the address that its REGISTER came from, as Routr writes it.
fn at_source(contact: &[u8], remote: SocketAddr) -> Option<String> {
    let uri = Uri::parse(contact).ok()?;
    let scheme = if uri.scheme == Scheme::Sips { "sips" } else { "sip" };
    let user = uri.user.map(|user| format!("{}@", text(user))).unwrap_or_default();
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    Some(format!("{scheme}:{user}{remote}{}", text(uri.params)))
}

/// Does the contact name this address?
fn is_at(contact: &[u8], remote: SocketAddr) -> bool {
    let Ok(uri) = Uri::parse(contact) else { return false };
    let port = uri.port.unwrap_or(if uri.scheme == Scheme::Sips { 5061 } else { 5060 });
    uri.ip().is_some_and(|ip| ip == remote.ip().to_canonical()) && port == remote.port()
}

#[cfg(test)]
mod tests {
    use super::{at_source, is_at};

    #[test]
    fn contacts_are_shown_with_the_address_they_came_from() {
        let remote = "192.0.2.1:40000".parse().expect("an address");
        for (contact, shown, there) in [
            ("sip:1001@10.0.0.1:5062;transport=udp", "sip:1001@192.0.2.1:40000;transport=udp", false),
            ("sips:10.0.0.1", "sips:192.0.2.1:40000", false),
            ("sip:1001@192.0.2.1:40000", "sip:1001@192.0.2.1:40000", true),
            ("sip:1001@192.0.2.1", "sip:1001@192.0.2.1:40000", false),
        ] {
            assert_eq!(at_source(contact.as_bytes(), remote).as_deref(), Some(shown));
            assert_eq!(is_at(contact.as_bytes(), remote), there, "{contact}");
        }
        let mapped = "[::ffff:192.0.2.1]:40000".parse().expect("an address");
        assert_eq!(at_source(b"sip:a@b", mapped).as_deref(), Some("sip:a@192.0.2.1:40000"));
        assert!(is_at(b"sip:a@192.0.2.1:40000", mapped));
    }
}
