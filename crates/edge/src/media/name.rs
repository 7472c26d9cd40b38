//! What rtpengine is told that a call is called.

/// A relayed call as rtpengine knows it: a Call-ID, which operators look it up by, and tags. Both are the parties' own words,
/// so that two calls may have the same: the tags bear the number of the call's first request, also of a call whose Call-ID
/// nobody else has, since after a restart nobody knows whether somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    number: u64,
    call_id: Box<[u8]>,
}

impl Name {
    /// The call with this number, under its own Call-ID.
    pub(super) fn plain(number: u64, call_id: &[u8]) -> Name {
        Name { number, call_id: call_id.into() }
    }

    /// Under a Call-ID that no other call has: another one is relayed under its own. Within rtpengine a call shares more than its
    /// name, such as its limits, and what is kept of branches that have ended.
    pub(super) fn apart(number: u64, call_id: &[u8]) -> Name {
        Name { number, call_id: [call_id, format!(";{number:016x}").as_bytes()].concat().into() }
    }

    pub(super) fn call_id(&self) -> &[u8] {
        &self.call_id
    }

    /// A tag, or the name of a branch; without any there is none. All numbers are of one length, so that nobody chooses a
    /// tag that makes another call's.
    pub(super) fn tag(&self, tag: &[u8]) -> Vec<u8> {
        match tag {
            b"" => Vec::new(),
            tag => [format!("{:016x}-", self.number).as_bytes(), tag].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_make_different_names() {
        let (one, two) = (Name::plain(1, b"x@h"), Name::apart(0x10, b"x@h"));
        assert_eq!(one.call_id(), b"x@h");
        assert_eq!(two.call_id(), b"x@h;0000000000000010");
        assert_eq!(one.tag(b"a"), b"0000000000000001-a");
        assert_eq!(two.tag(b"a"), b"0000000000000010-a");
        assert_ne!(one.tag(b"0000000000000010-a"), two.tag(b"a"));
        assert_eq!(one.tag(b""), b"");
    }
}
