//! The branch of our Via.

use trunkline_sip::MAGIC_COOKIE;

use crate::hex;

/// The branch of a request forwarded with a transaction: it names where the transaction stands, so that the
/// response finds it by index, and carries the loop MAC. Nobody can name another's transaction without
/// knowing its MAC.
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
const STATELESS: u8 = b's';

impl Branch {
    /// Appends the parameter's value: 40 characters.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoded());
    }

    /// The parameter's value.
    pub fn encoded(&self) -> [u8; 40] {
        let mut text = *b"z9hG4bKt00000000000000000000000000000000";
        let head = u64::from_be_bytes([self.shard, self.fork, 0, 0, 0, 0, 0, 0])
            | u64::from(self.generation) << 32
            | u64::from(self.slot);
        for (place, value) in [(8, head), (24, self.loop_mac)] {
            if let Some(digits) = text.get_mut(place..place + 16) {
                hex::fill(&value.to_be_bytes(), digits);
            }
        }
        text
    }

    /// Reads a value made by [`Branch::encode`].
    pub fn decode(text: &[u8]) -> Option<Branch> {
        let digits = text.strip_prefix(MAGIC_COOKIE)?.strip_prefix(&[STATEFUL])?;
        let mut b = [0u8; 16];
        hex::take(digits, &mut b)?;
        let [shard, fork, g1, g0, s3, s2, s1, s0, mac @ ..] = b;
        Some(Branch {
            shard,
            fork,
            generation: u16::from_be_bytes([g1, g0]),
            slot: u32::from_be_bytes([s3, s2, s1, s0]),
            loop_mac: u64::from_be_bytes(mac),
        })
    }
}

/// The branch of a request forwarded without a transaction (RFC 3261 §16.11): the same for every
/// retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatelessBranch {
    /// [`crate::Secret::stateless_mac`]
    pub request_mac: u64,
    /// [`crate::Secret::loop_mac`]
    pub loop_mac: u64,
}

impl StatelessBranch {
    /// Appends the parameter's value: 40 characters.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC_COOKIE);
        out.push(STATELESS);
        hex::put(&self.request_mac.to_be_bytes(), out);
        hex::put(&self.loop_mac.to_be_bytes(), out);
    }

    /// Reads a value made by [`StatelessBranch::encode`].
    pub fn decode(text: &[u8]) -> Option<StatelessBranch> {
        let digits = text.strip_prefix(MAGIC_COOKIE)?.strip_prefix(&[STATELESS])?;
        let (mut request, mut mac) = ([0u8; 8], [0u8; 8]);
        hex::take(digits.get(..16)?, &mut request)?;
        hex::take(digits.get(16..)?, &mut mac)?;
        Some(StatelessBranch { request_mac: u64::from_be_bytes(request), loop_mac: u64::from_be_bytes(mac) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let b = Branch { shard: 3, fork: 9, generation: 65_535, slot: 0xdead_beef, loop_mac: u64::MAX - 1 };
        let mut text = Vec::new();
        b.encode(&mut text);
        assert_eq!(text.len(), 40);
        assert_eq!(Branch::decode(&text), Some(b));
        assert_eq!(StatelessBranch::decode(&text), None);
        for bad in [&b"z9hG4bK"[..], b"z9hG4bKt00", b"z9hG4bKtzz", b"", &text[..39]] {
            assert_eq!(Branch::decode(bad), None);
        }
        let s = StatelessBranch { request_mac: 1, loop_mac: 2 };
        text.clear();
        s.encode(&mut text);
        assert_eq!(StatelessBranch::decode(&text), Some(s));
        assert_eq!(Branch::decode(&text), None);
    }
}
