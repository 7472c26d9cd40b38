//! What becomes of a request.

use arrayvec::ArrayVec;
use trunkline_model::{DigestAlgorithm, Ref};
use trunkline_sip::{Span, Splices};

use crate::explain::{Fact, Told};
use crate::party::{Direction, Party, PartyName};
use crate::rules::Call;
use crate::target::Targets;

/// The end of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer with this status.
    Reply {
        /// The status code.
        code: u16,
        /// The reason phrase; `None`: the code's own.
        reason: Option<&'static str>,
        /// Seconds for a Retry-After header.
        retry_after: Option<u32>,
    },
    /// Answer with a challenge for [`Plan::realm`], one for each of [`Plan::algorithms`] in order.
    Challenge {
        /// 407 with Proxy-Authenticate instead of 401 with WWW-Authenticate.
        proxy: bool,
        /// The digest's nonce was too old, used before or not sent there; nothing is said of its response.
        stale: bool,
    },
    /// A REGISTER that may go on: hand it to the registrar for [`Plan::aor`].
    Register {
        /// The most contacts of the AOR; `None` leaves it to the registrar.
        max_contacts: Option<u32>,
        /// Expiry the resource sets instead of what the phone asks, in seconds.
        expires: Option<u32>,
    },
    /// Send it to [`Plan::targets`].
    Forward,
}

impl Outcome {
    /// Just a status.
    pub fn reply(code: u16) -> Outcome {
        Outcome::Reply { code, reason: None, retry_after: None }
    }
}

/// An edit of the forwarded message: text in the place of a stretch.
#[derive(Clone, Copy, Debug)]
struct Edit {
    span: Span,
    /// Where the new text stands in `Plan::texts`; empty deletes.
    start: u32,
    end: u32,
}

/// What becomes of a request. Owned by the caller, used again for the next one: once its memory has grown to the
/// usual size it allocates nothing.
#[derive(Clone, Debug)]
pub struct Plan {
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
    /// Must later requests of the dialog come this way? (RFC 3261 §16.6 step 4)
    pub record_route: bool,
    /// Was the request refused because of where it came from?
    pub source_refused: bool,
    /// Who calls.
    pub caller: PartyName,
    /// Who is called, as far as that was found out.
    pub callee: PartyName,
    /// The number that is called, where it is one of ours.
    pub number: Option<Ref>,
    /// The callee is not who was called: that one has no phone, or did not take the call.
    pub diverted: bool,
    /// How long the called agent rings, in seconds, where it says so.
    pub no_answer_seconds: Option<u32>,
    /// Where the called agent's calls go when it does not take them.
    pub fallback: Fallback,
    facts: ArrayVec<Noted, MAX_FACTS>,
    names: String,
    edits: Vec<Edit>,
    texts: Vec<u8>,
    added: Vec<u8>,
}

/// Where an agent's calls go when it does not take them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// An AOR, when it is busy.
    pub busy: Option<String>,
    /// An AOR, when it does not answer.
    pub no_answer: Option<String>,
}

/// A fact: its words, and where the names that belong to it stand.
#[derive(Clone, Copy, Debug)]
struct Noted {
    words: &'static str,
    start: u32,
    end: u32,
}

/// Facts of one decision, at most: no way is that long.
const MAX_FACTS: usize = 24;

impl Default for Plan {
    fn default() -> Self {
        Plan {
            outcome: Outcome::reply(500),
            direction: None,
            targets: Targets::default(),
            aor: Vec::new(),
            realm: Vec::new(),
            algorithms: ArrayVec::new(),
            proven: false,
            record_route: false,
            source_refused: false,
            caller: PartyName::default(),
            callee: PartyName::default(),
            number: None,
            diverted: false,
            no_answer_seconds: None,
            fallback: Fallback::default(),
            facts: ArrayVec::new(),
            names: String::new(),
            edits: Vec::new(),
            texts: Vec::new(),
            added: Vec::new(),
        }
    }
}

impl Plan {
    /// Forgets the last request, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.outcome = Outcome::reply(500);
        self.direction = None;
        self.targets.clear();
        self.aor.clear();
        self.realm.clear();
        self.algorithms.clear();
        self.proven = false;
        self.record_route = false;
        self.source_refused = false;
        self.caller = PartyName::default();
        self.callee = PartyName::default();
        self.number = None;
        self.diverted = false;
        self.no_answer_seconds = None;
        self.fallback = Fallback::default();
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

    /// What was found out on the way, in order.
    pub fn facts(&self) -> impl Iterator<Item = Told<'_>> {
        let names = |n: &Noted| self.names.get(n.start as usize..n.end as usize).unwrap_or_default();
        self.facts.iter().map(move |noted| Told { words: noted.words, names: names(noted) })
    }

    pub(crate) fn note(&mut self, fact: Fact<'_>) {
        let start = self.names.len() as u32;
        for name in fact.names().into_iter().filter(|name| !name.is_empty()) {
            if self.names.len() as u32 > start {
                self.names.push('\0');
            }
            self.names.push_str(name);
        }
        let noted = Noted { words: fact.words(), start, end: self.names.len() as u32 };
        let _ = self.facts.try_push(noted);
    }

    /// Keeps who takes part.
    pub(crate) fn name_parties(&mut self, call: &Call<'_, '_>) {
        self.caller = call.caller.into();
        self.callee = call.callee.into();
        self.number = call.number.map(|n| n.reference.clone());
        self.diverted = !call.diverted.is_empty();
        if let Party::Agent(agent, _) = call.callee {
            self.no_answer_seconds = agent.no_answer_seconds;
            self.fallback.busy.clone_from(&agent.fallback_busy);
            self.fallback.no_answer.clone_from(&agent.fallback_no_answer);
        }
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
