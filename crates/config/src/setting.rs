//! Reading and printing values.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv6Net};
use trunkline_model::document::{Content, Node, Reading, Source, parse};
use trunkline_model::network;

/// A value of the configuration.
pub(crate) trait Setting: Sized {
    /// Reads it; a mistake is noted and gives `None`.
    fn read(node: &Node, reading: &Reading) -> Option<Self>;

    /// Shows it as YAML on one line.
    fn show(&self) -> String;
}

/// Reads a scalar; `what` says what it should be.
pub(crate) fn scalar<T>(
    node: &Node,
    reading: &Reading,
    what: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Some(text) = node.as_text() else {
        reading.expected(what, node);
        return None;
    };
    let value = parse(text);
    if value.is_none() {
        reading.error(format!("`{text}` is not {what}"), &node.place, None);
    }
    value
}

/// A map, or a list of maps, that a variable holds as YAML on one line.
fn flow_of(node: &Node) -> Option<Node> {
    let Content::Scalar { text, .. } = &node.content else { return None };
    if !text.starts_with(['{', '[']) || !text.contains('{') {
        return None;
    }
    let source = Source::new(node.place.source.name.clone(), text.as_str());
    parse(&source).ok()?.into_iter().next().filter(|node| node.as_text().is_none())
}

/// The content of brackets around the whole text (not only around an IPv6 address at its start); otherwise the text.
fn without_brackets(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return text };
    let mut depth = 0_i32;
    for c in inner.chars() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth < 0 {
            return text;
        }
    }
    inner
}

/// Text without the quotes that an item of a YAML list may have.
fn without_quotes(text: &str) -> &str {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

/// Reads a list: a YAML list, or one text with commas between and perhaps brackets around, as variables have it.
fn items<T>(node: &Node, reading: &Reading, read: impl Fn(&Node) -> Option<T>) -> Option<Vec<T>> {
    let flow = flow_of(node);
    match &flow.as_ref().unwrap_or(node).content {
        Content::List(items) => Some(items.iter().filter_map(&read).collect()),
        Content::Scalar { .. } if node.is_null() => Some(Vec::new()),
        Content::Scalar { text, plain } => {
            let parts = without_brackets(text).split(',').map(|part| without_quotes(part.trim()));
            let parts = parts.filter(|part| !part.is_empty());
            let part = |part: &str| {
                let content = Content::Scalar { text: part.to_owned(), plain: *plain };
                read(&Node { place: node.place.clone(), content })
            };
            Some(parts.filter_map(part).collect())
        }
        Content::Map(_) => {
            reading.expected("a list", node);
            None
        }
    }
}

/// Text in quotes where YAML would take it for something else.
pub(crate) fn quoted(text: &str) -> String {
    let harmless = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./:@+".contains(&c))
        && !text.ends_with(':')
        && text.bytes().any(|c| c.is_ascii_alphabetic())
        && !["true", "false", "null", "on", "off", "yes", "no"].iter().any(|w| text.eq_ignore_ascii_case(w));
    if harmless {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn flow(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

impl Setting for bool {
    fn read(node: &Node, reading: &Reading) -> Option<bool> {
        scalar(node, reading, "on or off", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" => Some(true),
            "false" | "off" | "no" => Some(false),
            _ => None,
        })
    }

    fn show(&self) -> String {
        if *self { "on" } else { "off" }.to_owned()
    }
}

macro_rules! whole {
    ($($Type:ty),*) => {$(
        impl Setting for $Type {
            fn read(node: &Node, reading: &Reading) -> Option<$Type> {
                let what = format!("a whole number from 0 to {}", <$Type>::MAX);
                scalar(node, reading, &what, |text| text.parse().ok())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole!(u16, u32, u64);

impl Setting for String {
    fn read(node: &Node, reading: &Reading) -> Option<String> {
        scalar(node, reading, "text", |text| Some(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    fn read(node: &Node, reading: &Reading) -> Option<PathBuf> {
        scalar(node, reading, "a path", |text| (!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn show(&self) -> String {
        quoted(&self.display().to_string())
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(node: &Node, reading: &Reading) -> Option<Option<T>> {
        let off = node.as_text().is_some_and(|text| text.eq_ignore_ascii_case("off"));
        if node.is_null() || off { Some(None) } else { T::read(node, reading).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map_or("off".to_owned(), Setting::show)
    }
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Setting for Secret {
    fn read(node: &Node, reading: &Reading) -> Option<Secret> {
        String::read(node, reading).map(Secret)
    }

    fn show(&self) -> String {
        if self.0.is_empty() { "\"\"" } else { "…" }.to_owned()
    }
}

impl Setting for SocketAddr {
    fn read(node: &Node, reading: &Reading) -> Option<SocketAddr> {
        scalar(node, reading, "an address and port, e.g. 127.0.0.1:8000", |text| text.parse().ok())
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// Addresses to listen on. A port alone means all addresses of both families; `off` means none.
impl Setting for Vec<SocketAddr> {
    fn read(node: &Node, reading: &Reading) -> Option<Vec<SocketAddr>> {
        if node.as_text().is_some_and(|text| text.eq_ignore_ascii_case("off")) {
            return Some(Vec::new());
        }
        let what = "an address and port (192.0.2.1:5060, [2001:db8::1]:5060), a port, or off";
        let lists = items(node, reading, |item| {
            scalar(item, reading, what, |text| match text.parse::<u16>() {
                Ok(port) => Some(everywhere(port)),
                Err(_) => text.parse().ok().map(|address| vec![address]),
            })
        });
        lists.map(|lists| lists.into_iter().flatten().collect())
    }

    fn show(&self) -> String {
        if self.is_empty() { "off".into() } else { flow(self.iter().map(Setting::show)) }
    }
}

/// A port on all addresses of both families.
pub(crate) fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
}

/// A name server. Without a port it is asked on port 53 (RFC 1035 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl NameServer {
    const PORT: u16 = 53;
}

impl Setting for NameServer {
    fn read(node: &Node, reading: &Reading) -> Option<NameServer> {
        scalar(node, reading, "an IP address with or without a port", |text| {
            let address = text.parse::<SocketAddr>().ok();
            address.or_else(|| Some((text.parse::<IpAddr>().ok()?, NameServer::PORT).into())).map(NameServer)
        })
    }

    fn show(&self) -> String {
        match self.0.port() {
            NameServer::PORT => quoted(&self.0.ip().to_string()),
            _ => self.0.show(),
        }
    }
}

/// Addresses the outside sees us under, and names of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalAddrs {
    /// The first of a family is advertised to it.
    pub addresses: Vec<IpAddr>,
    /// Host names of ours, in lower case; the first is advertised instead of an address.
    pub names: Vec<String>,
}

impl ExternalAddrs {
    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.names.is_empty()
    }
}

impl Setting for ExternalAddrs {
    fn read(node: &Node, reading: &Reading) -> Option<ExternalAddrs> {
        let mut external = ExternalAddrs::default();
        let entry = |text: &str| match text.parse::<IpAddr>() {
            Ok(ip) => Some(Ok(ip)),
            Err(_) => is_host_name(text).then(|| Err(text.to_ascii_lowercase())),
        };
        for entry in
            items(node, reading, |item| scalar(item, reading, "an IP address or a host name", entry))?
        {
            match entry {
                Ok(ip) => external.addresses.push(ip),
                Err(name) => external.names.push(name),
            }
        }
        Some(external)
    }

    fn show(&self) -> String {
        let names = self.names.iter().map(|name| quoted(name));
        flow(names.chain(self.addresses.iter().map(|ip| quoted(&ip.to_string()))))
    }
}

/// Labels with a letter among them, so that no address with a mistake in it is taken for a name.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() < 254 && text.split('.').all(label) && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

impl Setting for Vec<IpNet> {
    fn read(node: &Node, reading: &Reading) -> Option<Vec<IpNet>> {
        let what = "our address in a network and its prefix, e.g. 10.0.0.1/24";
        items(node, reading, |item| scalar(item, reading, what, |text| text.parse().ok()))
    }

    fn show(&self) -> String {
        flow(self.iter().map(|net| quoted(&net.to_string())))
    }
}

/// A network, or a lone address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Setting for Network {
    fn read(node: &Node, reading: &Reading) -> Option<Network> {
        scalar(node, reading, "a network or an address, e.g. 10.0.0.0/8, 192.0.2.7", network).map(Network)
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

/// The prefix by which a NAT64 translator writes IPv4 addresses, of one of the lengths of RFC 6052 §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64Prefix(pub Ipv6Net);

impl Setting for Nat64Prefix {
    fn read(node: &Node, reading: &Reading) -> Option<Nat64Prefix> {
        let what = "an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, e.g. 2001:db8:64::/96";
        let prefix = |text: &str| {
            let net: Ipv6Net = text.parse().ok()?;
            matches!(net.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96).then(|| Nat64Prefix(net.trunc()))
        };
        scalar(node, reading, what, prefix)
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

/// A host whose addresses are given, not looked up. Port 0 leaves the port to the URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddresses {
    /// The host, in lower case.
    pub host: String,
    /// Its addresses, in the order they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// The name of a header field, RFC 3261 §25.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField(pub String);

impl Setting for HeaderField {
    fn read(node: &Node, reading: &Reading) -> Option<HeaderField> {
        let token = |c: u8| c.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&c);
        scalar(node, reading, "the name of a header, e.g. X-DID", |text| {
            (!text.is_empty() && text.bytes().all(token)).then(|| HeaderField(text.to_owned()))
        })
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A called number: digits, and what stands before or among them on a dial pad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledNumber(pub String);

impl Setting for CalledNumber {
    fn read(node: &Node, reading: &Reading) -> Option<CalledNumber> {
        scalar(node, reading, "a number as it is called, e.g. 112", |text| {
            let dialled = |c: u8| c.is_ascii_digit() || b"+*#".contains(&c);
            (!text.is_empty() && text.bytes().all(dialled)).then(|| CalledNumber(text.to_owned()))
        })
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// The origin of a web page, RFC 6454 §6.2, as browsers write it: no path, no default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(pub String);

impl Setting for WebOrigin {
    fn read(node: &Node, reading: &Reading) -> Option<WebOrigin> {
        scalar(node, reading, "the origin of a web page, e.g. https://phones.example.com", |text| {
            let (scheme, host) = text.split_once("://")?;
            let default = if scheme == "https" { ":443" } else { ":80" };
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]".contains(&c);
            let fits = matches!(scheme, "http" | "https")
                && !host.is_empty()
                && !host.ends_with(default)
                && host.bytes().all(plain);
            fits.then(|| WebOrigin(text.to_owned()))
        })
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A map of hosts to an address or a list of addresses, each with or without a port.
impl Setting for Vec<HostAddresses> {
    fn read(node: &Node, reading: &Reading) -> Option<Vec<HostAddresses>> {
        let flow = flow_of(node);
        let Content::Map(entries) = &flow.as_ref().unwrap_or(node).content else {
            reading.expected("a map of hosts to addresses", node);
            return None;
        };
        let what = "an IP address with or without a port";
        let address = |text: &str| {
            text.parse::<SocketAddr>().ok().or_else(|| Some((text.parse::<IpAddr>().ok()?, 0).into()))
        };
        let mut hosts = Vec::new();
        for (key, value) in entries {
            let addresses = items(value, reading, |item| scalar(item, reading, what, address))?;
            hosts.push(HostAddresses { host: key.text.to_ascii_lowercase(), addresses });
        }
        Some(hosts)
    }

    fn show(&self) -> String {
        let address = |a: &SocketAddr| match a.port() {
            0 => quoted(&a.ip().to_string()),
            _ => a.show(),
        };
        let entry =
            |h: &HostAddresses| format!("{}: {}", quoted(&h.host), flow(h.addresses.iter().map(address)));
        format!("{{{}}}", self.iter().map(entry).collect::<Vec<_>>().join(", "))
    }
}

/// Declares an enum whose values are words.
macro_rules! words {
    ($(#[$meta:meta])* $Name:ident { $($(#[$value_meta:meta])* $Value:ident = $word:literal,)* }) => {
        $(#[$meta])*
        pub enum $Name { $($(#[$value_meta])* $Value,)* }

        impl $Name {
            /// The words, as they stand in the file.
            pub const WORDS: &'static [(&'static str, $Name)] = &[$(($word, $Name::$Value)),*];

            /// The word of this value.
            pub fn as_str(self) -> &'static str {
                match self { $($Name::$Value => $word,)* }
            }
        }

        impl $crate::setting::Setting for $Name {
            fn read(
                node: &trunkline_model::document::Node,
                reading: &trunkline_model::document::Reading,
            ) -> Option<$Name> {
                reading.word(node, $Name::WORDS)
            }

            fn show(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}
pub(crate) use words;

/// A list of values that implement `Setting` one by one.
macro_rules! list_of {
    ($Type:ty) => {
        impl $crate::setting::Setting for Vec<$Type> {
            fn read(
                node: &trunkline_model::document::Node,
                reading: &trunkline_model::document::Reading,
            ) -> Option<Self> {
                $crate::setting::list(node, reading)
            }

            fn show(&self) -> String {
                $crate::setting::show_list(self)
            }
        }
    };
}
pub(crate) use list_of;

pub(crate) fn list<T: Setting>(node: &Node, reading: &Reading) -> Option<Vec<T>> {
    items(node, reading, |item| T::read(item, reading))
}

pub(crate) fn show_list<T: Setting>(list: &[T]) -> String {
    flow(list.iter().map(Setting::show))
}
