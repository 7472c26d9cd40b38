//! Java's own key store (JKS), as `keytool` wrote it before Java 9.
//!
//! ```text
//! u32 magic FEEDFEED, u32 version 1 or 2, u32 entries
//! key:          u32 1, utf alias, u64 time, u32 length, EncryptedPrivateKeyInfo, u32 certificates, each [utf type,] u32 length, DER
//! certificate:  u32 2, utf alias, u64 time, [utf type,] u32 length, DER
//! SHA-1 over the password, a fixed text and all of the above
//! ```

use sha1::{Digest, Sha1};

/// The first bytes of a JKS file.
pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// The same of a JCEKS, whose keys are protected otherwise; it is not read.
pub(super) const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];

/// The text between password and content that the file's digest covers.
const SALT: &[u8] = b"Mighty Aphrodite";

/// The algorithm of a protected key: 1.3.6.1.4.1.42.2.17.1.1.
const KEY_PROTECTOR: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

const DIGEST: usize = 20;

/// The content of a key store.
#[derive(Debug, Default)]
pub(super) struct Jks {
    /// The first private key (PKCS#8) with its chain.
    pub key: Option<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Certificates that are trusted.
    pub trusted: Vec<Vec<u8>>,
}

impl Jks {
    /// Opens a store.
    pub fn open(bytes: &[u8], password: &str) -> Result<Jks, &'static str> {
        let secret: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let split = bytes.len().checked_sub(DIGEST).ok_or("it is too short")?;
        let (content, digest) = bytes.split_at_checked(split).ok_or("it is too short")?;
        let found = Sha1::new().chain_update(&secret).chain_update(SALT).chain_update(content).finalize();
        if found.as_slice() != digest {
            return Err("the password is wrong, or the file is damaged");
        }
        let mut input = Input(content);
        Jks::read(&mut input, &secret).ok_or("it is damaged")?
    }

    /// `None` where the file ends too early.
    fn read(input: &mut Input<'_>, secret: &[u8]) -> Option<Result<Jks, &'static str>> {
        let mut store = Jks::default();
        input.take(4)?;
        let version = input.u32()?;
        for _ in 0..input.u32()? {
            let tag = input.u32()?;
            input.text()?;
            input.take(8)?;
            match tag {
                1 => {
                    let protected = input.block()?;
                    let count = input.u32()?;
                    let chain = (0..count).map(|_| input.certificate(version)).collect::<Option<Vec<_>>>()?;
                    if store.key.is_none() {
                        match unprotect(protected, secret) {
                            Some(key) => store.key = Some((key, chain)),
                            None => {
                                return Some(Err("the password of the key is another than that of the file"));
                            }
                        }
                    }
                }
                2 => store.trusted.push(input.certificate(version)?),
                _ => return Some(Err("it has an entry of an unknown kind")),
            }
        }
        Some(Ok(store))
    }
}

/// Bytes still to be read.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Bytes with their length before them.
    fn block(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    /// Java's modified UTF-8, which only names things here.
    fn text(&mut self) -> Option<&'b [u8]> {
        let length: [u8; 2] = self.take(2)?.try_into().ok()?;
        self.take(usize::from(u16::from_be_bytes(length)))
    }

    fn certificate(&mut self, version: u32) -> Option<Vec<u8>> {
        if version > 1 {
            self.text()?;
        }
        self.block().map(<[u8]>::to_vec)
    }

    /// The content of a DER element with this tag (X.690 §8.1).
    fn der(&mut self, tag: u8) -> Option<&'b [u8]> {
        let [found, first] = *self.take(2)? else { return None };
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let digits = self.take(usize::from(first & 0x7f))?;
                digits.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let content = self.take(length)?;
        (found == tag).then_some(content)
    }
}

/// Opens a protected key: a salt, the key under a stream of SHA-1 digests, a digest of the key.
fn unprotect(info: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut info = Input(Input(info).der(0x30)?);
    let mut algorithm = Input(info.der(0x30)?);
    if algorithm.der(0x06)? != KEY_PROTECTOR {
        return None;
    }
    let mut data = Input(info.der(0x04)?);
    let salt = data.take(DIGEST)?;
    let under = data.take(data.0.len().checked_sub(DIGEST)?)?;
    let mut key = Vec::with_capacity(under.len());
    let mut pad = salt.to_vec();
    for part in under.chunks(DIGEST) {
        pad = Sha1::new().chain_update(secret).chain_update(&pad).finalize().to_vec();
        key.extend(part.iter().zip(&pad).map(|(a, b)| a ^ b));
    }
    let digest = Sha1::new().chain_update(secret).chain_update(&key).finalize();
    (digest.as_slice() == data.0).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `keytool -genkeypair -storetype JKS` and `-importcert`, with the password `changeit`.
    const STORE: &[u8] = include_bytes!("../../tests/keystore.jks");

    #[test]
    fn keytools_own() {
        let store = Jks::open(STORE, "changeit").expect("opened");
        let (key, chain) = store.key.expect("a key");
        assert_eq!(key.first(), Some(&0x30));
        assert_eq!((chain.len(), store.trusted.len()), (1, 1));
        assert!(Jks::open(STORE, "wrong").is_err_and(|why| why.contains("password")));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for end in 0..STORE.len() {
            assert!(Jks::open(&STORE[..end], "changeit").is_err(), "{end}");
        }
        // Lengths that promise more than there is, under a digest that fits.
        let secret: Vec<u8> = "changeit".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for at in 0..STORE.len() - DIGEST {
            let mut bytes = STORE[..STORE.len() - DIGEST].to_vec();
            bytes[at] ^= 0xff;
            let digest = Sha1::new().chain_update(&secret).chain_update(SALT).chain_update(&bytes).finalize();
            bytes.extend_from_slice(&digest);
            let _ = Jks::open(&bytes, "changeit");
        }
    }
}
