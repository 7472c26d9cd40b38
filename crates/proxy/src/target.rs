//! The remote target of a dialog, compared as RFC 3261 §19.1.4 compares URIs.

use trunkline_sip::{Params, Uri, parse_ip};

use crate::secret::{Secret, Signing};

/// Parameters that must be equal, or absent, on both sides (RFC 3261 §19.1.4); `gr` names a phone (RFC 5627 §4.3).
const DECISIVE: [&str; 6] = ["user", "ttl", "method", "maddr", "transport", "gr"];

impl Secret {
    /// A number of 48 bits that is the same for URIs that are equal by RFC 3261 §19.1.4. Escapes are decoded, hosts and
    /// the decisive parameters are compared without regard to case, addresses by value. Parameters other than the
    /// decisive ones do not count, since one side may leave them out.
    pub fn target(&self, uri: &Uri<'_>) -> u64 {
        let mut hash = self.signing(10);
        hash.put_u8(uri.scheme as u8);
        put_decoded(uri.user, &mut hash);
        put_decoded(uri.password, &mut hash);
        match parse_ip(uri.host) {
            Some(ip) => {
                hash.put_u8(b'@');
                match ip.to_canonical() {
                    std::net::IpAddr::V4(ip) => hash.put(&ip.octets()),
                    std::net::IpAddr::V6(ip) => hash.put(&ip.octets()),
                }
            }
            None => put_lower(uri.host, &mut hash),
        }
        hash.put(&uri.port.map_or(u32::MAX, u32::from).to_be_bytes());
        if !uri.params.is_empty() {
            for (number, name) in DECISIVE.iter().enumerate() {
                if let Some(value) = Params::new(uri.params).get(name) {
                    hash.put_u8(number as u8);
                    put_lower(value.unwrap_or_default(), &mut hash);
                }
            }
        }
        hash.finish() >> 16
    }
}

fn put_lower(text: &[u8], hash: &mut Signing) {
    hash.put_lower(text);
    hash.put_u8(0xff);
}

/// Ends a part, or stands before a byte that would be taken for an end.
const ESCAPE: u8 = 0xfd;
/// A reserved character means something else when it is escaped (RFC 3261 §19.1.4).
const RESERVED: &[u8] = b";/?:@&=+$,";

fn put_decoded(text: Option<&[u8]>, hash: &mut Signing) {
    let Some(mut text) = text else { return hash.put_u8(0xfe) };
    if !text.iter().any(|b| *b == b'%' || *b >= ESCAPE) {
        hash.put(text);
        return hash.put_u8(0xff);
    }
    let hex = |b: &u8| (*b as char).to_digit(16);
    while let Some((&b, rest)) = text.split_first() {
        text = rest;
        let decoded = match (b, rest) {
            (b'%', [high, low, after @ ..]) => hex(high).zip(hex(low)).map(|(high, low)| {
                text = after;
                (high * 16 + low) as u8
            }),
            _ => None,
        };
        if decoded.is_some_and(|d| RESERVED.contains(&d)) || decoded.unwrap_or(b) >= ESCAPE {
            hash.put_u8(ESCAPE);
        }
        hash.put_u8(decoded.unwrap_or(b));
    }
    hash.put_u8(0xff);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        let secret = Secret::new([3; 16]);
        let of = |text: &str| secret.target(&Uri::parse(text.as_bytes()).expect("a URI"));
        of(a) == of(b)
    }

    /// The examples of RFC 3261 §19.1.4, and more of their kind.
    #[test]
    fn as_the_rfc_compares_them() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
            ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"),
            ("sip:a@h;maddr=X;user=phone", "sip:a@h;user=PHONE;maddr=x"),
            ("sip:a@192.0.2.1", "SIP:a@192.0.2.1"),
        ] {
            assert!(equal(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:a@h", "sips:a@h"),
            ("sip:a@h", "sip:h"),
            ("sip:a@h", "sip:a:b@h"),
            ("sip:a@h;maddr=x", "sip:a@h"),
            ("sip:a@h;gr=1", "sip:a@h;gr=2"),
            ("sip:a@h;user=phone", "sip:a@h;ttl=phone"),
            ("tel:+1", "sip:+1@h"),
            ("sip:a%3Bnpdi@h", "sip:a;npdi@h"),
            ("sip:a%ff@h", "sip:a:%ff@h"),
        ] {
            assert!(!equal(a, b), "{a} {b}");
        }
    }
}
