//! Dialogs that a request is about to begin: whose they are, and whether there is room for them.

use trunkline_calls::NoRoom;
use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_routing::Decision;
use trunkline_sip::Method;

use crate::context::{Context, DialogUse};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::party::PartyRef;
use crate::shared::Shared;
use crate::trust::events::{event_of, expires};
use crate::trust::marks::Beginning;

impl Shared {
    /// Who sends the request that was routed.
    pub(crate) fn caller(&self, decision: &Decision) -> (PartyKind, u32) {
        let caller = PartyRef::caller(&decision.parties);
        (caller.kind, self.party(&caller))
    }

    /// A request that begins dialogs goes out under this number. The NOTIFY of a subscription may come before its response. `held`:
    /// by a transaction.
    pub(crate) fn note_beginning(
        &self,
        inbound: &Inbound<'_>,
        (decision, number): (&Decision, u64),
        held: bool,
        now: u64,
    ) {
        if inbound.method != Method::Invite {
            let asked = (event_of(&inbound.message, inbound.method), expires(&inbound.message));
            self.dialogs.subscribing((number, self.caller(decision)), asked, held, now);
        }
    }
}

impl Edge {
    /// What the marks of a request say that begins dialogs, which its transaction remembers. It may have its `number`. An
    /// error: why there is no room for them.
    pub(crate) fn begin_dialogs(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        context: &mut Context,
        (decision, number): (&Decision, Option<u64>),
    ) -> Result<Option<Beginning>, Reason> {
        if !decision.record_route {
            return Ok(None);
        }
        let number = match context.dialog {
            DialogUse::Begins(number) => number,
            _ => match self.shared.dialogs.number(number, context.caller) {
                Ok(number) => number,
                Err(NoRoom::Full) => return Err(Reason::OverloadDialogs),
                Err(NoRoom::Share) => return Err(Reason::OverloadDialogShare),
            },
        };
        self.shared.note_beginning(inbound, (decision, number), true, io.unix_ms());
        context.dialog = DialogUse::Begins(number);
        Ok(Some(self.beginning(inbound, (decision, context.caller.1), number, io.unix_ms())))
    }
}
