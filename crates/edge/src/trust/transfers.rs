//! Transfers that strangers ask for. A phone that follows a REFER calls with its own account, so whoever reaches the phone by an
//! open number could have it call an expensive one.

use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_sip::{HeaderName, Method};

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;

impl Edge {
    /// Refuses the REFER of a party that is no agent, peer or carrier, unless the operator allows it; `true` when it was
    /// answered.
    pub(crate) fn refuse_transfer(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        from: PartyKind,
    ) -> bool {
        let allowed = from != PartyKind::Stranger || self.shared.config.strangers_may_refer;
        if !inbound.transfers() || allowed {
            return false;
        }
        self.refuse(io, inbound, Reason::TransferStranger);
        true
    }

    /// Refuses what such a party may not send: outside a dialog all but calls, since phones do as other requests say, and
    /// `inside` one what is no part of a call; `true` when it was answered.
    pub(crate) fn refuse_stranger(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        from: PartyKind,
        inside: bool,
    ) -> bool {
        let m = &inbound.message;
        let open = || self.shared.config.open_methods.iter().any(|name| name.as_bytes() == m.method_name());
        let of_call = match inbound.method {
            Method::Ack | Method::Cancel => true,
            Method::Invite
            | Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Options => inside,
            Method::Notify => inside && is_of_call(m.header(HeaderName::Event).unwrap_or_default()),
            _ => false,
        };
        // A REFER has a rule of its own.
        if from != PartyKind::Stranger || of_call || inbound.transfers() || open() {
            return self.refuse_transfer(io, inbound, from);
        }
        self.refuse(io, inbound, Reason::TransferMethod);
        true
    }
}

/// Is the event one of which a call makes its other side a notifier: the progress of a transfer that the phone asked for, or digits
/// (RFC 3515, RFC 4730)? Others have phones restart or answer by themselves.
fn is_of_call(event: &[u8]) -> bool {
    let package = event.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    [&b"refer"[..], b"kpml"].iter().any(|known| package.eq_ignore_ascii_case(known))
}
