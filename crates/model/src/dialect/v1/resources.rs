//! The `spec` of each kind of Routr v1, as it is written.

use trunkline_sip::Transport;

use super::{Collection, Edition, acl};
use crate::document::{Fields, Node, nearest};
use crate::reference::Ref;
use crate::resource::{
    AccessControlList, Authenticate, CallLimits, GeoInfo, InterDomain, Privacy, Rule, ShownAs, TrunkUri,
};

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub username: String,
    pub secret: String,
}

/// The special fields of a document.
pub(super) enum Spec {
    User(Login),
    Agent {
        login: Login,
        domains: Vec<String>,
        privacy: Privacy,
        max_contacts: Option<u32>,
        limits: CallLimits,
    },
    Domain(Domain),
    Gateway(Gateway),
    Number {
        tel_url: String,
        aor_link: String,
        gateway: String,
        geo: GeoInfo,
    },
    Peer {
        login: Login,
        device: Option<String>,
        contact_addr: Option<String>,
        max_contacts: Option<u32>,
    },
}

/// A host of AORs.
pub(super) struct Domain {
    pub uri: String,
    pub egress: Option<(Rule, String)>,
    pub acl: Option<AccessControlList>,
    /// Routr challenges REGISTER alone; a key of our own asks for more.
    pub authenticate: Authenticate,
    pub inter_domain: InterDomain,
    pub limits: CallLimits,
}

/// A way to a carrier.
pub(super) struct Gateway {
    pub host: String,
    pub port: Option<u16>,
    pub transport: Option<Transport>,
    pub login: Option<Login>,
    /// Does it want to be registered at?
    pub registers: bool,
    /// Seconds to ask for then.
    pub expires: Option<u32>,
    /// Hosts beside its own that want it too.
    pub registries: Vec<TrunkUri>,
    /// A key of our own: which caller From shows.
    pub shown_as: ShownAs,
    /// The same: is the calling number asserted?
    pub asserts_identity: bool,
    pub limits: CallLimits,
}

/// The values from which the ref of a document without one is generated, as they are written.
pub(super) fn factor(collection: Collection, document: &Node) -> String {
    let paths: &[&str] = match collection {
        Collection::Users | Collection::Peers => &["spec.credentials.username"],
        Collection::Agents => &["spec.credentials.username", "spec.domains[0]"],
        Collection::Domains => &["spec.context.domainUri"],
        Collection::Gateways => &["spec.host", "spec.regService.host"],
        Collection::Numbers => &["spec.location.telUrl"],
    };
    paths.iter().filter_map(|path| document.at(path).as_text()).collect()
}

const PRIVACY: [(&str, Privacy); 2] = [("None", Privacy::None), ("Private", Privacy::Private)];
const AUTHENTICATE: [(&str, Authenticate); 4] = [
    ("never", Authenticate::Never),
    ("register", Authenticate::Register),
    ("egress", Authenticate::Egress),
    ("all", Authenticate::All),
];
const INTER_DOMAIN: [(&str, InterDomain); 3] = [
    ("authenticated", InterDomain::Authenticated),
    ("isolated", InterDomain::Isolated),
    ("open", InterDomain::Open),
];
const SHOWN_AS: [(&str, ShownAs); 3] =
    [("caller", ShownAs::Caller), ("number", ShownAs::Number), ("account", ShownAs::Account)];
const TRANSPORT: [(&str, Transport); 5] = [
    ("udp", Transport::Udp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tls),
    ("ws", Transport::Ws),
    ("wss", Transport::Wss),
];

/// Reads the spec of a kind; what is missing is noted.
pub(super) fn spec(
    collection: Collection,
    spec: &Fields<'_>,
    metadata: Option<&Fields<'_>>,
    edition: Edition,
) -> Spec {
    match collection {
        Collection::Users => Spec::User(login(spec, true).unwrap_or_else(Login::none)),
        Collection::Agents => agent(spec),
        Collection::Domains => Spec::Domain(domain(spec, edition)),
        Collection::Gateways => Spec::Gateway(gateway(spec, edition)),
        Collection::Numbers => number(spec, metadata),
        Collection::Peers => Spec::Peer {
            login: login(spec, true).unwrap_or_else(Login::none),
            device: filled(spec, "device"),
            contact_addr: filled(spec, "contactAddr"),
            max_contacts: max_contacts(spec),
        },
    }
}

impl Login {
    /// Stands where an error was noted.
    fn none() -> Login {
        Login { username: String::new(), secret: String::new() }
    }
}

fn filled(fields: &Fields<'_>, key: &'static str) -> Option<String> {
    fields.text(key).filter(|text| !text.is_empty())
}

fn required(fields: &Fields<'_>, key: &'static str) -> String {
    let text = filled(fields, key);
    // A value of the wrong kind has been noted.
    if text.is_none() && fields.node(key).is_none_or(|node| node.as_text().is_some()) {
        fields.error(key, format!("the {key} is required"), None);
    }
    text.unwrap_or_default()
}

fn login(spec: &Fields<'_>, wanted: bool) -> Option<Login> {
    let Some(pair) = spec.map("credentials") else {
        if wanted && spec.node("credentials").is_none() {
            spec.error("credentials", "the credentials with username and secret are required", None);
        }
        return None;
    };
    let login = Login { username: required(&pair, "username"), secret: required(&pair, "secret") };
    pair.finish_open();
    Some(login)
}

/// Routr keeps one contact where nothing is said, and drops the phone registered before; that is not copied.
fn max_contacts(spec: &Fields<'_>) -> Option<u32> {
    let n = spec.integer("ex_maxContact", 0..=i64::from(i32::MAX))?;
    u32::try_from(n).ok().filter(|n| *n > 0)
}

fn agent(spec: &Fields<'_>) -> Spec {
    let domains: Vec<String> = spec
        .texts("domains")
        .unwrap_or_default()
        .into_iter()
        .map(|(text, _)| text.to_ascii_lowercase())
        .collect();
    if domains.is_empty() && spec.node("domains").is_none_or(|node| node.describe() == "a list") {
        spec.error("domains", "the domains are required: a list of at least one", None);
    }
    Spec::Agent {
        login: login(spec, true).unwrap_or_else(Login::none),
        domains,
        privacy: spec.choice("privacy", &PRIVACY).unwrap_or_default(),
        max_contacts: max_contacts(spec),
        limits: limits(spec),
    }
}

/// Keys of our own.
fn limits(spec: &Fields<'_>) -> CallLimits {
    let limit = |key| {
        let n = spec.integer(key, 0..=i64::from(i32::MAX))?;
        u32::try_from(n).ok().filter(|n| *n > 0)
    };
    CallLimits { at_once: limit("maxCalls"), per_minute: limit("maxCallsPerMinute") }
}

fn domain(spec: &Fields<'_>, edition: Edition) -> Domain {
    let authenticate = spec.choice("authenticate", &AUTHENTICATE).unwrap_or(Authenticate::Register);
    // Routr v1 authenticates no calls, those between domains neither.
    let inter_domain = spec.choice("interDomain", &INTER_DOMAIN).unwrap_or(InterDomain::Open);
    let mut read = Domain {
        uri: String::new(),
        egress: None,
        acl: None,
        authenticate,
        inter_domain,
        limits: limits(spec),
    };
    match spec.map("context") {
        Some(context) => {
            read.uri = required(&context, "domainUri").to_ascii_lowercase();
            read.egress = context.map("egressPolicy").and_then(|policy| {
                let found = egress(&policy);
                policy.finish_open();
                found
            });
            if let Some(lists) = context.map("accessControlList") {
                read.acl = acl::read(&lists, Ref::from(""), edition);
                lists.finish_open();
            }
            context.finish_open();
        }
        None if spec.node("context").is_none() => {
            spec.error("context", "the context with a domainUri is required", None);
        }
        None => {}
    }
    read
}

/// The number that calls out, and whom it calls. Routr matches the whole user of the URI.
fn egress(policy: &Fields<'_>) -> Option<(Rule, String)> {
    let rule = required(policy, "rule");
    let (early, late) = (filled(policy, "didRef"), filled(policy, "numberRef"));
    let number = early.or(late);
    if number.is_none() {
        policy.error("numberRef", "the numberRef (didRef in early releases) is required", None);
    }
    if rule.is_empty() {
        return None;
    }
    let whole = if rule == ".*" { rule.clone() } else { format!("^(?:{rule})$") };
    match Rule::new(whole) {
        Ok(rule) => Some((rule, number?)),
        Err(error) => {
            let help = error.to_string().lines().last().map(str::to_owned);
            policy.error("rule", format!("`{rule}` is not a regular expression that can be used"), help);
            None
        }
    }
}

fn gateway(spec: &Fields<'_>, edition: Edition) -> Gateway {
    // Guides of the first release have it one level down.
    let inner = spec.map("regService");
    let of = inner.as_ref().unwrap_or(spec);
    let login = login(of, false);
    let written = required(of, "host").to_ascii_lowercase();
    let at = TrunkUri::of_host(&written);
    let port = of.integer("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).or(at.port);
    let transport = of.choice("transport", &TRANSPORT);
    let registries = of.texts("registries").unwrap_or_default();
    let registries: Vec<TrunkUri> = registries
        .iter()
        .map(|(host, _)| TrunkUri { transport, ..TrunkUri::of_host(host) })
        .filter(|uri| (&uri.host, uri.port.or(port)) != (&at.host, port))
        .collect();
    let asked = of.integer("expires", 0..=i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok());
    let usual = match edition {
        Edition::Rc2 => Some(3600),
        Edition::Late => None,
    };
    let asks = of.boolean("sendRegister");
    let registers = login.is_some()
        && match edition {
            Edition::Rc2 => asks.unwrap_or(true) || !registries.is_empty(),
            Edition::Late => asks.unwrap_or(!registries.is_empty()),
        };
    let gateway = Gateway {
        host: at.host,
        port,
        transport,
        login,
        registers,
        expires: asked.filter(|n| *n > 0).map(|n| n.clamp(*EXPIRES.start(), *EXPIRES.end())).or(usual),
        registries,
        shown_as: of.choice("from", &SHOWN_AS).unwrap_or_default(),
        asserts_identity: of.boolean("assertIdentity").unwrap_or(true),
        limits: limits(of),
    };
    if let Some(inner) = inner {
        inner.finish_open();
    }
    gateway
}

/// The seconds that we register for: nothing shorter than a minute holds anywhere.
pub(super) const EXPIRES: std::ops::RangeInclusive<u32> = 60..=86_400;

fn number(spec: &Fields<'_>, metadata: Option<&Fields<'_>>) -> Spec {
    let mut geo = GeoInfo::default();
    let mut gateway = String::new();
    match metadata {
        Some(metadata) => {
            gateway = required(metadata, "gwRef");
            if let Some(info) = metadata.map("geoInfo") {
                geo.city = filled(&info, "city");
                geo.country = filled(&info, "country");
                geo.country_iso_code = filled(&info, "countryISOCode");
                info.finish_open();
            }
        }
        None => spec.error("metadata", "the metadata with a gwRef is required", None),
    }
    let (mut tel_url, mut aor_link) = (String::new(), String::new());
    match spec.map("location") {
        Some(location) => {
            tel_url = required(&location, "telUrl");
            aor_link = required(&location, "aorLink");
            location.finish_open();
        }
        None if spec.node("location").is_none() => {
            spec.error("location", "the location with telUrl and aorLink is required", None);
        }
        None => {}
    }
    Spec::Number { tel_url, aor_link, gateway, geo }
}

/// ` (did you mean …?)`, or nothing.
pub(super) fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}
