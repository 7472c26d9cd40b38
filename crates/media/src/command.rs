//! The commands of the NG protocol that calls need.

use crate::bencode::Value;
use crate::direction::Direction;
use crate::sdp::{Carriage, carriage};

/// A command for the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// An SDP that offers (RFC 3264 §5); the answer is the SDP to send on in its place.
    Offer(Description),
    /// An SDP that answers (RFC 3264 §6); the answer is the SDP to send on in its place.
    Answer(Description),
    /// The call is over, or never came about.
    Delete {
        /// Its Call-ID.
        call_id: Vec<u8>,
        /// The caller's tag.
        from_tag: Vec<u8>,
        /// Only the dialog with this tag; nothing where there is none.
        to_tag: Option<Vec<u8>>,
        /// Only this branch of a forked INVITE: the others go on.
        branch: Option<Vec<u8>>,
    },
    /// How many packets of the call have come? The answer is their number, as eight bytes, the highest first.
    Query {
        /// Its Call-ID.
        call_id: Vec<u8>,
    },
    /// Checks whether rtpengine answers.
    Ping,
}

/// An SDP on its way, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The Call-ID.
    pub call_id: Vec<u8>,
    /// The tag of who offered; of an answer too.
    pub from_tag: Vec<u8>,
    /// The tag of who answers, once it is known.
    pub to_tag: Option<Vec<u8>>,
    /// Tells apart several offers of one INVITE, to browsers and phones it forks to: any name, the same in offer
    /// and answer.
    pub branch: Option<Vec<u8>>,
    /// From the sender of the SDP to its receiver: of an answer, from who answers to who offered.
    pub direction: Direction,
    /// The SDP.
    pub sdp: Vec<u8>,
}

const SWAP: [Value<'static>; 2] = [Value::Bytes(b"origin"), Value::Bytes(b"session-connection")];

impl Command {
    /// The Call-ID of a command that has to keep its place among those of its call.
    pub(crate) fn turn(&self) -> Option<&[u8]> {
        match self {
            Command::Offer(d) | Command::Answer(d) => Some(&d.call_id),
            Command::Delete { call_id, .. } => Some(call_id),
            Command::Query { .. } | Command::Ping => None,
        }
    }

    /// Appends the command's dictionary.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let entries = match self {
            Command::Ping => vec![entry("command", b"ping")],
            Command::Query { call_id } => vec![entry("command", b"query"), entry("call-id", call_id)],
            Command::Delete { call_id, from_tag, to_tag, branch } => {
                let mut entries = vec![
                    entry("command", b"delete"),
                    entry("call-id", call_id),
                    entry("from-tag", from_tag),
                    // Not after the usual half minute: the ports are free at once.
                    (b"delete-delay".as_slice(), Value::Int(0)),
                ];
                entries.extend(to_tag.iter().map(|tag| entry("to-tag", tag)));
                entries.extend(branch.iter().map(|branch| entry("via-branch", branch)));
                entries
            }
            Command::Offer(d) => d.entries("offer"),
            Command::Answer(d) => d.entries("answer"),
        };
        Value::Dict(entries).encode(out);
    }
}

type Entry<'a> = (&'a [u8], Value<'a>);

fn entry<'a>(key: &'a str, value: &'a [u8]) -> Entry<'a> {
    (key.as_bytes(), Value::Bytes(value))
}

fn words(words: &[&'static str]) -> Value<'static> {
    Value::List(words.iter().map(|w| Value::Bytes(w.as_bytes())).collect())
}

impl Description {
    fn entries<'a>(&'a self, command: &'static str) -> Vec<Entry<'a>> {
        let mut entries = vec![
            entry("command", command.as_bytes()),
            entry("call-id", &self.call_id),
            entry("from-tag", &self.from_tag),
            entry("sdp", &self.sdp),
            (b"replace", Value::List(SWAP.to_vec())),
        ];
        entries.extend(self.to_tag.iter().map(|tag| entry("to-tag", tag)));
        entries.extend(self.branch.iter().map(|branch| entry("via-branch", branch)));
        let mut list = |key: &'static str, values| entries.push((key.as_bytes(), words(values)));
        match self.direction {
            Direction::WebToWeb => {
                list("flags", &["trust-address"]);
                list("SDES", &["off"]);
                entries.push(entry("ICE", b"force"));
            }
            Direction::WebToPhone => {
                list("flags", &["trust-address", "SDES-no"]);
                list("rtcp-mux", &["demux"]);
                entries.extend([
                    entry("ICE", b"remove"),
                    entry("DTLS", b"off"),
                    entry("transport-protocol", b"RTP/AVP"),
                ]);
            }
            Direction::PhoneToWeb => {
                list("flags", &["trust-address", "SDES-no", "generate-mid", "strip-extmap"]);
                list("rtcp-mux", &["require"]);
                // The role in DTLS is left to rtpengine: once ICE is done it begins the handshake while it has only the
                // browser's offer, and an answer that takes the other role would leave both waiting.
                entries.extend([entry("ICE", b"force"), entry("transport-protocol", b"UDP/TLS/RTP/SAVPF")]);
            }
            Direction::PhoneToPhone => {
                list("flags", &["trust-address"]);
                list("rtcp-mux", &["demux"]);
                entries.push(entry("ICE", b"remove"));
                // SRTP between two phones is theirs: it is not taken away on the way.
                if carriage(&self.sdp) != Some(Carriage::Srtp) {
                    entries.push(entry("transport-protocol", b"RTP/AVP"));
                }
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PHONE, SRTP_PHONE};

    fn fields(command: &Command, check: impl Fn(&Value<'_>)) {
        let mut out = Vec::new();
        command.encode(&mut out);
        check(&Value::decode(&out).unwrap());
    }

    fn description(direction: Direction, sdp: &[u8]) -> Description {
        Description {
            call_id: b"call".to_vec(),
            from_tag: b"from".to_vec(),
            to_tag: None,
            branch: None,
            direction,
            sdp: sdp.to_vec(),
        }
    }

    #[test]
    fn directions_have_their_flags() {
        for (direction, ice, profile, mux) in [
            (Direction::WebToWeb, "force", None, None),
            (Direction::WebToPhone, "remove", Some("RTP/AVP"), Some("demux")),
            (Direction::PhoneToWeb, "force", Some("UDP/TLS/RTP/SAVPF"), Some("require")),
            (Direction::PhoneToPhone, "remove", Some("RTP/AVP"), Some("demux")),
        ] {
            fields(&Command::Offer(description(direction, PHONE)), |v| {
                assert_eq!(v.text("command"), Some(b"offer".as_slice()));
                assert_eq!(v.text("call-id"), Some(b"call".as_slice()));
                assert_eq!(v.text("sdp"), Some(PHONE));
                assert_eq!(v.text("ICE"), Some(ice.as_bytes()));
                assert_eq!(v.text("transport-protocol"), profile.map(str::as_bytes));
                assert_eq!(
                    v.get("rtcp-mux").cloned(),
                    mux.map(|m| Value::List(vec![Value::Bytes(m.as_bytes())]))
                );
                assert_eq!(v.get("to-tag"), None);
            });
        }
        let srtp = Command::Offer(description(Direction::PhoneToPhone, SRTP_PHONE));
        fields(&srtp, |v| assert_eq!(v.text("transport-protocol"), None));
    }

    #[test]
    fn tags_branch_and_delete() {
        let answer = Description {
            to_tag: Some(b"to".to_vec()),
            branch: Some(b"z9".to_vec()),
            ..description(Direction::PhoneToPhone, PHONE)
        };
        fields(&Command::Answer(answer), |v| {
            assert_eq!(v.text("command"), Some(b"answer".as_slice()));
            assert_eq!(v.text("to-tag"), Some(b"to".as_slice()));
            assert_eq!(v.text("via-branch"), Some(b"z9".as_slice()));
        });
        let delete = Command::Delete {
            call_id: b"c".to_vec(),
            from_tag: b"f".to_vec(),
            to_tag: Some(b"t".to_vec()),
            branch: Some(b"1".to_vec()),
        };
        fields(&delete, |v| {
            assert_eq!(v.text("to-tag"), Some(b"t".as_slice()));
            assert_eq!(v.text("via-branch"), Some(b"1".as_slice()));
            assert_eq!(v.text("command"), Some(b"delete".as_slice()));
            assert_eq!(v.get("delete-delay"), Some(&Value::Int(0)));
        });
    }
}
