//! What becomes of a request.

use arrayvec::ArrayVec;
use trunkline_model::DigestAlgorithm;
use trunkline_reasons::Reason;
use trunkline_sip::{Span, Splices, reason};

use crate::explain::{Fact, Told};
use crate::party::{Direction, Parties};
use crate::target::{Target, Targets};

/// Nothing has been decided yet.
pub(crate) const UNDECIDED: Reason = Reason::ServerRules;

/// The end of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer with this status.
    Reply {
        /// The status code.
        code: u16,
        /// Why.
        reason: Reason,
        /// Seconds for a Retry-After header.
        retry_after: Option<u32>,
    },
    /// Answer with a challenge for [`Decision::realm`], one for each of [`Decision::algorithms`] in order.
    Challenge {
        /// 407 with Proxy-Authenticate instead of 401 with WWW-Authenticate.
        proxy: bool,
        /// The digest's nonce was too old, used before or not sent there; nothing is said of its response.
        stale: bool,
        /// Why the caller is asked.
        reason: Reason,
    },
    /// A REGISTER that may go on: hand it to the registrar for [`Decision::aor`].
    Register {
        /// The most contacts of the AOR; `None` leaves it to the registrar.
        max_contacts: Option<u32>,
        /// Does one more take the place of the oldest? `None` leaves it to the registrar.
        replaces_oldest: Option<bool>,
        /// Expiry the resource sets instead of what the phone asks, in seconds.
        expires: Option<u32>,
    },
    /// Send it to [`Decision::targets`].
    Forward,
}

impl Outcome {
    /// An answer with the status of this reason.
    pub fn reply(reason: Reason) -> Outcome {
        Outcome::Reply { code: reason.status(), reason, retry_after: None }
    }

    /// The status and reason phrase of an answer.
    pub fn status_line(&self) -> Option<(u16, &'static str)> {
        match *self {
            Outcome::Reply { code, reason: why, .. } => {
                Some((code, why.phrase().unwrap_or_else(|| reason(code))))
            }
            Outcome::Challenge { .. } | Outcome::Register { .. } | Outcome::Forward => None,
        }
    }
}

/// An edit of the forwarded message: text in the place of a stretch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    /// Where the new text stands in `Decision::texts`; empty deletes.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What becomes of a request, with all that whoever carries it out has to know: it can be kept, and sent to another process
/// ([`Decision::encode`]). Owned by the caller, used again for the next one: once its memory has grown to the
/// usual size it allocates nothing.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The end of the route.
    pub outcome: Outcome,
    /// Who calls whom, for [`Outcome::Forward`].
    pub direction: Option<Direction>,
    /// Where to, for [`Outcome::Forward`].
    pub targets: Targets,
    /// The AOR looked up or to be registered, as it was normalised: `sip:user@host`, host in lower case, or
    /// `backend:name`.
    pub aor: Vec<u8>,
    /// The realm of a challenge.
    pub realm: Vec<u8>,
    /// The algorithms a digest may have, in the order in which a challenge offers them.
    pub algorithms: ArrayVec<DigestAlgorithm, { DigestAlgorithm::COUNT }>,
    /// Has the caller shown who it is? What it was not asked for it has not shown.
    pub proven: bool,
    /// Has it shown that, or does a list name its address? What it does is recorded without the bounds for strangers.
    pub known: bool,
    /// Must later requests of the dialog come this way? (RFC 3261 §16.6 step 4)
    pub record_route: bool,
    /// Was the request refused because of where it came from?
    pub source_refused: bool,
    /// Who takes part.
    pub parties: Parties,
    pub(crate) facts: ArrayVec<Noted, MAX_FACTS>,
    pub(crate) names: String,
    pub(crate) edits: Vec<Edit>,
    pub(crate) texts: Vec<u8>,
    pub(crate) added: Vec<u8>,
}

/// A fact: its words, and where the names that belong to it stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) words: Words,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Where the words of a fact stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Words {
    Known(&'static str),
    /// In `Decision::names`, of a decision that was read ([`Decision::decode`]).
    Read(u32, u32),
}

/// Facts of one decision, at most: no way is that long.
pub(crate) const MAX_FACTS: usize = 24;

impl Default for Decision {
    fn default() -> Self {
        Decision {
            outcome: Outcome::reply(UNDECIDED),
            direction: None,
            targets: Targets::default(),
            aor: Vec::new(),
            realm: Vec::new(),
            algorithms: ArrayVec::new(),
            proven: false,
            known: false,
            record_route: false,
            source_refused: false,
            parties: Parties::default(),
            facts: ArrayVec::new(),
            names: String::new(),
            edits: Vec::new(),
            texts: Vec::new(),
            added: Vec::new(),
        }
    }
}

impl Decision {
    /// Forgets the last request, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.outcome = Outcome::reply(UNDECIDED);
        self.direction = None;
        self.targets.clear();
        self.aor.clear();
        self.realm.clear();
        self.algorithms.clear();
        self.proven = false;
        self.known = false;
        self.record_route = false;
        self.source_refused = false;
        self.parties = Parties::default();
        self.facts.clear();
        self.names.clear();
        self.edits.clear();
        self.texts.clear();
        self.added.clear();
    }

    /// Header lines for every target, each with its CRLF, to stand at the end of the header. Those of one
    /// target are in [`crate::Target::headers`].
    pub fn added_headers(&self) -> &[u8] {
        &self.added
    }

    /// Stretches of the message that change: what is left out and what stands there instead.
    pub fn edits(&self) -> impl Iterator<Item = (Span, &[u8])> {
        self.edits
            .iter()
            .map(|e| (e.span, self.texts.get(e.start as usize..e.end as usize).unwrap_or_default()))
    }

    /// Writes all that is common to every target into `splices`; new header lines go before byte `at`, the
    /// message's empty line. The Request-URI and [`crate::Target::headers`] are the caller's.
    pub fn apply(&self, splices: &mut Splices, at: u16) {
        for (span, text) in self.edits() {
            if text.is_empty() {
                splices.delete(span);
            } else {
                splices.replace(span, text);
            }
        }
        if !self.added.is_empty() {
            splices.insert(at, &self.added);
        }
    }

    pub(crate) fn delete(&mut self, span: Span) {
        self.edits.push(Edit { span, start: 0, end: 0 });
    }

    pub(crate) fn replace(&mut self, span: Span, text: &[u8]) {
        let start = self.texts.len() as u32;
        self.texts.extend_from_slice(text);
        self.edits.push(Edit { span, start, end: self.texts.len() as u32 });
    }

    /// Adds a header line for every target. A line end in the value would make two of it: such a one is left out.
    pub(crate) fn add_header(&mut self, name: &str, value: &[u8]) {
        if !value.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            push_header(&mut self.added, name, value);
        }
    }

    /// Adds whole header lines of our own making for every target.
    pub(crate) fn add_lines(&mut self, lines: &[u8]) {
        self.added.extend_from_slice(lines);
    }

    /// Adds algorithms a digest may have.
    pub fn offer(&mut self, algorithms: &[DigestAlgorithm]) {
        for &algorithm in algorithms {
            if !self.algorithms.contains(&algorithm) {
                let _ = self.algorithms.try_push(algorithm);
            }
        }
    }

    /// The whole story, a sentence a line: what was found out, then what becomes of the request.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        for fact in self.facts() {
            out += &format!("{fact}\n");
        }
        let text = String::from_utf8_lossy;
        out += &match self.outcome {
            Outcome::Reply { .. } => {
                let (code, phrase) = self.outcome.status_line().unwrap_or_default();
                format!("so it is answered {code} {phrase}\n")
            }
            Outcome::Challenge { .. } => format!("so it is challenged for realm {}\n", text(&self.realm)),
            Outcome::Register { .. } => format!("so {} is registered\n", text(&self.aor)),
            Outcome::Forward => {
                let target = |t: &Target| text(self.targets.text(t.uri)).into_owned();
                let mut lines = String::new();
                let mut group = None;
                for t in self.targets.as_slice() {
                    lines += match group {
                        None => "so it goes to ",
                        Some(g) if g == t.group => " and ",
                        Some(_) => ", then to ",
                    };
                    lines += &target(t);
                    group = Some(t.group);
                }
                lines + "\n"
            }
        };
        out
    }

    /// What was found out on the way, in order.
    pub fn facts(&self) -> impl Iterator<Item = Told<'_>> {
        let text = |start, end| self.names.get(start as usize..end as usize).unwrap_or_default();
        self.facts.iter().map(move |noted| {
            let words = match noted.words {
                Words::Known(words) => words,
                Words::Read(start, end) => text(start, end),
            };
            Told { words, names: text(noted.start, noted.end) }
        })
    }

    pub(crate) fn note(&mut self, fact: Fact<'_>) {
        let start = self.names.len() as u32;
        for name in fact.names().into_iter().filter(|name| !name.is_empty()) {
            if self.names.len() as u32 > start {
                self.names.push('\0');
            }
            self.names.push_str(name);
        }
        let noted = Noted { words: Words::Known(fact.words()), start, end: self.names.len() as u32 };
        let _ = self.facts.try_push(noted);
    }

    /// Takes an AOR as it stands in a resource.
    pub(crate) fn take_aor(&mut self, aor: &str) {
        self.aor.clear();
        self.aor.extend_from_slice(aor.as_bytes());
    }

    pub(crate) fn set_aor(&mut self, user: &[u8], host: &str) {
        self.aor.clear();
        self.aor.extend_from_slice(b"sip:");
        self.aor.extend_from_slice(user);
        self.aor.push(b'@');
        self.aor.extend_from_slice(host.as_bytes());
    }
}

/// Appends `name: value` and a line end.
pub(crate) fn push_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
