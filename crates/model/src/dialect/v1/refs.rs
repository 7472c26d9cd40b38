//! The refs Routr v1 gives to resources in files that have none. Clients store them, so they are the same here.

use md5::{Digest, Md5};

use super::{Collection, Edition};

/// The ref of a resource without `metadata.ref`. `factor` is what names it: user name and first domain of an agent,
/// host of a domain or gateway, `telUrl` of a number, user name of a peer or user.
pub fn generated_ref(edition: Edition, collection: Collection, factor: &str) -> String {
    let prefix = match (collection, edition) {
        (Collection::Users, Edition::Rc2) => "us",
        (Collection::Users, Edition::Late) => "ur",
        (Collection::Agents, _) => "ag",
        (Collection::Domains, _) => "dm",
        (Collection::Gateways, _) => "gw",
        (Collection::Numbers, _) => "dd",
        (Collection::Peers, _) => "pr",
    };
    match edition {
        Edition::Rc2 => {
            let digest = Md5::digest(factor.as_bytes());
            // The last six digits are the last three bytes.
            let end: String = digest.iter().skip(digest.len() - 3).map(|b| format!("{b:02x}")).collect();
            format!("{prefix}{end}")
        }
        // Not padded: a hash that begins with a zero gives a shorter ref.
        Edition::Late => format!("{prefix}{:x}", xxh32(factor.as_bytes(), SEED)),
    }
}

/// The seed that late releases hash with.
const SEED: u32 = 0xABCD;

const P1: u32 = 0x9E37_79B1;
const P2: u32 = 0x85EB_CA77;
const P3: u32 = 0xC2B2_AE3D;
const P4: u32 = 0x27D4_EB2F;
const P5: u32 = 0x1656_67B1;

/// XXH32, as the xxHash specification (version 0.1.1, section "XXH32 algorithm") has it.
fn xxh32(input: &[u8], seed: u32) -> u32 {
    let word = |lane: &[u8]| lane.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let mut stripes = input.chunks_exact(16);
    let mut hash = if input.len() < 16 {
        seed.wrapping_add(P5)
    } else {
        let mut lanes =
            [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
        for stripe in stripes.by_ref() {
            for (lane, bytes) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                *lane = lane.wrapping_add(word(bytes).wrapping_mul(P2)).rotate_left(13).wrapping_mul(P1);
            }
        }
        let [a, b, c, d] = lanes;
        a.rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18))
    };
    // The length goes in modulo 2^32.
    hash = hash.wrapping_add(input.len() as u32);
    let rest = if input.len() < 16 { input } else { stripes.remainder() };
    let mut words = rest.chunks_exact(4);
    for bytes in words.by_ref() {
        hash = hash.wrapping_add(word(bytes).wrapping_mul(P3)).rotate_left(17).wrapping_mul(P4);
    }
    for byte in words.remainder() {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(P2);
    hash = (hash ^ hash >> 13).wrapping_mul(P3);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Routr's own documents and tests print, and what its rule gives.
    #[test]
    fn refs_are_those_of_routr() {
        use Collection::*;
        let table = [
            (Agents, "1001sip.local", "ag3f77f6", "agc300a1c6"),
            (Agents, "1002sip.local", "ag636a89", "agb42e792d"),
            (Agents, "4001sip2.local", "ag031a18", "ag5f746e64"),
            (Domains, "sip.local", "dmb68d9c", "dmba89f9f"),
            (Domains, "sip2.local", "dm9c453a", "dm5344804a"),
            (Peers, "ast", "pra2df6b", "pr83f9a0ab"),
            (Gateways, "sip.provider.net", "gweef506", "gw50a1a4ca"),
            (Numbers, "tel:0000000000", "dd50baa4", "dd76afc94b"),
            (Users, "admin", "us801fc3", "urfb39c943"),
        ];
        for (collection, factor, early, late) in table {
            assert_eq!(generated_ref(Edition::Rc2, collection, factor), early, "{factor}");
            assert_eq!(generated_ref(Edition::Late, collection, factor), late, "{factor}");
        }
        assert_eq!(generated_ref(Edition::Late, Gateways, "sip2.provider.net"), "gw1ec5e36a");
    }

    #[test]
    fn xxh32_of_every_length_class() {
        assert_eq!(xxh32(b"", 0), 0x02CC_5D05);
        assert_eq!(xxh32(b"Nobody inspects the spammish repetition", 0), 0xE229_3B2F);
    }
}
