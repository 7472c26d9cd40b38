//! A table of answers, for whoever has to fetch them: each question is asked once, its answer kept, and the rules run again
//! until nothing is missing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use trunkline_model::{AccessControlList, Agent, Algorithm, Credentials, Domain, Number, Peer, Ref, Trunk};
use trunkline_sip::{Flow, Transport};

use crate::ask::{Answer, Ask, BindingsQuestion, NoAnswer, Question, Verdict};
use crate::target::Binding;

/// A question of its own, to be carried elsewhere. Resources are named by their refs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each stands for the Question of its name")]
pub enum Wanted {
    Domain(Vec<u8>),
    Agent { domain: Ref, user: Vec<u8> },
    Peer(Vec<u8>),
    PeerByAor(Vec<u8>),
    Number(Vec<u8>),
    NumberByRef(Ref),
    Trunk(Ref),
    TrunkByInbound(Vec<u8>),
    TrunkSource { trunk: Ref, source: IpAddr },
    TrunkCarrier { trunk: Ref, source: IpAddr },
    TrunkState(Ref),
    Credentials(Ref),
    Acl(Ref),
    Authenticate { credentials: Option<Ref>, realm: Vec<u8> },
    Connection { aor: Vec<u8>, registrant: Ref },
    GruuEnded { aor: Vec<u8>, instance: Vec<u8>, registration: Option<u64> },
    NumberServes { number: Ref, domain: Ref },
    Bindings(WantedBindings),
}

/// As [`BindingsQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "as BindingsQuestion")]
pub struct WantedBindings {
    pub aor: Vec<u8>,
    pub call_id: Vec<u8>,
    pub backend: Option<(Ref, WantedBalance, bool)>,
    pub affinity: Option<Vec<u8>>,
    pub gruu: Option<(Vec<u8>, Option<u64>)>,
}

/// How an instance is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "as trunkline_model::Algorithm")]
pub enum WantedBalance {
    RoundRobin,
    LeastSessions,
}

/// An answer that is kept.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each stands for the Answer of its name")]
pub enum Kept {
    Domain(Option<Arc<Domain>>),
    Agent(Option<Arc<Agent>>),
    Peer(Option<Arc<Peer>>),
    Number(Option<Arc<Number>>),
    Trunk(Option<Arc<Trunk>>),
    Credentials(Option<Arc<Credentials>>),
    Acl(Option<Arc<AccessControlList>>),
    Yes(bool),
    Down(u64),
    Verdict(Verdict),
    Bindings(Vec<Found>),
    /// Whoever knows cannot be asked.
    Unavailable,
}

/// A contact that was found, with its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as Binding")]
pub struct Found {
    pub uri: Vec<u8>,
    pub q: u16,
    pub flow: Option<Flow>,
    pub flow_only: bool,
    pub phone: u64,
    pub next_hop: Option<(Vec<u8>, Option<u16>, Option<Transport>)>,
    pub path: Vec<u8>,
    pub id: u64,
    pub named_from: Option<SocketAddr>,
}

impl Found {
    /// A contact reached where its URI points.
    pub fn new(uri: impl Into<Vec<u8>>, id: u64) -> Found {
        Found::keep(&Binding::new(&uri.into(), id))
    }

    /// Keeps a contact.
    pub fn keep(binding: &Binding<'_>) -> Found {
        Found {
            uri: binding.uri.to_vec(),
            q: binding.q,
            flow: binding.flow,
            flow_only: binding.flow_only,
            phone: binding.phone,
            next_hop: binding.next_hop.map(|(host, port, transport)| (host.to_vec(), port, transport)),
            path: binding.path.to_vec(),
            id: binding.id,
            named_from: binding.named_from,
        }
    }

    fn binding(&self) -> Binding<'_> {
        Binding {
            uri: &self.uri,
            q: self.q,
            flow: self.flow,
            flow_only: self.flow_only,
            phone: self.phone,
            next_hop: self.next_hop.as_ref().map(|(host, port, transport)| (&**host, *port, *transport)),
            path: &self.path,
            id: self.id,
            named_from: self.named_from,
        }
    }
}

/// The answers known so far.
#[derive(Debug, Default)]
pub struct Known {
    answers: HashMap<Wanted, Kept>,
    missing: RefCell<Option<Wanted>>,
}

impl Known {
    /// The question that ended the last run of the rules.
    pub fn missing(&self) -> Option<Wanted> {
        self.missing.borrow().clone()
    }

    /// Keeps an answer. The first one to a question holds: a second run must not differ from the first.
    pub fn learn(&mut self, question: Wanted, answer: Kept) {
        self.answers.entry(question).or_insert(answer);
        self.missing.replace(None);
    }

    /// How many answers are known.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Is none known?
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    fn find(&self, question: Wanted) -> Result<&Kept, NoAnswer> {
        match self.answers.get(&question) {
            Some(Kept::Unavailable) => Err(NoAnswer::Unavailable),
            Some(kept) => Ok(kept),
            None => {
                self.missing.replace(Some(question));
                Err(NoAnswer::Missing)
            }
        }
    }
}

impl<'s> Ask<'s> for &'s Known {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'s>, NoAnswer> {
        let known: &'s Known = self;
        Ok(match known.find(Wanted::of(question))? {
            Kept::Domain(found) => Answer::Domain(found.as_deref()),
            Kept::Agent(found) => Answer::Agent(found.as_deref()),
            Kept::Peer(found) => Answer::Peer(found.as_deref()),
            Kept::Number(found) => Answer::Number(found.as_deref()),
            Kept::Trunk(found) => Answer::Trunk(found.as_deref()),
            Kept::Credentials(found) => Answer::Credentials(found.as_deref()),
            Kept::Acl(found) => Answer::Acl(found.as_deref()),
            Kept::Yes(yes) => Answer::Yes(*yes),
            Kept::Down(down) => Answer::Down(*down),
            Kept::Verdict(verdict) => Answer::Verdict(*verdict),
            Kept::Bindings(_) | Kept::Unavailable => return Err(NoAnswer::Unavailable),
        })
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        match self.find(Wanted::Bindings(WantedBindings::of(question)))? {
            Kept::Bindings(list) => list.iter().for_each(|contact| found(contact.binding())),
            _ => return Err(NoAnswer::Unavailable),
        }
        Ok(())
    }
}

impl Wanted {
    /// The same question with texts of its own.
    pub fn of(question: &Question<'_>) -> Wanted {
        match *question {
            Question::Domain(host) => Wanted::Domain(host.to_ascii_lowercase()),
            Question::Agent { domain, user } => Wanted::Agent { domain: domain.clone(), user: user.to_vec() },
            Question::Peer(user) => Wanted::Peer(user.to_vec()),
            Question::PeerByAor(aor) => Wanted::PeerByAor(aor.to_vec()),
            Question::Number(digits) => Wanted::Number(digits.to_vec()),
            Question::NumberByRef(reference) => Wanted::NumberByRef(reference.clone()),
            Question::Trunk(reference) => Wanted::Trunk(reference.clone()),
            Question::TrunkByInbound(host) => Wanted::TrunkByInbound(host.to_ascii_lowercase()),
            Question::TrunkSource { trunk, source } => {
                Wanted::TrunkSource { trunk: trunk.reference.clone(), source }
            }
            Question::TrunkCarrier { trunk, source } => {
                Wanted::TrunkCarrier { trunk: trunk.reference.clone(), source }
            }
            Question::TrunkState(trunk) => Wanted::TrunkState(trunk.reference.clone()),
            Question::Credentials(reference) => Wanted::Credentials(reference.clone()),
            Question::Acl(reference) => Wanted::Acl(reference.clone()),
            Question::Authenticate { credentials, realm, .. } => Wanted::Authenticate {
                credentials: credentials.map(|c| c.reference.clone()),
                realm: realm.to_vec(),
            },
            Question::Connection { aor, registrant } => {
                Wanted::Connection { aor: aor.to_vec(), registrant: registrant.reference.clone() }
            }
            Question::GruuEnded { aor, gruu } => Wanted::GruuEnded {
                aor: aor.to_vec(),
                instance: gruu.instance.to_vec(),
                registration: gruu.registration,
            },
            Question::NumberServes { number, domain } => {
                Wanted::NumberServes { number: number.reference.clone(), domain: domain.clone() }
            }
        }
    }
}

impl WantedBindings {
    /// The same question with texts of its own.
    pub fn of(question: &BindingsQuestion<'_>) -> WantedBindings {
        let balance = |algorithm| match algorithm {
            Algorithm::RoundRobin => WantedBalance::RoundRobin,
            Algorithm::LeastSessions => WantedBalance::LeastSessions,
        };
        WantedBindings {
            aor: question.aor.to_vec(),
            call_id: question.call_id.to_vec(),
            backend: question
                .backend
                .map(|b| (b.reference.clone(), balance(b.algorithm), b.with_session_affinity)),
            affinity: question.affinity.map(<[u8]>::to_vec),
            gruu: question.gruu.map(|g| (g.instance.to_vec(), g.registration)),
        }
    }
}
