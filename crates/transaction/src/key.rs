//! The key by which a message matches its transaction.

use std::hash::Hasher;

use siphasher::sip128::SipHasher13;
use trunkline_sip::{Message, Method, Via};

/// A server transaction's identity, RFC 3261 §17.2.3, as a keyed 128-bit hash: nobody without the key can
/// make two requests fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey(pub u128);

impl TransactionKey {
    /// 64 of its bits, for a table.
    pub fn short(self) -> u64 {
        self.0 as u64
    }
}

/// Makes [`TransactionKey`]s with the secret of this process.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    keys: (u64, u64),
}

impl KeyMaker {
    /// `secret` is random, made at start.
    pub fn new(secret: (u64, u64)) -> Self {
        KeyMaker { keys: secret }
    }

    /// A number that all requests of a dialog share, and all that began with it: of the Call-ID alone.
    pub fn dialog(&self, request: &Message<'_>) -> u64 {
        SipHasher13::new_with_keys(self.keys.0, self.keys.1).hash(request.call_id()).h1
    }

    /// The key of `request`, taken as a request of `method`: an ACK and a CANCEL find their INVITE that way.
    ///
    /// With the magic cookie branch, sent-by and method decide, and Call-ID and CSeq number, which are equal for
    /// all that belongs to one transaction: a client whose branches are not as unique as it believes is served
    /// all the same. In branch and host case counts nothing (§7.3.1). Without the cookie the rules of RFC 2543 decide (From tag
    /// and Request-URI besides; of the To tag nothing, since an ACK brings one that the INVITE had not). A CSeq number is
    /// given to one request, so that methods we do not know need not be told apart.
    pub fn key(&self, request: &Message<'_>, via: &Via<'_>, method: Method) -> TransactionKey {
        self.all_but_method(request, via).with(method)
    }

    /// The keys that a request other than INVITE may have which this CANCEL is for.
    pub fn cancelled(
        &self,
        cancel: &Message<'_>,
        via: &Via<'_>,
    ) -> impl Iterator<Item = TransactionKey> + use<> {
        let mut parts = self.all_but_method(cancel, via);
        let others = Method::KNOWN.into_iter().chain([Method::Other]);
        let others = others.filter(|m| !matches!(m, Method::Invite | Method::Ack | Method::Cancel));
        others.map(move |method| parts.with(method))
    }

    fn all_but_method(&self, request: &Message<'_>, via: &Via<'_>) -> Parts {
        let mut parts = Parts {
            hash: SipHasher13::new_with_keys(self.keys.0, self.keys.1),
            held: [0; Parts::HELD],
            length: 0,
        };
        parts.put_lower(via.branch);
        parts.put_lower(via.host);
        parts.put(request.call_id());
        if !via.has_cookie() {
            parts.put(request.from_tag());
            parts.put(request.uri_text());
        }
        parts.put(&request.cseq().to_be_bytes());
        parts.put(&via.port.unwrap_or(0).to_be_bytes());
        parts
    }
}

/// The parts of a key. They are held back, since the function takes much longer over many short parts than over a few long
/// ones.
struct Parts {
    hash: SipHasher13,
    held: [u8; Parts::HELD],
    length: usize,
}

impl Parts {
    const HELD: usize = 192;

    /// Room for a part and the byte that ends it, and one more.
    fn place(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.length + length + 2 > Parts::HELD {
            self.hash.write(self.held.get(..self.length).unwrap_or_default());
            self.length = 0;
        }
        let start = self.length;
        let place = self.held.get_mut(start..start + length + 2)?.split_last_mut()?.1;
        self.length += length + 1;
        let (end, place) = place.split_last_mut()?;
        *end = 0;
        Some(place)
    }

    fn put(&mut self, part: &[u8]) {
        match self.place(part.len()) {
            Some(place) => place.copy_from_slice(part),
            None => {
                self.hash.write(part);
                self.hash.write_u8(0);
            }
        }
    }

    /// The part in lower case.
    fn put_lower(&mut self, part: &[u8]) {
        match self.place(part.len()) {
            Some(place) => {
                place.copy_from_slice(part);
                place.make_ascii_lowercase();
            }
            None => {
                part.iter().for_each(|byte| self.hash.write_u8(byte.to_ascii_lowercase()));
                self.hash.write_u8(0);
            }
        }
    }

    /// The key of a request of this method.
    fn with(&mut self, method: Method) -> TransactionKey {
        let method = if method == Method::Ack { Method::Invite } else { method };
        if let Some(last) = self.held.get_mut(self.length) {
            *last = method as u8;
        }
        TransactionKey(self.hash.hash(self.held.get(..=self.length).unwrap_or_default()).as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    fn with_message<R>(start: &str, via: &str, work: impl FnOnce(&Message<'_>, &Via<'_>) -> R) -> R {
        let method = start.split(' ').next().unwrap_or_default();
        let text = format!(
            "{start} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: i\r\nCSeq: 7 {method}\r\n\r\n"
        );
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).unwrap();
        let m = Message::new(text.as_bytes(), &index);
        work(&m, &m.top_via().unwrap())
    }

    #[test]
    fn branches_and_hosts_are_the_same_in_any_case() {
        let keys = KeyMaker::new((1, 2));
        let key = |via: &str| with_message("INVITE", via, |m, via| keys.key(m, via, Method::Invite));
        let long = "x".repeat(100);
        for tail in ["aBc", &long] {
            let one = key(&format!("phone.test;branch=z9hG4bK{tail}"));
            assert_eq!(one, key(&format!("Phone.TEST;branch=Z9HG4BK{}", tail.to_uppercase())));
            assert_ne!(one, key(&format!("phone.test;branch=z9hG4bK{tail}1")));
            assert_ne!(one, key(&format!("phone.test:5061;branch=z9hG4bK{tail}")));
        }
    }

    #[test]
    fn a_cancel_finds_every_request() {
        let keys = KeyMaker::new((1, 2));
        let via = "h;branch=z9hG4bK1";
        let cancelled = with_message("CANCEL", via, |m, via| keys.cancelled(m, via).collect::<Vec<_>>());
        for method in ["BYE", "MESSAGE", "INFO", "SUBSCRIBE", "FOO", "OPTIONS"] {
            let key = with_message(method, via, |m, via| keys.key(m, via, m.method().unwrap()));
            assert!(cancelled.contains(&key), "{method}");
        }
        let invite = with_message("INVITE", via, |m, via| keys.key(m, via, Method::Invite));
        assert!(!cancelled.contains(&invite));
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let keys = KeyMaker::new((1, 2));
        let of = |text: &str, method: Method, keys: &KeyMaker| {
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).unwrap();
            let m = Message::new(text.as_bytes(), &index);
            keys.key(&m, &m.top_via().unwrap(), method)
        };
        let text = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
                    Call-ID: i\r\nCSeq: 7 INVITE\r\n\r\n";
        let one = of(text, Method::Invite, &keys);
        assert_eq!(of(text, Method::Ack, &keys), one, "the ACK to a failure finds its INVITE");
        assert_ne!(of(text, Method::Bye, &keys), one);
        assert_ne!(of(text, Method::Invite, &KeyMaker::new((1, 3))), one, "another process");
        assert_ne!(one.short(), 0);
        for (part, other) in
            [("bKa", "bKb"), ("UDP h", "UDP g"), ("Call-ID: i", "Call-ID: j"), ("CSeq: 7", "CSeq: 8")]
        {
            assert_ne!(of(&text.replace(part, other), Method::Invite, &keys), one, "{other}");
        }
        // Where branches are unique these do not belong to the key; by the rules of RFC 2543 they do.
        for (part, other) in [("tag=1", "tag=2"), ("INVITE sip:b@h", "INVITE sip:c@h")] {
            assert_eq!(of(&text.replace(part, other), Method::Invite, &keys), one, "{other}");
            let old = text.replace("z9hG4bK", "");
            let both = [&old, &old.replace(part, other)].map(|text| of(text, Method::Invite, &keys));
            assert_ne!(both[0], both[1], "{other}");
        }
    }
}
