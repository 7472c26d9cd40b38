//! A peer without an AOR, called by the address it registered from.
//!
//! Such a peer registers under any domain, and its binding is kept there. Others may know it by its address alone, as in
//! Routr v1, where a peer without `device` has the AOR `sip:USER@ADDRESS`.

use std::net::{IpAddr, SocketAddr};

use trunkline_model::Peer;
use trunkline_sip::{Scheme, Uri, parse_ip};

use crate::ask::{Ask, BindingsQuestion};
use crate::call::Call;
use crate::rules::{Rules, Stop};
use crate::target::Binding;

/// Is the contact reached at the address in this URI? Without a port the address alone counts.
pub(crate) fn is_at(binding: &Binding<'_>, address: &Uri<'_>) -> bool {
    let ip = parse_ip(address.host).map(|ip| ip.to_canonical());
    let of_source = |source: SocketAddr| {
        ip == Some(source.ip().to_canonical()) && address.port.is_none_or(|port| port == source.port())
    };
    let of_contact = |contact: Uri<'_>| {
        let host = match ip {
            Some(ip) => parse_ip(contact.host).is_some_and(|host| host.to_canonical() == ip),
            None => contact.host.eq_ignore_ascii_case(address.host),
        };
        host && address.port.is_none_or(|port| port == contact.port.unwrap_or(5060))
    };
    binding.flow.map(|flow| flow.remote).or(binding.named_from).is_some_and(of_source)
        || Uri::parse(binding.uri).is_ok_and(of_contact)
}

/// Is the host this address?
pub(crate) fn is_address(uri: &Uri<'_>, source: IpAddr) -> bool {
    parse_ip(uri.host).is_some_and(|host| host.to_canonical() == source.to_canonical())
}

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// The peer that registered at the address in this URI, under its own user name, in the caller's domain or in the one
    /// that our addresses stand for. With it, the call knows the address and that domain.
    pub(crate) fn find_by_address(
        &mut self,
        uri: Uri<'x>,
        call: &mut Call<'s, 'x>,
    ) -> Result<Option<&'s Peer>, Stop> {
        let user = uri.user_decoded().unwrap_or_default();
        if user.is_empty() || !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Ok(None);
        }
        let Some(peer) = self.peer(&user)?.filter(|peer| peer.aor.is_none()) else { return Ok(None) };
        let default = self.domain(self.request.options.default_domain.as_bytes())?;
        for domain in [call.home, call.target_domain, default].into_iter().flatten() {
            self.decision.set_aor(peer.username.as_bytes(), &domain.domain_uri);
            let question = BindingsQuestion {
                aor: &self.decision.aor,
                call_id: self.request.message.call_id(),
                backend: None,
                affinity: None,
                gruu: None,
            };
            let mut found = false;
            self.ask.bindings(&question, &mut |binding| found |= is_at(&binding, &uri))?;
            if found {
                (call.target_domain, call.address) = (Some(domain), Some(uri));
                return Ok(Some(peer));
            }
        }
        self.decision.aor.clear();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_contacts_and_of_sources() {
        let from: SocketAddr = "192.0.2.7:40000".parse().unwrap();
        for (contact, address, is) in [
            ("sip:ast@192.168.1.2:6060", "sip:ast@192.168.1.2:6060", true),
            ("sip:ast@192.168.1.2:6060", "sip:ast@192.168.1.2", true),
            ("sip:ast@192.168.1.2:6060", "sip:ast@192.168.1.2:5060", false),
            ("sip:ast@192.168.1.2", "sip:ast@192.168.1.2:5060", true),
            ("sip:ast@192.168.1.2", "sip:ast@192.0.2.7", true),
            ("sip:ast@192.168.1.2", "sip:ast@192.0.2.7:40000", true),
            ("sip:ast@192.168.1.2", "sip:ast@192.0.2.7:40001", false),
            ("sip:ast@pbx.example", "sip:ast@PBX.example", true),
            ("sip:ast@pbx.example", "sip:ast@other.example", false),
            ("sip:ast@[2001:db8:0::1]", "sip:ast@[2001:db8::1]", true),
            ("nonsense", "sip:ast@192.168.1.2", false),
        ] {
            let binding = Binding { named_from: Some(from), ..Binding::new(contact.as_bytes(), 1) };
            let address = Uri::parse(address.as_bytes()).unwrap();
            assert_eq!(is_at(&binding, &address), is, "{contact} {address:?}");
        }
    }
}
