//! What the router is asked about.

use std::borrow::Cow;
use std::fmt;

use trunkline_sip::{Address, Flow, Message, ParseError, Uri};

/// How the router behaves; one set for the whole exchange.
#[derive(Clone, Debug)]
pub struct Options {
    /// The host of the domain that our own addresses stand for, e.g. `sip.local`.
    pub default_domain: String,
    /// Users of From, To and Request-URI that are telephone numbers are written as E.164 with `+`.
    pub enforce_e164: bool,
    /// May a user register another's AOR?
    pub third_party_registration: bool,
    /// Challenge other requests than REGISTER with 407 instead of 401. RFC 3261 §22.3 has 407 for a proxy; Routr
    /// and the user agents made for it know 401 alone.
    pub proxy_challenge: bool,
    /// Every call through a trunk says `Privacy: none`, as Routr 2.15 did whatever was configured.
    pub privacy_always_none: bool,
    /// A user who does not exist gets 403 once it offers a digest, as from Routr 2.15, instead of a challenge
    /// like any other.
    pub reveal_unknown_users: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            default_domain: String::new(),
            enforce_e164: false,
            third_party_registration: false,
            proxy_challenge: false,
            privacy_always_none: false,
            reveal_unknown_users: false,
        }
    }
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
    pub own_address: &'a (dyn Fn(&Uri<'_>) -> bool + 'a),
    /// Any number; decides among equals in priority by weight.
    pub random: u64,
    /// Does it come from another exchange of ours, by configuration?
    pub from_sibling: bool,
    pub(crate) uri: Uri<'a>,
    pub(crate) from: Address<'a>,
    pub(crate) from_uri: Uri<'a>,
    pub(crate) to_uri: Uri<'a>,
    /// The called user, decoded and normalised.
    pub(crate) callee: Cow<'a, [u8]>,
    /// The calling user, decoded and normalised.
    pub(crate) caller: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    /// Reads Request-URI, From and To. The caller answers an error with [`ParseError::status`].
    pub fn new(
        message: Message<'a>,
        flow: Flow,
        options: &'a Options,
        own_address: &'a (dyn Fn(&Uri<'_>) -> bool + 'a),
        random: u64,
    ) -> Result<Request<'a>, ParseError> {
        let uri = message.uri()?;
        let from = message.from()?;
        let from_uri = from.parsed_uri()?;
        let to_uri = message.to()?.parsed_uri()?;
        Ok(Request {
            message,
            flow,
            options,
            own_address,
            random,
            from_sibling: false,
            callee: uri.user_decoded().unwrap_or_default(),
            caller: from_uri.user_decoded().unwrap_or_default(),
            uri,
            from,
            from_uri,
            to_uri,
        })
    }

    /// The Request-URI, read.
    pub fn uri(&self) -> &Uri<'a> {
        &self.uri
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("uri", &self.uri).field("flow", &self.flow).finish_non_exhaustive()
    }
}
