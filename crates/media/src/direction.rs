//! Between whom media flows, and what the relay has to change on the way.

use crate::sdp::{Carriage, carriage};

/// The two sorts of endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// A browser: WebRTC.
    Web,
    /// All else: RTP, with SRTP or without.
    Phone,
}

impl Party {
    /// The kind of sender of this SDP; `None` when it has no media.
    pub fn of_sdp(sdp: &[u8]) -> Option<Party> {
        carriage(sdp).map(|c| match c {
            Carriage::WebRtc => Party::Web,
            Carriage::Srtp | Carriage::Rtp => Party::Phone,
        })
    }

    /// Before an endpoint has said anything, its transport does: over WebSocket come browsers.
    pub fn of_transport(websocket: bool) -> Party {
        if websocket { Party::Web } else { Party::Phone }
    }
}

/// From the sender of an SDP to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Browser to browser: only the addresses change.
    WebToWeb,
    /// ICE and DTLS are taken away.
    WebToPhone,
    /// ICE and DTLS are added.
    PhoneToWeb,
    /// Only the addresses change.
    PhoneToPhone,
}

impl Direction {
    /// The direction of an SDP.
    pub fn between(from: Party, to: Party) -> Direction {
        match (from, to) {
            (Party::Web, Party::Web) => Direction::WebToWeb,
            (Party::Web, Party::Phone) => Direction::WebToPhone,
            (Party::Phone, Party::Web) => Direction::PhoneToWeb,
            (Party::Phone, Party::Phone) => Direction::PhoneToPhone,
        }
    }

    /// Do the two not understand each other without a relay?
    pub fn needs_relay(self) -> bool {
        matches!(self, Direction::WebToPhone | Direction::PhoneToWeb)
    }
}

/// The `Warning` header's value (RFC 3261 §20.43) of the 488 for a call that [`incompatible`] finds impossible.
pub const WARNING: &str =
    "399 trunkline \"a browser and a plain RTP phone need a media relay: set rtpengine: in trunkline.yaml\"";

/// Without a relay: can the caller's offer never suit this callee? An INVITE without SDP may still turn out well.
pub fn incompatible(caller_sdp: &[u8], callee_is_webrtc: bool) -> bool {
    let callee = Party::of_transport(callee_is_webrtc);
    Party::of_sdp(caller_sdp).is_some_and(|caller| Direction::between(caller, callee).needs_relay())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{BROWSER, PHONE, SRTP_PHONE};

    #[test]
    fn who_suits_whom() {
        assert!(incompatible(BROWSER, false) && !incompatible(BROWSER, true));
        assert!(incompatible(PHONE, true) && !incompatible(PHONE, false));
        assert!(incompatible(SRTP_PHONE, true) && !incompatible(SRTP_PHONE, false));
        assert!(!incompatible(b"", true) && !incompatible(b"", false));
    }
}
