//! The registrar, RFC 3261 §10.3.

use std::io::Write as _;

use smallvec::SmallVec;
use trunkline_location::{ContactChange, Contacts, Overflow, Register, RegisterError};
use trunkline_routing::{Outcome, Plan, RoutedKind};
use trunkline_sip::response::put_number;
use trunkline_sip::{
    Address, HeaderName, Message, ParseError, Scheme, Transport, Uri, put_date, seconds, unquote,
};

use crate::decide::Round;
use crate::edge::Edge;
use crate::gruu::put_gruus;
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::nat::Arrived;
use crate::outbound::{Extensions, Unfit};

/// Contacts in one REGISTER, at most.
const MOST_CONTACTS: usize = 32;
/// With a 503: when to try again, in seconds.
const STORE_RETRY: &[u8] = b"Retry-After: 10\r\n";

/// Why a REGISTER's contacts cannot be taken.
enum Refused {
    Malformed(ParseError),
    TooBrief,
    BadWildcard,
    TooMany,
}

impl Edge {
    /// A REGISTER for a domain of ours: the router says who may, the location service keeps it.
    pub(crate) fn on_register(&mut self, io: &mut Io<EdgeMail>, inbound: &Inbound<'_>, uri: &Uri<'_>) {
        // What is registered must be a SIP or SIPS URI (RFC 3261 §10.3 step 5).
        let to = inbound.message.to().and_then(|to| to.parsed_uri());
        if !to.is_ok_and(|to| matches!(to.scheme, Scheme::Sip | Scheme::Sips)) {
            return self.refuse(io, inbound, 400, Some("To Is No SIP URI"));
        }
        let mut plan = std::mem::take(&mut self.scratch.plan);
        match self.decide(io, inbound, uri, Round::First, &mut plan) {
            Err(error) => self.refuse(io, inbound, error.status(), Some(&error.to_string())),
            Ok(()) => match plan.outcome {
                Outcome::Register { max_contacts, expires } => {
                    self.register(io, inbound, &plan, max_contacts, expires);
                }
                Outcome::Challenge { stale, .. } => self.challenge(io, inbound, &plan, false, stale),
                Outcome::Reply { .. } => self.reply_as_decided(io, inbound, &plan),
                // A REGISTER is never forwarded: the domain is ours.
                Outcome::Forward => self.refuse(io, inbound, 403, None),
            },
        }
        self.scratch.plan = plan;
    }

    fn register(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        plan: &Plan,
        max_contacts: Option<u32>,
        fixed_expires: Option<u32>,
    ) {
        let (m, aor) = (&inbound.message, &plan.aor[..]);
        let bounds = self.shared.config.registrar;
        let mut changes: SmallVec<[ContactChange<'_>; 4]> = SmallVec::new();
        let wildcard = match self.read_contacts(inbound, fixed_expires.is_some(), &mut changes) {
            Ok(wildcard) => wildcard,
            Err(refused) => return self.refuse_contacts(io, inbound, &refused),
        };
        let extensions = match Extensions::read(m, &changes) {
            Ok(extensions) => extensions,
            Err(Unfit::NotAlone) => return self.refuse(io, inbound, 400, Some("reg-id Stands Alone")),
            Err(Unfit::FirstHop) => {
                return self.refuse(io, inbound, 439, Some("First Hop Lacks Outbound Support"));
            }
        };
        let mut path = std::mem::take(&mut self.scratch.text);
        join_path(m, &mut path);
        if path.is_empty() {
            self.find_nat(inbound, extensions.outbound, &mut changes);
        }
        self.grant(inbound, (fixed_expires, extensions.outbound), &mut changes);
        let mut register = Register::new(aor, m.call_id(), m.cseq(), *inbound.flow, &changes);
        if wildcard {
            register.contacts = Contacts::Wildcard;
        }
        let registrant = plan.caller.reference.as_ref();
        register.registrant = registrant.map_or(0, |r| self.shared.registrant(plan.caller.kind, r));
        // One that is reached by its flow alone may say what it likes.
        let judged = changes.iter().filter(|c| c.expires > 0 && !c.behind_nat).map(|c| c.uri);
        if let Err(forbidden) = self.leads_astray(inbound, judged, &path) {
            self.refuse(io, inbound, 403, Some(forbidden.reason()));
            self.scratch.text = path;
            return;
        }
        register.path = &path;
        register.user_agent = m.header(HeaderName::UserAgent).unwrap_or_default();
        register.max_contacts = Some(max_contacts.unwrap_or(bounds.max_contacts) as usize);
        register.overflow = Overflow::Fail;
        let now = io.unix_ms();
        let patience = u64::from(bounds.store_patience);
        register.add_nothing = patience > 0 && self.shared.location.behind_for(now) > patience;
        let mut list = std::mem::take(&mut self.scratch.contacts);
        list.clear();
        let secret = &self.shared.secret;
        let result = self.shared.location.register(&register, now, |binding| {
            put_contact(&binding, now, &mut list);
            if extensions.gruu {
                put_gruus(&binding, aor, secret, &mut list);
            }
            list.extend_from_slice(b"\r\n");
        });
        match result {
            Ok(outcome) => {
                self.counters.registered.add();
                // A connection lives as long as what is reached by it.
                let longest = changes.iter().map(|c| c.expires).max().unwrap_or(0);
                if inbound.flow.transport.is_reliable() && longest > 0 {
                    io.keep(inbound.flow.connection, now + u64::from(longest) * 1000);
                }
                if outcome.added + outcome.removed > 0
                    && let (RoutedKind::Peer, Some(peer)) = (plan.callee.kind, &plan.callee.reference)
                {
                    self.shared.arrivals.note(peer, aor);
                }
                if !path.is_empty() {
                    list.extend_from_slice(b"Path: ");
                    list.extend_from_slice(&path);
                    list.extend_from_slice(b"\r\n");
                }
                if !list.is_empty() {
                    extensions.put_lines(inbound, &bounds, &self.shared.addresses, &mut list);
                }
                // Phones set their clocks by it (RFC 3261 §10.3 step 8).
                list.extend_from_slice(b"Date: ");
                put_date(now / 1000, &mut list);
                list.extend_from_slice(b"\r\n");
                self.reply(io, inbound, 200, None, &list);
            }
            Err(RegisterError::TooMany { .. }) => {
                let phrase = "Too Many Contacts";
                self.refuse(io, inbound, 403, Some(phrase));
            }
            Err(RegisterError::Unavailable) => {
                self.counters.unstorable.add();
                self.reply(io, inbound, 503, Some("Bindings Cannot Be Stored Now"), STORE_RETRY);
            }
            Err(RegisterError::OutOfOrder { .. }) => self.refuse(io, inbound, 500, Some("CSeq Out of Order")),
            Err(_) => self.refuse(io, inbound, 400, None),
        }
        self.scratch.contacts = list;
        self.scratch.text = path;
    }

    fn refuse_contacts(&mut self, io: &mut Io<EdgeMail>, inbound: &Inbound<'_>, refused: &Refused) {
        let reason = match refused {
            Refused::Malformed(error) => {
                return self.refuse(io, inbound, error.status(), Some(&error.to_string()));
            }
            Refused::TooBrief => {
                let mut extra = Vec::new();
                let _ = write!(extra, "Min-Expires: {}\r\n", self.shared.config.registrar.min_expires);
                return self.reply(io, inbound, 423, None, &extra);
            }
            Refused::BadWildcard => (400, "Wildcard Only Alone and With Expires 0"),
            Refused::TooMany => (403, "Too Many Contacts"),
        };
        self.refuse(io, inbound, reason.0, Some(reason.1));
    }

    /// Finds out which contacts are reached the way the REGISTER came.
    fn find_nat(&self, inbound: &Inbound<'_>, outbound: bool, contacts: &mut [ContactChange<'_>]) {
        let by_source = self.goes_by_source(inbound, contacts);
        let arrived = Arrived::request(inbound);
        for contact in contacts {
            let behind_nat = || {
                Uri::parse(contact.uri).is_ok_and(|uri| self.shared.addresses.is_behind_nat(&arrived, &uri))
            };
            contact.behind_nat = outbound || by_source || behind_nat();
        }
    }

    /// Grants each contact its time: what the resource sets, else what the phone asks for within the registrar's bounds. Behind
    /// a NAT, UDP mappings end soon, and refreshes keep them open; `outbound`: the phone does that by itself.
    fn grant(
        &self,
        inbound: &Inbound<'_>,
        (fixed, outbound): (Option<u32>, bool),
        contacts: &mut [ContactChange<'_>],
    ) {
        let bounds = &self.shared.config.registrar;
        let udp = inbound.flow.transport == Transport::Udp && !outbound;
        for contact in contacts.iter_mut().filter(|c| c.expires > 0) {
            let longest = match udp && contact.behind_nat && bounds.nat_expires > 0 {
                true => bounds.nat_expires.min(bounds.max_expires),
                false => bounds.max_expires,
            };
            contact.expires = fixed.unwrap_or(contact.expires.min(longest));
        }
    }

    /// Reads the Contact values, with the time that each asks for; `true` for the wildcard. `fixed`: the resource
    /// sets the time.
    fn read_contacts<'a>(
        &self,
        inbound: &Inbound<'a>,
        fixed: bool,
        out: &mut SmallVec<[ContactChange<'a>; 4]>,
    ) -> Result<bool, Refused> {
        let m = inbound.message;
        let bounds = &self.shared.config.registrar;
        let general = m.seconds(HeaderName::Expires).map_err(Refused::Malformed)?;
        for element in m.list(HeaderName::Contact) {
            let element = element.map_err(Refused::Malformed)?;
            if element == b"*" {
                let alone = m.list(HeaderName::Contact).count() == 1;
                return if alone && general == Some(0) { Ok(true) } else { Err(Refused::BadWildcard) };
            }
            if out.len() >= MOST_CONTACTS {
                return Err(Refused::TooMany);
            }
            let contact = Address::parse(element, "Contact").map_err(Refused::Malformed)?;
            let uri = contact.parsed_uri().map_err(Refused::Malformed)?;
            // A bulk contact stands for every user of its server, so it has none itself (RFC 6140 §5.2).
            let named = uri.user.is_some() && uri.param("bnc").is_some();
            if uri.scheme == Scheme::Other || named {
                return Err(Refused::Malformed(ParseError::Header("Contact")));
            }
            let own = match contact.param("expires") {
                // What is no number counts as one hour (RFC 3261 §10.3 step 7 leaves it to us).
                Some(value) => value.and_then(seconds).or(Some(bounds.default_expires)),
                None => None,
            };
            let asked = own.or(general).unwrap_or(bounds.default_expires);
            if asked > 0 && asked < bounds.min_expires && !fixed {
                return Err(Refused::TooBrief);
            }
            let mut change = ContactChange::new(contact.uri, asked);
            if let Some(q) = contact.param("q").flatten() {
                change.q = thousandths(q).ok_or(Refused::Malformed(ParseError::Header("Contact")))?;
            }
            if let Some(instance) = contact.param("+sip.instance").flatten() {
                change.instance = unquote(instance);
                change.reg_id = contact.param("reg-id").flatten().and_then(seconds).unwrap_or(0);
            }
            out.push(change);
        }
        Ok(false)
    }

    /// Did the operator decide that the contact is reached the way its REGISTER came, and not where it points? Several
    /// contacts in one REGISTER are several places, of which the sender is one.
    fn goes_by_source(&self, inbound: &Inbound<'_>, contacts: &[ContactChange<'_>]) -> bool {
        let flow = inbound.flow;
        let symmetric = flow.transport.is_reliable() || inbound.via.rport.is_some();
        let ([contact], true, true) =
            (contacts, symmetric, self.shared.config.registrar.by_source.covers(flow.transport))
        else {
            return false;
        };
        let there = |uri: &Uri<'_>| {
            let port = uri.port.unwrap_or(flow.transport.default_port());
            uri.ip() == Some(flow.remote.ip()) && port == flow.remote.port()
        };
        !Uri::parse(contact.uri).is_ok_and(|uri| there(&uri))
    }
}

/// The values of Path as one (RFC 3327 §5.3).
fn join_path(m: &Message<'_>, path: &mut Vec<u8>) {
    path.clear();
    for element in m.list(HeaderName::Path).flatten() {
        if !path.is_empty() {
            path.extend_from_slice(b", ");
        }
        path.extend_from_slice(element);
    }
}

/// `qvalue`: 0 to 1 with up to three digits, in thousandths.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(point) => (text.get(..point)?, text.get(point + 1..)?),
        None => (text, &b""[..]),
    };
    if !matches!(whole, b"0" | b"1" | b"") || fraction.len() > 3 || text.is_empty() {
        return None;
    }
    let mut q = if whole == b"1" { 1000 } else { 0 };
    let mut place = 100;
    for d in fraction {
        if !d.is_ascii_digit() {
            return None;
        }
        q += u16::from(d - b'0') * place;
        place /= 10;
    }
    (q <= 1000).then_some(q)
}

/// One Contact of the 200, without its line end.
fn put_contact(binding: &trunkline_location::Binding<'_>, now: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Contact: <");
    out.extend_from_slice(binding.uri);
    out.extend_from_slice(b">;expires=");
    put_number(u64::from(binding.expires_in(now)), out);
    if binding.q != 1000 {
        out.extend_from_slice(b";q=0.");
        for place in [100, 10, 1] {
            out.push(b'0' + (binding.q / place % 10) as u8);
        }
    }
    if !binding.instance.is_empty() {
        out.extend_from_slice(b";+sip.instance=\"");
        out.extend_from_slice(binding.instance);
        out.push(b'"');
        if binding.reg_id > 0 {
            out.extend_from_slice(b";reg-id=");
            put_number(u64::from(binding.reg_id), out);
        }
    }
    out.extend_from_slice(binding.params);
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn q_values() {
        for (text, q) in [
            ("1", Some(1000)),
            ("0.7", Some(700)),
            ("0.005", Some(5)),
            ("1.000", Some(1000)),
            ("1.5", None),
            ("0.0001", None),
            ("x", None),
            ("", None),
            ("0", Some(0)),
        ] {
            assert_eq!(thousandths(text.as_bytes()), q, "{text}");
        }
    }
}
