//! What happens to bindings, told to whoever watches.

use trunkline_events::{Board, RegistrationNotice, RegistrationStep, What, notice_headers, notice_text};

use crate::binding::Timestamp;
use crate::locals::Locals;
use crate::record::{self, Entry};
use crate::register::{Contacts, Register};
use crate::uri::uri_equivalent;

/// Tells what happens to bindings now, to a board that somebody watches.
pub(crate) struct Announcement<'b> {
    pub board: &'b Board,
    pub locals: &'b Locals,
    pub now: Timestamp,
}

impl Announcement<'_> {
    /// A REGISTER refreshed one binding where it is.
    pub fn refreshed(&self, register: &Register<'_>, record: &[u8]) {
        let is_fresh = |e: &Entry<'_>| self.is_from(register, e);
        record::entries(record)
            .filter(is_fresh)
            .for_each(|e| self.tell(RegistrationStep::Refreshed, register.aor, &e, register.headers));
    }

    /// A REGISTER put this record in place of that one.
    pub fn replaced(&self, register: &Register<'_>, had: &[u8], record: &[u8]) {
        let live = |bytes, id| record::entries(bytes).any(|e| e.id() == id && e.live(self.now));
        for old in record::entries(had).filter(|e| !e.removed() && !live(record, e.id())) {
            let step = match old.live(self.now) {
                // Had the end been told before, the sweep would have told it.
                false if old.told() => continue,
                false => RegistrationStep::Expired,
                true if is_meant(register, &old) => RegistrationStep::Removed,
                true => RegistrationStep::Replaced,
            };
            self.tell(step, register.aor, &old, register.headers);
        }
        for new in record::entries(record).filter(|e| self.is_from(register, e)) {
            let step = match live(had, new.id()) {
                true => RegistrationStep::Refreshed,
                false => RegistrationStep::Added,
            };
            self.tell(step, register.aor, &new, register.headers);
        }
    }

    /// Is it a binding that this REGISTER has just written?
    fn is_from(&self, register: &Register<'_>, entry: &Entry<'_>) -> bool {
        entry.live(self.now)
            && entry.registered_at() == self.now
            && entry.cseq() == register.cseq
            && entry.texts().call_id == register.call_id
    }

    /// The bindings at these places are about to end.
    pub fn ended(&self, record: &[u8], places: &[usize], step: RegistrationStep) {
        let aor = record::aor(record);
        let meant = record::entries(record).filter(|e| places.contains(&e.at));
        meant.for_each(|e| self.tell(step, aor, &e, b""));
    }

    /// Tells which bindings of the record have run out, each once.
    pub fn expired(&self, record: &mut [u8]) {
        let is_over = |e: &Entry<'_>| !e.removed() && !e.live(self.now) && !e.told();
        let over: Vec<usize> = record::entries(record).filter(is_over).map(|e| e.at).collect();
        self.ended(record, &over, RegistrationStep::Expired);
        over.iter().for_each(|at| record::set_told(record, *at));
    }

    fn tell(&self, step: RegistrationStep, aor: &[u8], entry: &Entry<'_>, headers: &[u8]) {
        let text = notice_text;
        let binding = entry.view(self.locals);
        let mut notice = RegistrationNotice::new(step, aor);
        notice.contact = text(binding.uri);
        notice.source = Some(binding.flow.remote);
        notice.transport = binding.flow.transport;
        notice.user_agent = text(binding.user_agent);
        notice.instance = text(binding.instance);
        notice.call_id = text(binding.call_id);
        notice.headers = notice_headers(headers);
        notice.expires_at = match step {
            RegistrationStep::Added | RegistrationStep::Refreshed | RegistrationStep::Expired => {
                binding.expires_at
            }
            RegistrationStep::Removed
            | RegistrationStep::Kicked
            | RegistrationStep::Replaced
            | RegistrationStep::ConnectionLost => self.now,
        };
        self.board.post(self.now, What::Registration(Box::new(notice)));
    }
}

/// Does the REGISTER ask for the end of this binding?
fn is_meant(register: &Register<'_>, entry: &Entry<'_>) -> bool {
    let texts = entry.texts();
    match register.contacts {
        Contacts::Wildcard => true,
        Contacts::Changes(changes) => changes.iter().filter(|change| change.expires == 0).any(|change| {
            let same_flow = !change.instance.is_empty()
                && change.instance == texts.instance
                && change.reg_id == entry.reg_id();
            same_flow || uri_equivalent(change.uri, texts.uri)
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_events::{Board, BoardReader, RegistrationStep, What};
    use trunkline_sip::{ConnectionId, Flow, Transport};

    use crate::{ContactChange, Contacts, Location, Overflow, Register};

    const NOW: u64 = 1_700_000_000_000;
    const AOR: &[u8] = b"sip:1001@sip.local";

    fn flow(connection: u64, transport: Transport) -> Flow {
        let address = |port| ([192, 0, 2, 1], port).into();
        Flow {
            transport,
            local: address(5060),
            remote: address(40_000),
            connection: ConnectionId(connection),
        }
    }

    struct Phone<'l> {
        location: &'l Location,
        cseq: u32,
    }

    impl Phone<'_> {
        fn register(&mut self, uri: &str, expires: u32, now: u64) {
            self.cseq += 1;
            let changes = [ContactChange::new(uri.as_bytes(), expires)];
            let mut register = Register::new(AOR, b"one", self.cseq, flow(7, Transport::Wss), &changes);
            (register.max_contacts, register.overflow) = (Some(2), Overflow::ReplaceOldest);
            register.headers = b"X-Tenant: a\r\n";
            self.location.register(&register, now, |_| {}).expect("applied");
        }
    }

    fn told(reader: &mut BoardReader) -> Vec<(RegistrationStep, String)> {
        let mut notices = Vec::new();
        assert_eq!(reader.turn(&mut notices), 0);
        let one = |what: &What| match what {
            What::Registration(r) => (r.step, r.contact.clone()),
            What::Call(_) | What::Destination(_) => panic!("a registration"),
        };
        notices.iter().map(|notice| one(&notice.what)).collect()
    }

    #[test]
    fn each_change_of_a_binding_is_told_once() {
        use RegistrationStep as Step;
        let (location, board) = (Location::new(), Arc::new(Board::default()));
        location.announce_on(board.clone());
        let mut phone = Phone { location: &location, cseq: 0 };
        let (a, b, c) = ("sip:a@192.0.2.1", "sip:b@192.0.2.1", "sip:c@192.0.2.1");
        phone.register(a, 60, NOW - 1);
        let mut reader = board.watch();
        let is = |reader: &mut BoardReader, wanted: &[(Step, &str)]| {
            let wanted: Vec<_> = wanted.iter().map(|(step, uri)| (*step, (*uri).to_owned())).collect();
            assert_eq!(told(reader), wanted);
        };
        phone.register(a, 60, NOW);
        is(&mut reader, &[(Step::Refreshed, a)]);
        phone.register(b, 600, NOW + 1);
        is(&mut reader, &[(Step::Added, b)]);
        phone.register(b, 700, NOW + 2);
        is(&mut reader, &[(Step::Refreshed, b)]);
        phone.register(c, 600, NOW + 3);
        is(&mut reader, &[(Step::Replaced, a), (Step::Added, c)]);
        phone.register(b, 0, NOW + 4);
        is(&mut reader, &[(Step::Removed, b)]);
        assert_eq!(location.kick(AOR, None, NOW + 5), 1);
        is(&mut reader, &[(Step::Kicked, c)]);
        phone.register(a, 60, NOW + 6);
        phone.register(b, 600, NOW + 6);
        is(&mut reader, &[(Step::Added, a), (Step::Added, b)]);
        let over = NOW + 61_000;
        for n in 0..3 {
            location.sweep(over + n, usize::MAX);
        }
        is(&mut reader, &[(Step::Expired, a)]);
        phone.register(a, 60, over + 10);
        is(&mut reader, &[(Step::Added, a)]);
        assert_eq!(location.connection_lost(ConnectionId(7), over + 20), 2);
        let mut both = told(&mut reader);
        both.sort_by(|x, y| x.1.cmp(&y.1));
        assert_eq!(both, [(Step::ConnectionLost, a.to_owned()), (Step::ConnectionLost, b.to_owned())]);
    }

    #[test]
    fn a_wildcard_removes_and_what_ran_out_unseen_is_told_when_it_is_replaced() {
        use RegistrationStep as Step;
        let (location, board) = (Location::new(), Arc::new(Board::default()));
        location.announce_on(board.clone());
        let mut reader = board.watch();
        let mut phone = Phone { location: &location, cseq: 0 };
        phone.register("sip:a@h", 60, NOW);
        phone.register("sip:a@h", 60, NOW + 61_000);
        let uri = || "sip:a@h".to_owned();
        assert_eq!(told(&mut reader), [(Step::Added, uri()), (Step::Expired, uri()), (Step::Added, uri())]);
        let mut register = Register::new(AOR, b"one", 9, flow(7, Transport::Wss), &[]);
        register.contacts = Contacts::Wildcard;
        location.register(&register, NOW + 62_000, |_| {}).expect("applied");
        assert_eq!(told(&mut reader), [(Step::Removed, uri())]);
    }
}
