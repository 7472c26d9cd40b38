//! Texts that only we can read and only we can have written, to be given to strangers and taken back.

use crate::base64url;
use crate::secret::Secret;

/// Bytes of a sealed text beyond its own: what makes it different each time, and its MAC.
const OVERHEAD: usize = 16;
/// Plain bytes at most.
const LONGEST: usize = 512;

impl Secret {
    /// Appends `plain`, sealed, in the letters of RFC 4648 §5 without padding: they may stand in the user part of a
    /// URI. Equal texts with unequal `nonce` have nothing in common. A text of more than 512 bytes is left out.
    pub fn seal(&self, plain: &[u8], nonce: u64, out: &mut Vec<u8>) {
        if plain.len() > LONGEST {
            return;
        }
        let nonce = nonce.to_be_bytes();
        let mut text = Vec::with_capacity(plain.len() + OVERHEAD);
        text.extend_from_slice(&nonce);
        text.extend_from_slice(plain);
        self.cross(nonce, text.get_mut(8..).unwrap_or_default());
        let mac = self.sealed_mac(&text);
        text.extend_from_slice(&mac.to_be_bytes());
        base64url::encode(&text, out);
    }

    /// Reads what [`Secret::seal`] wrote; `None` for everything else.
    pub fn unseal(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = vec![0; (LONGEST + OVERHEAD).min(sealed.len())];
        let length = base64url::decode(sealed, &mut text)?;
        text.truncate(length);
        let mac = text.split_off(text.len().checked_sub(8)?);
        let nonce: [u8; 8] = text.get(..8)?.try_into().ok()?;
        if mac != self.sealed_mac(&text).to_be_bytes() {
            return None;
        }
        let mut plain = text.split_off(8);
        self.cross(nonce, &mut plain);
        Some(plain)
    }

    /// Counter mode over a keyed function: the same twice gives the text back.
    fn cross(&self, nonce: [u8; 8], text: &mut [u8]) {
        for (block, bytes) in text.chunks_mut(8).enumerate() {
            let key = self.key_stream(nonce, block as u64).to_be_bytes();
            bytes.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(secret: &Secret, plain: &[u8], nonce: u64) -> Vec<u8> {
        let mut out = Vec::new();
        secret.seal(plain, nonce, &mut out);
        out
    }

    #[test]
    fn only_we_read_it() {
        let (ours, other) = (Secret::new([7; 16]), Secret::new([8; 16]));
        for plain in [&b""[..], b"a", b"1001", b"a text of several blocks, and more than one"] {
            let text = sealed(&ours, plain, 42);
            assert!(text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
            assert_eq!(ours.unseal(&text).as_deref(), Some(plain));
            assert_eq!(other.unseal(&text), None);
            assert_ne!(sealed(&ours, plain, 43), text);
            for n in 0..text.len() {
                let mut forged = text.clone();
                forged[n] = if forged[n] == b'A' { b'Q' } else { b'A' };
                assert!(ours.unseal(&forged).is_none_or(|p| p == plain), "digit {n}");
            }
        }
        for bad in [&b""[..], b"A", b"AAAA", b"********", &[b'A'; 4096]] {
            assert_eq!(ours.unseal(bad), None);
        }
        assert!(sealed(&ours, &[0; 600], 1).is_empty());
    }

    #[test]
    fn equal_texts_have_nothing_in_common() {
        let secret = Secret::new([7; 16]);
        let blocks = |nonce: u64| -> Vec<[u8; 8]> {
            let mut bytes = [0; 128];
            let length =
                base64url::decode(&sealed(&secret, &[0; 48], nonce), &mut bytes).expect("our letters");
            let (blocks, rest) = bytes[..length].as_chunks::<8>();
            assert_eq!((blocks.len(), rest.len()), (8, 0), "the nonce, six blocks, the MAC");
            blocks[1..7].to_vec()
        };
        let mut all = [blocks(1), blocks(2)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 12, "no block is like another");
    }
}
