//! The guard's word on the way to a target.

use std::net::SocketAddr;

use trunkline_routing::{Decision, Target};
use trunkline_sip::Uri;
use trunkline_transport::Egress;

use super::{Forbidden, Word};
use crate::edge::Edge;
use crate::party::PartyRef;
use crate::resolver::{Question, Resolved, Spare};

/// The way to a target, as far as it may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Send there, and there when that fails.
    To(Egress, Spare),
    /// It leads to us.
    Inside,
    /// There is none, or none that may be taken.
    Nowhere,
    /// Ask, and look again when the answer is there.
    Later(Question),
}

/// A connection to there counts for the party whose word leads there.
fn asked_by(word: Option<&Word>, egress: Egress) -> Egress {
    Egress { asker: word.map_or(0, Word::asker), ..egress }
}

impl Edge {
    /// The word by which a target of the decision is one; `None`: the operator's.
    pub(crate) fn word_for(&self, decision: &Decision, target: &Target) -> Option<Word> {
        target.named_from.map(|from| self.word_of_callee(decision, Some(from)))
    }

    /// The word of whom the router found to be called, or registered.
    pub(crate) fn word_of_callee(&self, decision: &Decision, seen_at: Option<SocketAddr>) -> Word {
        let callee = PartyRef::callee(&decision.parties);
        Word { kind: callee.kind, party: self.shared.party(&callee), seen_at, ..Word::default() }
    }

    /// The way to a target of the decision, judged. Of the addresses of a name the first that may be reached is taken.
    pub(crate) fn guarded_way(&self, decision: &Decision, target: &Target, word: Option<&Word>) -> Judged {
        let by_uri = word.is_some() && target.flow.is_none() && target.path.is_empty();
        let uri = Uri::parse(decision.targets.text(target.uri)).ok().filter(|_| by_uri);
        let way = match uri {
            Some(uri) if self.shared.is_of_our_domains(&uri) => return Judged::Inside,
            Some(uri) if target.next_hop.is_none() => self.shared.resolver.resolve_hop(&uri),
            _ => self.way_to(decision, target),
        };
        match way {
            Resolved::To(egress, spare) => match (self.guarded(word, egress, spare), &target.trunk) {
                (Judged::To(egress, spare), Some(trunk)) => {
                    Judged::To(self.shared.shown_to(trunk.as_str(), egress), spare)
                }
                (judged, _) => judged,
            },
            Resolved::Nowhere => Judged::Nowhere,
            Resolved::Later(question) => Judged::Later(question),
        }
    }

    /// The first of these addresses that may be reached by this word. A party's name that leads to somebody else beside
    /// itself leads nowhere: a carrier has more addresses than the guard knows.
    pub(crate) fn guarded(&self, word: Option<&Word>, first: Egress, mut spare: Spare) -> Judged {
        let guard = &self.shared.guard;
        if let Some(word) = word {
            let mut ours = false;
            for egress in spare.all() {
                match guard.may_reach(word, &egress) {
                    Ok(()) | Err(Forbidden::NoHost) => {}
                    Err(Forbidden::Ourselves) => ours = true,
                    Err(
                        forbidden @ (Forbidden::Loopback
                        | Forbidden::ThisHost
                        | Forbidden::BackEnd
                        | Forbidden::Private
                        | Forbidden::Configured
                        | Forbidden::Phone),
                    ) => {
                        tracing::debug!(at = %egress.remote, ?forbidden, "nothing is sent there");
                        return Judged::Nowhere;
                    }
                }
            }
            if ours {
                return Judged::Inside;
            }
        }
        let (mut next, mut ours) = (Some(first), false);
        while let Some(egress) = next {
            match guard.check(word, &egress) {
                Ok(()) => return Judged::To(asked_by(word, egress), spare),
                Err(forbidden) => ours |= forbidden == Forbidden::Ourselves,
            }
            next = spare.next(&self.shared.resolver.avoided);
        }
        if ours { Judged::Inside } else { Judged::Nowhere }
    }

    /// The next address of a name that may be reached by this word.
    pub(crate) fn next_spare(&self, word: Option<&Word>, spare: &mut Spare) -> Option<Egress> {
        while let Some(egress) = spare.next(&self.shared.resolver.avoided) {
            if self.shared.guard.check(word, &egress).is_ok() {
                return Some(asked_by(word, egress));
            }
        }
        None
    }
}
