//! What the router is asked about.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

use trunkline_model::{AccessControlList, Authenticate, Domain, Ref};
use trunkline_sip::{Address, Flow, HeaderName, Message, Method, ParseError, Scheme, Uri};

use crate::e164;
use crate::number::{self, User};
use crate::party::PartyName;

/// Who shows who it is when it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Challenge {
    /// Those whom their domain's `authenticate` asks.
    #[default]
    Domain,
    /// Besides, who calls out through a trunk, unless it calls over the connection it registered by.
    Egress,
    /// Everybody we know, whatever the domain says.
    All,
}

/// How the router behaves; one set for the whole exchange.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The host of the domain that our own addresses stand for, e.g. `sip.local`.
    pub default_domain: String,
    /// Users of From, To and Request-URI that are telephone numbers are written as E.164 with `+`.
    pub enforce_e164: bool,
    /// May a user register another's AOR?
    pub third_party_registration: bool,
    /// May an agent that has not shown who it is ask another party to call somebody (REFER)?
    pub unproven_may_refer: bool,
    /// May such an agent send NOTIFY outside a dialog?
    pub unproven_may_notify: bool,
    /// Challenge other requests than REGISTER with 407 instead of 401. RFC 3261 §22.3 has 407 for a proxy; Routr
    /// and the user agents made for it know 401 alone.
    pub proxy_challenge: bool,
    /// Every call through a trunk says `Privacy: none`, as Routr 2.15 did whatever was configured.
    pub privacy_always_none: bool,
    /// Who shows who it is when it calls.
    pub challenge: Challenge,
    /// Headers whose address is who is called, before the Request-URI; the first one that is there counts.
    pub address_info: Vec<String>,
    /// Is the address in To who is called, not the Request-URI?
    pub to_as_aor: bool,
    /// The networks that may send requests; `None` for all. A domain's or trunk's own list comes after it.
    pub access: Option<AccessControlList>,
    /// Peers that name no number leave by the policies of the domain they call, as in Routr v1.
    pub peers_use_policies: bool,
    /// Need the exchange not stay in the way of calls whose sides reach each other without it?
    pub may_step_aside: bool,
    /// A user who does not exist gets 403 once it offers a digest, as from Routr 2.15, instead of a challenge
    /// like any other.
    pub reveal_unknown_users: bool,
}

impl Options {
    /// May requests come from this address at all?
    pub fn admits(&self, source: IpAddr) -> bool {
        self.access.as_ref().is_none_or(|list| list.allows(source))
    }

    /// Does every caller of this domain show who it is?
    pub fn asks_every_caller(&self, domain: &Domain) -> bool {
        domain.authenticate == Authenticate::All || self.challenge == Challenge::All
    }

    /// Does a caller of this domain show who it is inside a dialog that leads there?
    pub fn asks_in_dialog(&self, domain: &Domain, to_carrier: bool) -> bool {
        self.asks_every_caller(domain) || to_carrier && self.asks_who_calls_out(domain)
    }

    /// Does a caller of this domain show who it is before it leaves by a trunk?
    pub fn asks_who_calls_out(&self, domain: &Domain) -> bool {
        self.challenge != Challenge::Domain || domain.authenticate == Authenticate::Egress
    }
}

/// A call that somebody else shall take.
#[derive(Clone, Copy, Debug)]
pub struct Diversion<'a> {
    /// The AOR that did not take it, e.g. `sip:1002@sip.local`: [`crate::Decision::aor`] of the first route.
    pub from: &'a str,
    /// The AOR that shall, from [`trunkline_model::Agent`]: `fallback_busy` or `fallback_no_answer`.
    pub to: &'a str,
    /// The status that ended the first try, e.g. 486; 408 or 487 when nobody answered in time.
    pub cause: u16,
    /// Who calls, as it was found the first time: what the request says of it does not count again.
    pub caller: &'a PartyName,
    /// User name and domain of the caller where it is an agent, a peer's user name with nothing: the request may withhold it.
    pub account: Option<(&'a [u8], &'a [u8])>,
    /// Had the caller proved who it is: [`crate::Decision::proven`] of the first route?
    pub proven: bool,
    /// Does a phone say so, and not the operator?
    pub by_phone: bool,
}

/// A request that was admitted, and one of whose targets leads back to this exchange: it is routed again without having
/// left, so that nobody has to prove anew who calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inside<'a> {
    /// The agent or peer that calls, as it was found the first time.
    pub caller: Option<&'a Ref>,
    /// The trunk it came in through.
    pub trunk: Option<&'a Ref>,
    /// The AOR one of whose contacts leads here: [`crate::Decision::aor`] of the route before.
    pub by: &'a [u8],
    /// Had the caller shown who it is: [`crate::Decision::proven`] of the first route?
    pub proven: bool,
    /// May it leave by a trunk? Not because a phone says so.
    pub may_leave: bool,
}

/// One phone among those of an AOR (RFC 5627): what a GRUU names beside the AOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gruu<'a> {
    /// Its `+sip.instance` without angle brackets; empty for a GRUU that we never gave out.
    pub instance: &'a [u8],
    /// Of a temporary GRUU: the registration it was given out for, by a number of the driver's.
    pub registration: Option<u64>,
}

/// The address of record in To.
#[derive(Clone)]
pub(crate) struct To<'a> {
    pub uri: Uri<'a>,
    /// Its user, decoded.
    pub user: Cow<'a, [u8]>,
}

/// How the called user goes into a URI.
#[derive(Clone)]
enum Dialled {
    /// As it came, escapes included: it is no number.
    AsItCame,
    /// As the rules see it.
    AsJudged,
    /// As the rules see it, with escapes.
    Escaped(Vec<u8>),
}

/// A request out of dialog, with what the router has to know of its surroundings.
#[derive(Clone)]
pub struct Request<'a> {
    /// The message.
    pub message: Message<'a>,
    /// How it came; access control looks at its source address.
    pub flow: Flow,
    /// How to behave.
    pub options: &'a Options,
    /// Is the host (and port) of a URI one of our own addresses?
    pub own_address: &'a (dyn Fn(&Uri<'_>) -> bool + Sync + 'a),
    /// Any number; decides among equals in priority by weight.
    pub random: u64,
    /// The request was admitted and forwarded before, and its callee did not take it: route it to somebody else.
    pub diversion: Option<Diversion<'a>>,
    /// It comes back from one of its own targets.
    pub inside: Option<Inside<'a>>,
    /// The Request-URI is a GRUU of ours: the call is for that phone and no other.
    pub gruu: Option<Gruu<'a>>,
    pub(crate) uri: Uri<'a>,
    pub(crate) from_uri: Uri<'a>,
    /// The called user, decoded; a telephone number in its one form, as the options want it.
    pub(crate) callee: Cow<'a, [u8]>,
    /// The same as it came, where that may be a name of its own: `100-1` is an agent before it is a number.
    pub(crate) callee_name: Option<Cow<'a, [u8]>>,
    /// The called number as it goes into a URI, where it differs from `callee`; `None` for what is no number.
    dialled: Dialled,
    /// The number a peer wants to call from, where it had to be brought into its form.
    pub(crate) dod_number: OnceLock<Vec<u8>>,
    /// The user of From, decoded; a telephone number as the options want it.
    pub(crate) caller: Cow<'a, [u8]>,
    /// To, where it counts: in REGISTER, and where its number may have to be rewritten.
    pub(crate) to: Option<To<'a>>,
    /// The Request-URI has no user, and To says who is called.
    callee_in_to: bool,
}

/// Who is called, where the operator says that this does not stand in the Request-URI. A header that is not there, or
/// that holds no address, leaves it to the next, at last to the Request-URI.
pub fn named_elsewhere<'a>(message: &Message<'a>, options: &Options) -> Option<Uri<'a>> {
    if message.method() == Some(Method::Register) {
        return None;
    }
    let of_header = |name: &String| Address::parse(message.other_header(name)?, "addressInfo").ok();
    let mut told = options.address_info.iter().filter_map(of_header).filter_map(|a| a.parsed_uri().ok());
    let in_to = || if options.to_as_aor { message.to().ok()?.parsed_uri().ok() } else { None };
    told.next().or_else(in_to)
}

/// Who a request calls: the Request-URI, where the operator names no other place. One without a user leaves it to To.
pub fn called_uri<'a>(message: &Message<'a>, options: &Options) -> Option<Uri<'a>> {
    let uri = named_elsewhere(message, options).or_else(|| message.uri().ok())?;
    named_in_to(message, &uri).or(Some(uri))
}

/// Appends who is called as it is to be read: without escapes that need not be, a number in its one form, without parameters.
pub fn put_called(uri: &Uri<'_>, out: &mut Vec<u8>) {
    let scheme: &[u8] = match uri.scheme {
        Scheme::Tel => b"tel:",
        Scheme::Sips => b"sips:",
        Scheme::Sip | Scheme::Other => b"sip:",
    };
    out.extend_from_slice(scheme);
    number::put_escaped(&User::new(uri.user_decoded().unwrap_or_default()).into_text(), out);
    if uri.scheme != Scheme::Tel {
        if uri.user.is_some() {
            out.push(b'@');
        }
        out.extend_from_slice(uri.host);
    }
}

/// Who is called, where that stands in To: in an INVITE whose Request-URI (or what takes its place) names no user. A carrier
/// that we registered at calls our Contact, which has none.
pub fn named_in_to<'a>(message: &Message<'a>, uri: &Uri<'_>) -> Option<Uri<'a>> {
    callee_is_in_to(message, uri).then(|| message.to().ok()?.parsed_uri().ok()).flatten()
}

fn callee_is_in_to(message: &Message<'_>, uri: &Uri<'_>) -> bool {
    uri.user.is_none() && uri.scheme != Scheme::Tel && message.method() == Some(Method::Invite)
}

impl<'a> Request<'a> {
    /// Reads Request-URI, From and To. The caller answers an error with [`ParseError::status`].
    pub fn new(
        message: Message<'a>,
        flow: Flow,
        options: &'a Options,
        own_address: &'a (dyn Fn(&Uri<'_>) -> bool + Sync + 'a),
        random: u64,
    ) -> Result<Request<'a>, ParseError> {
        Request::with_uri(message, message.uri()?, flow, options, own_address, random)
    }

    /// The same where the Request-URI has been read already.
    pub fn with_uri(
        message: Message<'a>,
        uri: Uri<'a>,
        flow: Flow,
        options: &'a Options,
        own_address: &'a (dyn Fn(&Uri<'_>) -> bool + Sync + 'a),
        random: u64,
    ) -> Result<Request<'a>, ParseError> {
        let uri = named_elsewhere(&message, options).unwrap_or(uri);
        let from_uri = Uri::parse(from_uri(message)?)?;
        let registers = message.method() == Some(Method::Register);
        let e164 = options.enforce_e164 && !registers;
        let callee_in_to = callee_is_in_to(&message, &uri);
        let to = if registers || e164 || callee_in_to {
            let uri = message.to()?.parsed_uri()?;
            Some(To { user: user(&uri, false), uri })
        } else {
            None
        };
        let named = to.as_ref().filter(|_| callee_in_to).map_or(uri, |to| to.uri);
        let Called { callee, name, dialled } = called(&named, e164);
        Ok(Request {
            message,
            flow,
            options,
            own_address,
            random,
            diversion: None,
            inside: None,
            gruu: None,
            callee,
            callee_name: name,
            dialled,
            dod_number: OnceLock::new(),
            caller: user(&from_uri, e164),
            uri,
            from_uri,
            to,
            callee_in_to,
        })
    }

    /// Does it come from a web page whose origin is not allowed? It proves nothing by the address of its browser, whose user
    /// does not know of it: a digest alone counts.
    pub(crate) fn is_of_foreign_page(&self) -> bool {
        self.flow.connection.is_foreign_page()
    }

    /// Does it go on from somebody who was called to somebody else?
    pub(crate) fn goes_on(&self) -> bool {
        self.diversion.is_some() || self.inside.is_some()
    }

    /// Does it go on by the word of a phone, and not by the operator's?
    pub(crate) fn goes_on_by_phone(&self) -> bool {
        self.diversion.is_some_and(|d| d.by_phone) || self.inside.is_some_and(|inside| !inside.may_leave)
    }

    /// The host of the AOR by whose word it goes on.
    pub(crate) fn sent_on_by(&self) -> Option<&'a [u8]> {
        let aor = self.diversion.map(|d| d.from.as_bytes()).or(self.inside.map(|i| i.by))?;
        Uri::parse(aor).ok().map(|uri| uri.host).filter(|host| !host.is_empty())
    }

    /// Is it a REGISTER?
    pub(crate) fn registers(&self) -> bool {
        self.message.method() == Some(Method::Register)
    }

    /// The called user as it goes into a URI: a number in the form the rules saw, a name as it came. Decoded, a user of To
    /// could end the line and write headers of its own.
    pub(crate) fn dialled(&self) -> &[u8] {
        let user = || self.to.as_ref().filter(|_| self.callee_in_to).and_then(|to| to.uri.user);
        match (&self.dialled, self.uri.user.or_else(user)) {
            (Dialled::Escaped(text), _) => text,
            (Dialled::AsItCame, Some(user)) => user,
            (Dialled::AsJudged, _) | (Dialled::AsItCame, None) => &self.callee,
        }
    }

    /// The called user as a carrier gets it, and so as the rules of a way out are to see it: without what may be
    /// taken for parameters of a number.
    pub(crate) fn called_outside(&self) -> &[u8] {
        number::without_parameters(&self.callee)
    }

    /// The Request-URI, read.
    pub fn uri(&self) -> &Uri<'a> {
        &self.uri
    }
}

/// The text of From's URI. The index has checked the header; without quotes its brackets are all there is to find.
fn from_uri(message: Message<'_>) -> Result<&[u8], ParseError> {
    let value = message.header(HeaderName::From).unwrap_or_default();
    let start = value.iter().position(|b| matches!(b, b'<' | b'"'));
    let plain = |i: &usize| value.get(*i) == Some(&b'<') && !value.iter().take(*i).any(|&b| b == b';');
    if let Some(start) = start.filter(plain) {
        let inner = value.get(start + 1..).unwrap_or_default();
        if let Some(end) = inner.iter().position(|&b| b == b'>') {
            return Ok(inner.get(..end).unwrap_or_default());
        }
    }
    Ok(message.from()?.uri)
}

/// A user of From or To. A number is brought into its form where it is declared to be one or is to be E.164; else it
/// may be a name.
fn user<'a>(uri: &Uri<'a>, e164: bool) -> Cow<'a, [u8]> {
    let decoded = uri.user_decoded().unwrap_or_default();
    if !e164 && !is_declared_number(uri) {
        return decoded;
    }
    let user = User::new(decoded).into_text();
    if e164 { e164::normalise(&user).map_or(user, Cow::Owned) } else { user }
}

/// Does the URI say that its user is a telephone number?
pub(crate) fn is_declared_number(uri: &Uri<'_>) -> bool {
    uri.scheme == Scheme::Tel
        || uri.param("user").flatten().is_some_and(|kind| {
            kind.eq_ignore_ascii_case(b"phone") || kind.eq_ignore_ascii_case(b"dialstring")
        })
}

pub(crate) struct Called<'a> {
    pub(crate) callee: Cow<'a, [u8]>,
    pub(crate) name: Option<Cow<'a, [u8]>>,
    dialled: Dialled,
}

/// The called user.
pub(crate) fn called<'a>(uri: &Uri<'a>, e164: bool) -> Called<'a> {
    let user = User::new(uri.user_decoded().unwrap_or_default());
    if !user.is_number {
        return Called { callee: user.name, name: None, dialled: Dialled::AsItCame };
    }
    let name = user.number.is_some().then(|| user.name.clone()).filter(|_| !is_declared_number(uri));
    let number = user.into_text();
    let callee = if e164 { e164::normalise(&number).map_or(number, Cow::Owned) } else { number };
    let dialled = match callee.iter().all(|&b| number::is_unescaped(b)) {
        true => Dialled::AsJudged,
        false => {
            let mut text = Vec::new();
            number::put_escaped(&callee, &mut text);
            Dialled::Escaped(text)
        }
    };
    Called { callee, name, dialled }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("uri", &self.uri).field("flow", &self.flow).finish_non_exhaustive()
    }
}
