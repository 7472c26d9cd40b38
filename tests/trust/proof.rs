//! Credentials, right and wrong.

use trunkline_tests::Message;

use super::cast::Who;
use super::first::soften;
use super::history::History;
use super::net::{Port, Sockets};
use super::oracle::{Claim, First, Proof, Target, first};
use super::request::Request;
use super::ruling::{Plan, Play};

impl History<'_> {
    /// The header a caller of this kind answers the challenge with; `None` when there is no challenge or nothing to
    /// answer it with.
    pub fn prove(
        &mut self,
        port: Port,
        request: &Request,
        challenge: &Message,
        facts: &First,
    ) -> Play<Option<(&'static str, String)>> {
        let own = match (facts.claim, facts.target) {
            // A carrier proves itself as the number's trunk, whatever stands in From.
            (_, Target::Inbound(Who::Cred)) => Who::Cred.login(),
            (Claim::Is(who), _) => who.login(),
            (Claim::NoSuchUser | Claim::Anonymous, _) => Who::Ann.login(),
        };
        Ok(match facts.proof {
            Proof::Absent => None,
            Proof::Right => self.credentials(request, challenge, own),
            Proof::WrongSecret => {
                let wrong = own.map(|(user, _)| (user, "not-the-secret"));
                self.credentials(request, challenge, wrong)
            }
            Proof::Other(other) => self.credentials(request, challenge, other.login()),
            Proof::OtherUser => {
                let (_, host) = request.uri.split_once('@').unwrap_or_default();
                let other = Request { uri: format!("sip:1009@{host}"), ..request.clone() };
                self.credentials(&other, challenge, own)
            }
            Proof::OtherPlace => {
                // Somebody else asks for the nonce.
                let elsewhere = if port == Sockets::port(Who::Third) { Who::Stranger } else { Who::Third };
                let call_id = self.lane.fresh();
                let asks = Request { call_id, ..request.clone() };
                let (_, challenge) = self.stay(Sockets::port(elsewhere), asks)?;
                self.credentials(request, &challenge, own)
            }
            // Known by its list it is asked for nothing, so that there is nothing to repeat.
            Proof::Repeated
                if matches!(facts.claim, Claim::Is(Who::Listed)) && facts.source == Who::Listed =>
            {
                None
            }
            Proof::Repeated => self.repeated(port, request, facts, own)?,
        })
    }

    /// Credentials that were good for another request a moment ago: what an eavesdropper has.
    fn repeated(
        &mut self,
        port: Port,
        request: &Request,
        facts: &First,
        own: Option<(&str, &str)>,
    ) -> Play<Option<(&'static str, String)>> {
        let target = match facts.target {
            Target::Inbound(_) => facts.target,
            _ => Target::Aor(Who::Bob),
        };
        let ruling = first(&First { proof: Proof::Right, target, ..*facts });
        let (uri, dialled) = self.uri(target);
        let before = Request { call_id: self.lane.fresh(), uri, ..request.clone() };
        let (_, challenge) = self.stay(port, before.clone())?;
        let Some((name, value)) = self.credentials(&before, &challenge, own) else { return Ok(None) };
        let good = Request { cseq: 2, ..before }.with(name, value.clone());
        let ruling = soften(self.ruling(ruling, &dialled));
        self.lane.ask(port, good, ruling, Plan::status(486))?;
        Ok(Some((name, value)))
    }
}
