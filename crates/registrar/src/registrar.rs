//! The registrar, RFC 3261 §10.3.

use std::io::Write as _;
use std::net::SocketAddr;

use trunkline_location::{
    Binding, Contacts, Location, Outcome, Overflow, Register, RegisterError, Timestamp,
};
use trunkline_proxy::Secret;
use trunkline_sip::response::put_number;
use trunkline_sip::{Address, Flow, HeaderName, List, Message, Scheme, Uri, Via, put_date};

use crate::config::RegistrarConfig;
use crate::contacts::{Changes, read_contacts};
use crate::extensions::Extensions;
use crate::gruu::put_gruus;
use crate::reach::{find_nat, grant};
use crate::refusal::Refusal;

/// Bytes of a User-Agent that are kept.
const MOST_USER_AGENT: usize = 128;
/// With a 503: when to try again, in seconds.
const STORE_RETRY: &[u8] = b"Retry-After: 10\r\n";

/// A REGISTER that its sender may send, and what the router said of it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The message.
    pub message: Message<'a>,
    /// Its topmost Via.
    pub via: Via<'a>,
    /// How it came.
    pub flow: &'a Flow,
    /// The AOR whose bindings it is about, in its normal form.
    pub aor: &'a [u8],
    /// The sender, as a number for each party; 0 if unknown.
    pub registrant: u32,
    /// Is it shown that it comes from there, by a digest, by its connection or by the operator's word?
    pub shown: bool,
    /// Has the sender shown who it is?
    pub proven: bool,
    /// Which secret the sender has shown, as a number for each secret; 0 for none.
    pub proof: u32,
    /// The most contacts of the AOR; `None` leaves it to [`RegistrarConfig::max_contacts`].
    pub max_contacts: Option<u32>,
    /// Does one more take the place of the oldest? `None` leaves it to [`RegistrarConfig::replaces_oldest`].
    pub replaces_oldest: Option<bool>,
    /// Expiry that the resource sets instead of what the phone asks, in seconds.
    pub expires: Option<u32>,
}

impl<'a> Request<'a> {
    /// One by somebody unknown, for an AOR that sets nothing.
    pub fn new(message: Message<'a>, via: Via<'a>, flow: &'a Flow, aor: &'a [u8]) -> Request<'a> {
        Request {
            message,
            via,
            flow,
            aor,
            registrant: 0,
            shown: false,
            proven: false,
            proof: 0,
            max_contacts: None,
            replaces_oldest: None,
            expires: None,
        }
    }
}

/// What the registrar asks of whoever drives it.
pub trait Surroundings {
    /// May the sender have requests for its user sent where this URI leads?
    ///
    /// # Errors
    /// It may not; why, as a reason phrase.
    fn may_lead_to(&self, uri: &[u8]) -> Result<(), &'static str>;

    /// May the sender have requests for its user sent where its REGISTER says that it comes from?
    ///
    /// # Errors
    /// It may not; why, as a reason phrase.
    fn may_be_there(&self) -> Result<(), &'static str>;

    /// Is a contact reached by the way of its REGISTER alone, and not where it points?
    fn is_behind_nat(&self, contact: &Uri<'_>) -> bool;

    /// The address under which the sender reaches the exchange.
    fn us(&self) -> SocketAddr;
}

/// The effect of a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// How many bindings it added, refreshed and removed.
    pub changed: Outcome,
    /// The seconds of the binding that lasts longest; 0 when none was added or refreshed.
    pub longest: u32,
}

/// Memory that is used again for every REGISTER.
#[derive(Debug, Default)]
pub struct Memory {
    /// Header lines of the response.
    pub headers: Vec<u8>,
    path: Vec<u8>,
}

/// Is it a SIP or SIPS URI that is to be registered (RFC 3261 §10.3 step 5)?
///
/// # Errors
/// [`Refusal::NoSipUri`].
pub fn check_to(m: &Message<'_>) -> Result<(), Refusal> {
    let to = m.to().and_then(|to| to.parsed_uri());
    match to.is_ok_and(|to| matches!(to.scheme, Scheme::Sip | Scheme::Sips)) {
        true => Ok(()),
        false => Err(Refusal::NoSipUri),
    }
}

/// The registrar, with what it works on.
#[derive(Clone, Copy)]
pub struct Registrar<'a> {
    /// What the operator set.
    pub config: &'a RegistrarConfig,
    /// Seals temporary GRUUs.
    pub secret: &'a Secret,
    /// The bindings.
    pub location: &'a Location,
}

impl Registrar<'_> {
    /// Carries out a REGISTER, as a whole or not at all. The header lines of the 200, or of the refusal, are left in `memory`.
    ///
    /// # Errors
    /// The [`Refusal`]; nothing has changed.
    pub fn register(
        &self,
        request: &Request<'_>,
        surroundings: &impl Surroundings,
        now: Timestamp,
        memory: &mut Memory,
    ) -> Result<Registered, Refusal> {
        let Memory { headers, path } = memory;
        headers.clear();
        let result = self.apply(request, surroundings, now, (&mut *headers, path));
        if let Err(refusal) = &result {
            headers.clear();
            match refusal {
                Refusal::TooBrief => {
                    let _ = write!(headers, "Min-Expires: {}\r\n", self.config.min_expires);
                }
                Refusal::Unavailable => headers.extend_from_slice(STORE_RETRY),
                Refusal::NoSipUri
                | Refusal::Malformed(_)
                | Refusal::BadWildcard
                | Refusal::TooMany
                | Refusal::NotAlone
                | Refusal::FirstHop
                | Refusal::Forbidden(_)
                | Refusal::OutOfOrder
                | Refusal::Unstorable => {}
            }
        }
        result
    }

    fn apply(
        &self,
        request: &Request<'_>,
        surroundings: &impl Surroundings,
        now: Timestamp,
        (headers, path): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Result<Registered, Refusal> {
        let (m, config) = (&request.message, self.config);
        let mut changes = Changes::new();
        let wildcard = read_contacts(m, config, request.expires.is_some(), &mut changes)?;
        let extensions = Extensions::read(m, &changes)?;
        join_path(m, path);
        if path.is_empty() {
            let (way, by) = ((&request.via, request.flow), (extensions.outbound, config.by_source));
            find_nat(way, by, &mut changes, |uri| surroundings.is_behind_nat(uri));
        }
        grant(request.flow.transport, (request.expires, extensions.outbound), config, &mut changes);
        let mut register = Register::new(request.aor, m.call_id(), m.cseq(), *request.flow, &changes);
        if wildcard {
            register.contacts = Contacts::Wildcard;
        }
        (register.registrant, register.shown) = (request.registrant, request.shown);
        (register.proven, register.proof) = (request.proven, request.proof);
        if changes.iter().any(|c| c.expires > 0) {
            surroundings.may_be_there().map_err(Refusal::Forbidden)?;
        }
        // One that is reached by its flow alone may say what it likes.
        let judged = changes.iter().filter(|c| c.expires > 0 && !c.behind_nat).map(|c| c.uri);
        judge(surroundings, judged, path).map_err(Refusal::Forbidden)?;
        let mut extra = Vec::new();
        if self.location.is_watched() {
            m.put_extensions(&mut extra);
        }
        register.path = path;
        register.headers = &extra;
        let agent = m.header(HeaderName::UserAgent).unwrap_or_default();
        register.user_agent = agent.get(..MOST_USER_AGENT).unwrap_or(agent);
        register.max_contacts = Some(request.max_contacts.unwrap_or(config.max_contacts) as usize);
        register.overflow = match request.replaces_oldest.unwrap_or(config.replaces_oldest) {
            true => Overflow::ReplaceOldest,
            false => Overflow::Fail,
        };
        let patience = u64::from(config.store_patience);
        register.add_nothing = patience > 0 && self.location.behind_for(now) > patience;
        let result = self.location.register(&register, now, |binding| {
            put_contact(&binding, now, headers);
            if extensions.gruu {
                put_gruus(&binding, request.aor, self.secret, headers);
            }
            headers.extend_from_slice(b"\r\n");
        });
        let changed = result.map_err(|error| match error {
            RegisterError::TooMany { .. } => Refusal::TooMany,
            RegisterError::Unavailable => Refusal::Unavailable,
            RegisterError::OutOfOrder { .. } => Refusal::OutOfOrder,
            RegisterError::Unstorable => Refusal::Unstorable,
        })?;
        if !path.is_empty() {
            headers.extend_from_slice(b"Path: ");
            headers.extend_from_slice(path);
            headers.extend_from_slice(b"\r\n");
        }
        if !headers.is_empty() {
            extensions.put_lines(request.flow.transport, config, || surroundings.us(), headers);
        }
        // Phones set their clocks by it (RFC 3261 §10.3 step 8).
        headers.extend_from_slice(b"Date: ");
        put_date(now / 1000, headers);
        headers.extend_from_slice(b"\r\n");
        let longest = changes.iter().map(|c| c.expires).max().unwrap_or(0);
        Ok(Registered { changed, longest })
    }
}

/// May these contacts be registered, or the first hop of this Path?
fn judge<'c>(
    surroundings: &impl Surroundings,
    mut contacts: impl Iterator<Item = &'c [u8]>,
    path: &[u8],
) -> Result<(), &'static str> {
    let first = List::new(path).flatten().next().and_then(|hop| Address::parse(hop, "Path").ok());
    match first {
        // The proxies it came through know the way to the contact (RFC 3327 §5.2).
        Some(hop) => surroundings.may_lead_to(hop.uri),
        None => contacts.try_for_each(|uri| surroundings.may_lead_to(uri)),
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

/// One Contact of the 200, without its line end.
fn put_contact(binding: &Binding<'_>, now: u64, out: &mut Vec<u8>) {
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
