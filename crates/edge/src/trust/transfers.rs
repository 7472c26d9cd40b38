//! Transfers that strangers ask for. A phone that follows a REFER calls with its own account, so whoever reaches the phone by an
//! open number could have it call an expensive one.

use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_sip::Method;

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
        if inbound.method != Method::Refer || allowed {
            return false;
        }
        self.refuse(io, inbound, Reason::TransferStranger);
        true
    }

    /// Refuses what such a party begins that is no call: open numbers take calls, and phones do as other requests say; `true` when
    /// it was answered.
    pub(crate) fn refuse_stranger(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        from: PartyKind,
    ) -> bool {
        let open = || {
            let name = inbound.message.method_name();
            self.shared.config.open_methods.iter().any(|method| method.as_bytes() == name)
        };
        let follows = matches!(inbound.method, Method::Ack | Method::Cancel);
        // A REFER has a rule of its own.
        if from != PartyKind::Stranger || follows || inbound.method == Method::Refer || open() {
            return self.refuse_transfer(io, inbound, from);
        }
        self.refuse(io, inbound, Reason::TransferMethod);
        true
    }
}
