//! What becomes of a request.

use arrayvec::ArrayVec;
use trunkline_model::DigestAlgorithm;
use trunkline_sip::{Span, Splices};

use crate::party::Direction;
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
    pub algorithms: ArrayVec<DigestAlgorithm, 2>,
    /// Has the caller shown who it is? What it was not asked for it has not shown.
    pub proven: bool,
    /// Must later requests of the dialog come this way? (RFC 3261 §16.6 step 4)
    pub record_route: bool,
    edits: Vec<Edit>,
    texts: Vec<u8>,
    added: Vec<u8>,
}

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
