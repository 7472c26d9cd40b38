//! What a first request is to be: half of what is drawn makes sense for who calls, the rest does not.

use super::cast::{ALONE, BRANCH, FREE, HEAD, Kind, LAX, Who};
use super::history::History;
use super::net::{Port, Sockets};
use super::oracle::{Claim, First, Proof, Target};
use super::world::number_of;

impl History<'_> {
    /// Who calls whom how.
    pub fn draw(&mut self, method: &str) -> (First, Port) {
        let claim = match self.rng.below(20) {
            0..11 => Claim::Is(self.rng.pick(&Who::AGENTS)),
            11..14 => Claim::Is(self.rng.pick(&Who::PEERS)),
            14..17 => Claim::Is(self.rng.pick(&Who::TRUNKS)),
            17 => Claim::Is(Who::Stranger),
            18 => Claim::NoSuchUser,
            _ => Claim::Anonymous,
        };
        let own = match claim {
            Claim::Is(who) => who,
            Claim::NoSuchUser | Claim::Anonymous => Who::Stranger,
        };
        let honest = self.rng.percent(65);
        let source = match honest || self.rng.percent(50) {
            true => own,
            false => {
                self.rng.pick(&[Who::Third, Who::Stranger, Who::Foreign, Who::Ann, Who::Cleo, Who::Carrier])
            }
        };
        let proof = match honest {
            true => Proof::Right,
            // Wrong secrets come from where nobody is registered, or who is there would be locked out.
            false => match self.rng.below(8) {
                0..2 => Proof::Absent,
                2 if matches!(source, Who::Third | Who::Stranger) => Proof::WrongSecret,
                3 if matches!(source, Who::Third | Who::Stranger) => Proof::Other(Who::Tess),
                4 => Proof::OtherUser,
                5 => Proof::OtherPlace,
                6 => Proof::Repeated,
                _ => Proof::Right,
            },
        };
        let target = if honest && self.rng.percent(85) { self.likely(own) } else { self.any_target() };
        let calls = matches!(method, "INVITE" | "MESSAGE" | "REFER");
        let (refers, asks_state) = (method == "REFER", matches!(method, "SUBSCRIBE" | "PUBLISH"));
        let invites = method == "INVITE";
        let commands = !matches!(method, "INVITE" | "MESSAGE" | "OPTIONS");
        let first = First { claim, source, proof, target, invites, calls, refers, asks_state, commands };
        (first, Sockets::port(source))
    }

    /// A target this party has business with.
    fn likely(&mut self, who: Who) -> Target {
        let mut phones =
            vec![Who::Ann, Who::Bob, Who::Tess, Who::Nat, Who::Pat, Who::Cleo, Who::Dan, Who::Free];
        phones.retain(|p| *p != who);
        let phone = Target::Aor(self.rng.pick(&phones));
        match who.kind() {
            Kind::Agent => match self.rng.below(8) {
                0 if who.host() == HEAD => Target::Outside("+15551234567", HEAD),
                0 if who.host() == BRANCH => Target::Outside("+18885554321", BRANCH),
                1 => Target::Aor(Who::Pbx),
                2 => Target::Aor(Who::Lax),
                3 => Target::Own(self.rng.pick(&[Who::Bob, Who::Tess])),
                _ => phone,
            },
            Kind::Peer => match self.rng.below(3) {
                0 => Target::Through("+19005551234", self.rng.pick(&[Who::Carrier, Who::Cred])),
                1 if matches!(who, Who::Listed | Who::Desk) => Target::Aor(Who::Lax),
                _ => phone,
            },
            Kind::Trunk if self.rng.percent(30) => Target::Number(who, HEAD),
            Kind::Trunk => Target::Inbound(who),
            Kind::Outside => Target::Inbound(Who::Open),
        }
    }

    fn any_target(&mut self) -> Target {
        let trunk = self.rng.pick(&Who::TRUNKS);
        let host = self.rng.pick(&[HEAD, BRANCH, LAX, ALONE, FREE]);
        match self.rng.below(10) {
            9 => Target::Own(self.rng.pick(&[Who::Bob, Who::Ann])),
            0..2 => Target::Aor(self.rng.pick(&[
                Who::Ann,
                Who::Tess,
                Who::Cleo,
                Who::Lax,
                Who::Pbx,
                Who::Solo,
                Who::Free,
            ])),
            2 => Target::Inbound(trunk),
            3 => Target::Number(trunk, host),
            4 => Target::Outside(self.rng.pick(&["+15551234567", "+18885554321", "+19005551234"]), host),
            5 => Target::Through("+19005551234", self.rng.pick(&[Who::Carrier, Who::Cred])),
            6 => Target::Address(self.rng.pick(&[Who::Carrier, Who::Pbx, Who::Foreign, Who::Bob, Who::Gate])),
            7 => Target::Listener,
            _ => Target::Elsewhere,
        }
    }

    /// The Request-URI and the user in it.
    pub fn uri(&self, target: Target) -> (String, String) {
        let at = |who: Who| self.lane.sockets.address(who);
        let (user, host) = match target {
            Target::Aor(who) => (who.user(), who.host().to_owned()),
            Target::Inbound(trunk) => (number_of(trunk), trunk.host().to_owned()),
            Target::Number(trunk, host) => (number_of(trunk), host.to_owned()),
            Target::Outside(number, host) => (number, host.to_owned()),
            Target::Through(number, _) => (number, HEAD.to_owned()),
            Target::Address(who) if who.kind() == Kind::Agent => (who.user(), at(who).to_string()),
            Target::Address(who) => ("+19005551234", at(who).to_string()),
            Target::Own(who) => (who.user(), self.lane.sockets.exchange().to_string()),
            Target::Listener => ("nobody", self.lane.sockets.exchange().to_string()),
            Target::Elsewhere => ("somebody", "nowhere.example".to_owned()),
        };
        (format!("sip:{user}@{host}"), user.to_owned())
    }
}
