//! Warnings about valid values that have no effect or allow more than may be intended.

mod domains;
mod listeners;
mod premium;
mod rules;

use std::collections::HashSet;

use domains::Domains;
pub use domains::{Asked, Unproven, may_be_device};
use ipnet::IpNet;
use trunkline_sip::Uri;

use crate::document::nearest;
use crate::reference::Ref;
use crate::resource::{Agent, Authenticate, Credentials, Kind, Number, Peer, Resource, Trunk};
use crate::tables::Tables;

/// Shorter passwords are found by trying, from one digest that was overheard.
pub const SHORT_PASSWORD: usize = 8;

/// So many trunks are named in one warning.
const MOST_NAMES: usize = 5;

/// What warnings of calls that others make and the operator pays contain: they come first.
const EXPENSE: &str = "at your expense";

/// The parameters of telephone numbers that carriers read (RFC 3966, 4694, 4904, and what is in use beside them).
const TELEPHONY: [&str; 24] = [
    "npdi",
    "rn",
    "rn-context",
    "cic",
    "cic-context",
    "enumdi",
    "isub",
    "isub-encoding",
    "ext",
    "postd",
    "phone-context",
    "tgrp",
    "trunk-context",
    "dtg",
    "otg",
    "cpc",
    "oli",
    "isup-oli",
    "noa",
    "npi",
    "sgrp",
    "carrier",
    "dai",
    // Not of a number: what a body holds (RFC 3204).
    "isup",
];

impl Tables {
    /// Warnings about all resources, one line each, where only the domains say who authenticates.
    pub fn cautions(&self) -> Vec<String> {
        self.cautions_where(Asked::Domain)
    }

    /// The same where the configuration asks these callers, whatever their domains say.
    pub fn cautions_where(&self, asked: Asked) -> Vec<String> {
        let carriers: HashSet<&Ref> = self.trunks().filter_map(|t| t.outbound_credentials.as_ref()).collect();
        let mut out = Vec::new();
        self.trunks().for_each(|t| self.of_trunk(t, &mut out));
        self.numbers().for_each(|n| self.of_number(n, &mut out));
        let mut domains = Domains::of(self, asked);
        self.domains().for_each(|d| domains.say(d, &mut out));
        self.agents().for_each(|a| self.of_agent(a, &mut out));
        self.peers().for_each(|p| self.of_peer(p, &mut out));
        let own = self.all_credentials().filter(|c| !carriers.contains(&c.reference));
        own.for_each(|c| of_credentials(c, &mut out));
        in_order(out)
    }

    /// Warns of trunks whose carriers' challenges reach the phones of callers, if the configuration lets them pass: those that have
    /// destinations and no credentials to answer with.
    pub fn passed_challenges(&self) -> Option<String> {
        let asked = |t: &&std::sync::Arc<Trunk>| {
            t.outbound_credentials.is_none() && t.uris.iter().any(|uri| uri.enabled)
        };
        let mut names: Vec<&str> = self.trunks().filter(asked).map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        let more = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        let (first, more) =
            (names.first()?, if more > 0 { format!(" and {more} more") } else { String::new() });
        let trunks = if names.len() > 1 {
            format!("trunks {}{more}", names.join(", "))
        } else {
            format!("trunk {first}")
        };
        Some(format!(
            "{trunks}: without outbound.credentialsRef a challenge (401, 407) of the carrier goes on to the caller's phone, which may \
             answer it with a hash of its password; give the trunk credentials, or set `routing.passChallenges: none`"
        ))
    }

    /// Warnings about this resource, one line each.
    pub fn cautions_of(&self, resource: &Resource) -> Vec<String> {
        let mut out = Vec::new();
        match resource {
            Resource::Trunk(t) => self.of_trunk(t, &mut out),
            Resource::Number(n) => self.of_number(n, &mut out),
            Resource::Domain(d) => Domains::of(self, Asked::Domain).say(d, &mut out),
            Resource::Agent(a) => self.of_agent(a, &mut out),
            Resource::Peer(p) => self.of_peer(p, &mut out),
            Resource::Credentials(c) => {
                // What a carrier gave us is not ours to choose.
                if !self.trunks().any(|t| t.outbound_credentials.as_ref() == Some(&c.reference)) {
                    of_credentials(c, &mut out);
                }
            }
            // A list opens what refers to it.
            Resource::AccessControlList(list) => {
                let refers = |acl: &Option<Ref>| acl.as_ref() == Some(&list.reference);
                self.trunks().filter(|t| refers(&t.acl)).for_each(|t| self.of_trunk(t, &mut out));
                self.peers().filter(|p| refers(&p.acl)).for_each(|p| self.of_peer(p, &mut out));
                let mut domains = Domains::of(self, Asked::Domain);
                self.domains().filter(|d| refers(&d.acl)).for_each(|d| domains.say(d, &mut out));
            }
            Resource::User(_) => {}
        }
        in_order(out)
    }

    fn of_trunk(&self, t: &Trunk, out: &mut Vec<String>) {
        let mut say = |text: String| out.push(format!("trunk {}: {text}", t.name));
        match (&t.inbound_uri, &t.inbound_credentials, &t.acl) {
            (Some(host), None, None) => say(format!(
                "anyone may call its numbers by {host}; give it --acl (inbound.accessControlListRef)"
            )),
            (Some(host), None, Some(acl)) if self.lets_everybody_pass(acl) => say(format!(
                "anyone may call its numbers by {host}, since {acl} allows every address; name the carrier's networks there"
            )),
            (_, _, Some(acl)) => {
                if let Some(net) = self.too_wide(acl) {
                    say(format!(
                        "its access list {acl} is very wide: whoever sends from {net} is taken for the carrier; name the \
                         carrier's own networks there"
                    ));
                }
            }
            (_, _, None) => {}
        }
        if let Some(domain) = t.inbound_uri.as_ref().and_then(|host| self.domain_by_uri(host.as_bytes())) {
            say(format!(
                "its inbound.uri {} is a domain of ours too, so that its calls are taken for calls of that domain; give \
                 the carrier another host name",
                domain.domain_uri
            ));
        }
        if !t.allowed_parameters.is_empty() {
            say(format!(
                "outbound.allowedParameters: callers tell the carrier {}, which choose the route of a call and can choose \
                 its price",
                t.allowed_parameters.join(", ")
            ));
        }
        for name in t.allowed_parameters.iter().filter(|name| !TELEPHONY.contains(&name.as_str())) {
            let meant = match nearest(name, TELEPHONY) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", TELEPHONY.join(", ")),
            };
            say(format!(
                "outbound.allowedParameters: `{name}` is not a parameter of telephone numbers; {meant}"
            ));
        }
        if !t.send_register && !t.registries.is_empty() {
            say("outbound.registries has no effect without outbound.sendRegister".into());
        }
    }

    /// Does this list allow any IPv4 or IPv6 address that it does not deny by name?
    fn lets_everybody_pass(&self, acl: &Ref) -> bool {
        self.acl_by_ref(acl).is_some_and(|acl| acl.allows_everybody())
    }

    /// A network of this list that hardly belongs to one party.
    fn too_wide(&self, acl: &Ref) -> Option<IpNet> {
        self.acl_by_ref(acl).and_then(|acl| acl.too_wide())
    }

    fn of_number(&self, n: &Number, out: &mut Vec<String>) {
        if let Some(link) = n.aor_link.as_deref().filter(|link| !self.leads_to_somebody(link)) {
            out.push(format!(
                "number {}: location.aorLink (--to) {link} is not an agent or peer, so its calls get 480",
                n.digits()
            ));
        }
    }

    /// Is this the AOR of an agent or peer of ours, as the router looks for it?
    fn leads_to_somebody(&self, aor: &str) -> bool {
        if self.peer_by_aor(aor.as_bytes()).is_some() {
            return true;
        }
        let Ok(uri) = Uri::parse(aor.as_bytes()) else { return false };
        let (Some(domain), Some(user)) = (self.domain_by_uri(uri.host), uri.user) else { return false };
        self.agent(Some(&domain.reference), user).is_some() || self.peer_by_username(user).is_some()
    }

    fn of_agent(&self, a: &Agent, out: &mut Vec<String>) {
        let domain = a.domain.as_ref().and_then(|domain| self.domain_by_ref(domain));
        let host = domain.map(|d| format!("@{}", d.domain_uri)).unwrap_or_default();
        let mut say = |text: String| out.push(format!("agent {}{host}: {text}", a.username));
        for (key, to) in [("busy", &a.fallback_busy), ("noAnswer", &a.fallback_no_answer)] {
            if let Some(to) = to.as_deref().filter(|to| !self.leads_to_somebody(to)) {
                say(format!("fallback.{key} {to} is not an agent or peer, so it has no effect"));
            }
        }
        let asked = domain.is_some_and(|d| d.authenticate != Authenticate::Never);
        if a.credentials.is_none() && asked {
            say("it has no credentials, so it cannot register".into());
        }
    }

    fn of_peer(&self, p: &Peer, out: &mut Vec<String>) {
        let mut say = |text: String| out.push(format!("peer {}: {text}", p.username));
        match (&p.acl, &p.credentials) {
            (None, None) => {
                say("it has neither credentials nor an access list, so it cannot call or register".into())
            }
            (Some(acl), None) if self.acl_by_ref(acl).is_some_and(|acl| acl.names_nobody()) => say(format!(
                "its access list {acl} names no network, so it proves nothing: it cannot call or register"
            )),
            (Some(acl), credentials) => {
                if let Some(net) = self.too_wide(acl) {
                    let what = match credentials {
                        None => "whoever sends from there is this peer",
                        Some(_) => "no phone is reached at another address there",
                    };
                    say(format!(
                        "its access list {acl} is very wide ({net}): {what}; name the peer's own networks there"
                    ));
                }
            }
            (None, Some(_)) => {}
        }
        let Some(aor) = p.aor.as_deref() else { return };
        let uri = Uri::parse(aor.as_bytes()).ok().filter(|uri| !uri.host.is_empty());
        let Some(host) = uri.filter(|_| !aor.starts_with("backend:")).map(|uri| uri.host) else { return };
        if self.domain_by_uri(host).is_none() {
            out.push(format!(
                "peer {}: {}, the host of its AOR, is not one of our domains: the peer belongs to no domain and must always authenticate",
                p.username,
                String::from_utf8_lossy(host)
            ));
        }
    }
}

fn in_order(mut warnings: Vec<String>) -> Vec<String> {
    warnings.sort_unstable_by(|a, b| {
        let costs = |text: &String| text.contains(EXPENSE);
        costs(b).cmp(&costs(a)).then_with(|| a.cmp(b))
    });
    warnings
}

fn of_credentials(c: &Credentials, out: &mut Vec<String>) {
    let length = c.password.chars().count();
    let why = match c.password == c.username {
        true => "its password is its user name".to_owned(),
        false if length < SHORT_PASSWORD => format!("its password has {length} characters"),
        false => return,
    };
    let (kind, name) = (Kind::Credentials.plural(), &c.reference);
    out.push(format!("{kind} {name}: {why}, which can be guessed soon; use --generate-password"));
}

#[cfg(test)]
mod tests;
