//! The branch of our Via.

use trunkline_sip::{ConnectionId, MAGIC_COOKIE, Message, Method};

use crate::hex;
use crate::mark::Side;
use crate::party::PartyKind;
use crate::secret::Secret;

/// The branch of a request forwarded with a transaction: it names where the transaction stands, so that the
/// response finds it by index, and carries the loop MAC. A seal over all of it shows that it is ours, and keeps whoever
/// has the name of one branch from naming another one of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The shard that owns the transaction.
    pub shard: u8,
    /// Which of the transaction's branches.
    pub fork: u8,
    /// Generation of the slot.
    pub generation: u16,
    /// Slot in the shard's table.
    pub slot: u32,
    /// [`crate::Secret::loop_mac`] of the received request.
    pub loop_mac: u64,
}

const STATEFUL: u8 = b't';

impl Branch {
    /// How long the text is.
    pub const LENGTH: usize = 48;

    /// The parameter's value.
    pub fn encoded(&self, secret: &Secret) -> [u8; Branch::LENGTH] {
        let mut text = [b'0'; Branch::LENGTH];
        let (cookie, digits) = text.split_at_mut(MAGIC_COOKIE.len() + 1);
        cookie.iter_mut().zip(MAGIC_COOKIE.iter().chain(&[STATEFUL])).for_each(|(to, from)| *to = *from);
        let (head, mac) = (self.head(), self.loop_mac.to_be_bytes());
        let seal = secret.branch_seal(&head, &mac).to_be_bytes();
        let (first, rest) = digits.split_at_mut(16);
        let (second, third) = rest.split_at_mut(16);
        hex::fill(&head, first);
        hex::fill(&mac, second);
        hex::fill(&seal, third);
        text
    }

    fn head(&self) -> [u8; 8] {
        let [g1, g0] = self.generation.to_be_bytes();
        let [s3, s2, s1, s0] = self.slot.to_be_bytes();
        [self.shard, self.fork, g1, g0, s3, s2, s1, s0]
    }

    /// Reads a value made by [`Branch::encoded`] with this secret.
    pub fn decode(text: &[u8], secret: &Secret) -> Option<Branch> {
        let (STATEFUL, digits) = split(text)? else { return None };
        let mut bytes = [0u8; 20];
        hex::take(digits, &mut bytes)?;
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let (mac, seal) = rest.split_first_chunk::<8>()?;
        if *seal != secret.branch_seal(head, mac).to_be_bytes() {
            return None;
        }
        let [shard, fork, g1, g0, s3, s2, s1, s0] = *head;
        Some(Branch {
            shard,
            fork,
            generation: u16::from_be_bytes([g1, g0]),
            slot: u32::from_be_bytes([s3, s2, s1, s0]),
            loop_mac: u64::from_be_bytes(*mac),
        })
    }
}

/// The letter behind the cookie, and what follows. A branch is a token, whose case somebody on the way may change (RFC 3261
/// §7.3.1).
fn split(branch: &[u8]) -> Option<(u8, &[u8])> {
    let (cookie, rest) = branch.split_at_checked(MAGIC_COOKIE.len())?;
    let (letter, digits) = rest.split_first()?;
    cookie.eq_ignore_ascii_case(MAGIC_COOKIE).then_some((letter.to_ascii_lowercase(), digits))
}

/// What a request that was forwarded without a transaction is to a dialog of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatelessUse {
    /// Nothing.
    None,
    /// It begins the dialogs of this number ([`crate::Mark::dialog`]).
    Begins(u64),
    /// It came inside one of them, from this side.
    Inside(u64, Side),
}

impl StatelessUse {
    fn letter(self) -> u8 {
        match self {
            StatelessUse::None => b's',
            StatelessUse::Begins(_) => b'b',
            StatelessUse::Inside(_, Side::Caller) => b'c',
            StatelessUse::Inside(_, Side::Callee) => b'd',
        }
    }

    fn number(self) -> u64 {
        match self {
            StatelessUse::None => 0,
            StatelessUse::Begins(number) | StatelessUse::Inside(number, _) => number,
        }
    }
}

/// The branch of a request forwarded without a transaction (RFC 3261 §16.11): the same for every
/// retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatelessBranch {
    /// [`crate::Secret::stateless_mac`]
    pub request_mac: u64,
    /// [`crate::Secret::stateless_loop_mac`]
    pub loop_mac: u64,
    /// Its dialog.
    pub dialog: StatelessUse,
    /// Who sent the request, to whom responses go: what it is, and which ([`Secret::party`]).
    pub caller: (PartyKind, u32),
    /// What the responder is.
    pub callee: PartyKind,
    /// The connection the request came by: responses go back by it (RFC 3261 §18.2.2).
    pub connection: ConnectionId,
}

/// How long what a stateless branch says is, over UDP and over a connection.
const BODY: usize = 29;
const BODY_ON_CONNECTION: usize = BODY + 8;

impl StatelessBranch {
    /// What the branch of an ACK to a 2xx has in place of a method: nothing answers it (RFC 3261 §17), so that no response is
    /// of this method.
    pub const UNANSWERED: &'static [u8] = b"";

    /// The method that a request's branch binds, and that a response to it has to name. An INVITE, its CANCEL and the ACK to
    /// its failure have one branch.
    pub fn method_of<'a>(m: &Message<'a>) -> &'a [u8] {
        match (m.cseq_method(), m.method()) {
            (Method::Cancel, _) | (Method::Ack, Some(_)) => b"INVITE",
            _ => m.method_name(),
        }
    }

    /// Appends the parameter's value: 74 characters, 90 where the request came by a connection.
    pub fn encode(&self, secret: &Secret, out: &mut Vec<u8>) {
        let bytes = self.bytes();
        let bytes = if self.connection == ConnectionId::NONE { &bytes[..BODY] } else { &bytes[..] };
        out.extend_from_slice(MAGIC_COOKIE);
        out.push(self.dialog.letter());
        hex::put(bytes, out);
        hex::put(&secret.stateless_seal(self.dialog.letter(), bytes).to_be_bytes(), out);
    }

    fn bytes(&self) -> [u8; BODY_ON_CONNECTION] {
        let mut bytes = [0; BODY_ON_CONNECTION];
        let (body, connection) = bytes.split_at_mut(BODY);
        let (caller, party) = self.caller;
        let numbers = [self.request_mac, self.loop_mac, self.dialog.number()];
        let (places, rest) = body.as_chunks_mut::<8>();
        places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number.to_be_bytes());
        if let [p3, p2, p1, p0, kinds] = rest {
            [*p3, *p2, *p1, *p0] = party.to_be_bytes();
            *kinds = (caller as u8) << 2 | self.callee as u8;
        }
        connection.copy_from_slice(&self.connection.0.to_be_bytes());
        bytes
    }

    /// Reads a value made by [`StatelessBranch::encode`] with this secret.
    pub fn decode(text: &[u8], secret: &Secret) -> Option<StatelessBranch> {
        let (letter, digits) = split(text)?;
        if !matches!(letter, b's' | b'b' | b'c' | b'd') {
            return None;
        }
        let mut bytes = [0u8; BODY_ON_CONNECTION + 4];
        let bytes = bytes.get_mut(..digits.len() / 2)?;
        hex::take(digits, bytes)?;
        let (body, seal) = bytes.split_last_chunk::<4>()?;
        if !matches!(body.len(), BODY | BODY_ON_CONNECTION)
            || *seal != secret.stateless_seal(letter, body).to_be_bytes()
        {
            return None;
        }
        let number = |at: usize| body.get(at..)?.first_chunk::<8>().map(|n| u64::from_be_bytes(*n));
        let dialog = number(16)?;
        let (party, kinds) = body.get(24..BODY)?.split_first_chunk::<4>()?;
        let kinds = *kinds.first()?;
        let kind = |bits: u8| PartyKind::ALL.get(usize::from(bits & 3)).copied().unwrap_or_default();
        Some(StatelessBranch {
            caller: (kind(kinds >> 2), u32::from_be_bytes(*party)),
            callee: kind(kinds),
            connection: ConnectionId(number(BODY).unwrap_or(0)),
            request_mac: number(0)?,
            loop_mac: number(8)?,
            dialog: match letter {
                b'b' => StatelessUse::Begins(dialog),
                b'c' => StatelessUse::Inside(dialog, Side::Caller),
                b'd' => StatelessUse::Inside(dialog, Side::Callee),
                _ => StatelessUse::None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let (secret, other) = (Secret::new([7; 16]), Secret::new([8; 16]));
        let b = Branch { shard: 3, fork: 9, generation: 65_535, slot: 0xdead_beef, loop_mac: u64::MAX - 1 };
        let text = b.encoded(&secret);
        assert_eq!(Branch::decode(&text, &secret), Some(b));
        assert_eq!(Branch::decode(&text.to_ascii_uppercase(), &secret), Some(b));
        assert_eq!(Branch::decode(&text, &other), None, "another exchange's");
        assert_eq!(StatelessBranch::decode(&text, &secret), None);
        for bad in [&b"z9hG4bK"[..], b"z9hG4bKt00", b"z9hG4bKtzz", b"", &text[..47]] {
            assert_eq!(Branch::decode(bad, &secret), None);
        }
        // Whoever has the name of one branch does not know that of another.
        for at in 8..text.len() {
            let mut forged = text;
            forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(Branch::decode(&forged, &secret), None, "digit {at}");
        }
        let uses = [
            StatelessUse::None,
            StatelessUse::Begins(u64::MAX),
            StatelessUse::Inside(7, Side::Caller),
            StatelessUse::Inside(7, Side::Callee),
        ];
        let ways = [(ConnectionId::NONE, 74), (ConnectionId(u64::MAX - 9), 90)];
        for (dialog, (connection, length)) in uses.iter().flat_map(|used| ways.map(|way| (*used, way))) {
            let (caller, callee) = ((PartyKind::Trunk, u32::MAX - 7), PartyKind::Agent);
            let s = StatelessBranch { request_mac: 1, loop_mac: 2, dialog, caller, callee, connection };
            let mut text = Vec::new();
            s.encode(&secret, &mut text);
            assert_eq!(text.len(), length);
            for cut in [1, 2, 16, 17, 66] {
                assert_eq!(StatelessBranch::decode(&text[..length - cut], &secret), None);
            }
            assert_eq!(StatelessBranch::decode(&text, &secret), Some(s));
            assert_eq!(StatelessBranch::decode(&text.to_ascii_uppercase(), &secret), Some(s));
            assert_eq!(StatelessBranch::decode(&text, &other), None);
            assert_eq!(Branch::decode(&text, &secret), None);
            text[7] = if text[7] == b's' { b'b' } else { b's' };
            assert_eq!(StatelessBranch::decode(&text, &secret), None);
        }
    }
}
