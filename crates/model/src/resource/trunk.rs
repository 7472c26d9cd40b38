//! SIP trunks to carriers.

use std::fmt;

use trunkline_sip::Transport;

use super::CallLimits;
use crate::reference::Ref;

/// One of a trunk's destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkUri {
    /// The user part, where the carrier wants one.
    pub user: Option<String>,
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// The port; `None` leaves it to the host's DNS records, else to the transport's own (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// The transport; `None` leaves it to the host's DNS records, else UDP (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// Among equals in priority: its share of the calls, as RFC 2782 has it.
    pub weight: u16,
    /// The lower is tried first, as RFC 2782 has it.
    pub priority: u16,
    /// A disabled one is not tried.
    pub enabled: bool,
}

impl TrunkUri {
    /// One that is only a host and a port, e.g. of `registrar.example:5070` or `[2001:db8::1]:5070`.
    pub fn of_host(text: &str) -> TrunkUri {
        let text = text.to_ascii_lowercase();
        let port = |text: &str| text.parse().ok();
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').and_then(port)),
            None => match text.split_once(':') {
                // More colons: an IPv6 address by itself.
                Some((host, rest)) if port(rest).is_some() => (host, port(rest)),
                Some(_) | None => (&*text, None),
            },
        };
        let host = host.to_owned();
        TrunkUri { user: None, host, port, transport: None, weight: 1, priority: 0, enabled: true }
    }

    /// Host and port as [`TrunkUri::of_host`] reads them.
    pub fn host_text(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// The text for operators: transport, host and port, if they are set.
impl fmt::Display for TrunkUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(transport) = self.transport {
            write!(f, "{transport} ")?;
        }
        f.write_str(&self.host_text())
    }
}

/// A certificate that we present, and its private key: paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The file with the certificate and those that sign it.
    pub certificate: String,
    /// The file with the key.
    pub key: String,
}

/// Which caller the From of a call to a trunk shows. A caller that withholds its identity is always anonymous there (RFC 3323).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShownAs {
    /// The caller's own address, as it came.
    #[default]
    Caller,
    /// The number that the call goes out by.
    Number,
    /// Our account at the carrier.
    Account,
}

super::resource! {
    /// The way to and from a carrier.
    #[derive(Clone, Debug, PartialEq)]
    Trunk {
        /// The host the carrier calls us by; it finds the trunk of an incoming call.
        inbound_uri: Option<String>,
        /// The addresses the carrier may call from.
        acl: Option<Ref>,
        /// The credentials of the carrier.
        inbound_credentials: Option<Ref>,
        /// Our credentials at the carrier.
        outbound_credentials: Option<Ref>,
        /// Do we register at the carrier?
        send_register: bool,
        /// Seconds asked for when we register; `None` for our own.
        register_expires: Option<u32>,
        /// Hosts beside the destinations that we register at, and that get no calls.
        registries: Vec<TrunkUri>,
        /// The carrier's destinations.
        uris: Vec<TrunkUri>,
        /// How long a destination may stay silent before the next is tried, in milliseconds, 500 to 4000.
        timeout_ms: u32,
        /// URI parameters that callers may set towards the carrier, in lower case, e.g. `npdi`, `rn`, `cic`
        /// (RFC 4694). All others that could choose the route or the price of a call are removed.
        allowed_parameters: Vec<String>,
        /// Which caller From shows.
        shown_as: ShownAs,
        /// Is the carrier told the calling number in P-Asserted-Identity and Remote-Party-ID?
        asserts_identity: bool,
        /// Presented to the trunk over TLS, and to nobody else; `None`: the exchange's own.
        client_certificate: Option<ClientCertificate>,
        /// How many calls it may have, in both directions.
        limits: CallLimits,
    }
}

impl Trunk {
    /// The silence after which the next destination is tried, in milliseconds.
    pub const DEFAULT_TIMEOUT_MS: u32 = 2000;

    /// A trunk with the defaults and no destination.
    pub fn new(reference: impl Into<Ref>, name: impl Into<String>) -> Trunk {
        Trunk {
            reference: reference.into(),
            name: name.into(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            inbound_uri: None,
            acl: None,
            inbound_credentials: None,
            outbound_credentials: None,
            send_register: false,
            register_expires: None,
            registries: Vec::new(),
            uris: Vec::new(),
            timeout_ms: Trunk::DEFAULT_TIMEOUT_MS,
            allowed_parameters: Vec::new(),
            shown_as: ShownAs::default(),
            asserts_identity: true,
            client_certificate: None,
            limits: CallLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TrunkUri;

    #[test]
    fn hosts_with_and_without_ports() {
        for (text, host, port) in [
            ("Registrar.example", "registrar.example", None),
            ("192.0.2.1:5070", "192.0.2.1", Some(5070)),
            ("[2001:db8::1]:5070", "2001:db8::1", Some(5070)),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            let uri = TrunkUri::of_host(text);
            assert_eq!((uri.host.as_str(), uri.port), (host, port), "{text}");
            assert_eq!(TrunkUri::of_host(&uri.host_text()), uri, "{text}");
        }
    }
}
