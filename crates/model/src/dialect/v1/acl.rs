//! Access lists as Routr v1 writes them.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Edition;
use crate::document::Fields;
use crate::reference::Ref;
use crate::resource::AccessControlList;

/// A rule: an address, `address/prefix`, or `address/mask`. A lone address is that one host: that early releases
/// took it for two was a mistake.
pub fn net(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.into());
    }
    let (ip, mask) = text.split_once('/')?;
    let (ip, mask) = (ip.parse::<Ipv4Addr>().ok()?, mask.parse::<Ipv4Addr>().ok()?);
    Ipv4Net::with_netmask(ip, mask).ok().map(IpNet::V4)
}

/// Says what becomes of those whom no rule names: allowed in late editions, denied in early ones. The widest rule
/// there is says it, and gives way to all others.
pub fn with_default(edition: Edition, allow: &mut Vec<IpNet>, deny: &mut Vec<IpNet>) {
    if allow.is_empty() && deny.is_empty() {
        return;
    }
    let everyone = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    for all in everyone {
        let said = allow.iter().chain(deny.iter()).any(|net| net.trunc() == all);
        match edition {
            _ if said => {}
            Edition::Rc2 => deny.push(all),
            Edition::Late => allow.push(all),
        }
    }
}

/// The list of a domain; `None` if there are no rules.
pub(super) fn read(lists: &Fields<'_>, reference: Ref, edition: Edition) -> Option<AccessControlList> {
    let nets = |key| {
        let texts = lists.texts(key).unwrap_or_default();
        let read = texts.into_iter().filter_map(|(text, place)| {
            let found = net(&text);
            if found.is_none() {
                let help = "e.g. 10.0.0.0/8, 192.0.2.7, 192.0.2.0/255.255.255.0".to_owned();
                lists.error_at(place, format!("`{text}` is not an address or network"), Some(help));
            }
            found
        });
        read.collect::<Vec<IpNet>>()
    };
    let (mut allow, mut deny) = (nets("allow"), nets("deny"));
    with_default(edition, &mut allow, &mut deny);
    (!allow.is_empty() || !deny.is_empty()).then(|| AccessControlList::new(reference, allow, deny))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(edition: Edition, allow: &[&str], deny: &[&str]) -> AccessControlList {
        let nets = |list: &[&str]| list.iter().map(|n| net(n).expect(n)).collect::<Vec<_>>();
        let (mut allow, mut deny) = (nets(allow), nets(deny));
        with_default(edition, &mut allow, &mut deny);
        AccessControlList::new("acl", allow, deny)
    }

    fn allows(acl: &AccessControlList, ip: &str) -> bool {
        acl.allows(ip.parse().expect("an address"))
    }

    #[test]
    fn the_lists_of_routrs_own_tests() {
        for (edition, outside) in [(Edition::Rc2, false), (Edition::Late, true)] {
            let acl = list(edition, &["192.168.0.1/28"], &["192.168.0.4"]);
            assert!(allows(&acl, "192.168.0.1") && allows(&acl, "192.168.0.14"));
            assert!(!allows(&acl, "192.168.0.4"));
            assert_eq!(allows(&acl, "192.168.0.16"), outside, "{edition:?}");
            assert_eq!(allows(&acl, "2001:db8::1"), outside, "{edition:?}");
        }
    }

    #[test]
    fn who_is_not_named_in_lists_that_only_deny() {
        assert!(!allows(&list(Edition::Rc2, &[], &["10.0.0.0/8"]), "11.0.0.1"));
        assert!(allows(&list(Edition::Late, &[], &["10.0.0.0/8"]), "11.0.0.1"));
        assert!(!allows(&list(Edition::Late, &["10.0.0.0/8"], &["0.0.0.0/0"]), "11.0.0.1"), "said by a rule");
        assert!(allows(&list(Edition::Rc2, &["0.0.0.0/0"], &["10.0.0.0/8"]), "11.0.0.1"), "said by a rule");
        assert!(allows(&list(Edition::Rc2, &[], &[]), "11.0.0.1"), "no list at all");
    }

    #[test]
    fn the_three_forms_of_a_rule() {
        for (text, is) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("10.0.0.1/28", "10.0.0.1/28"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(net(text), is.parse().ok(), "{text}");
        }
        for bad in ["", "sip.local", "10.0.0.0/255.0.255.0", "10.0.0.0/33", "10.0.0.0/"] {
            assert_eq!(net(bad), None, "{bad}");
        }
    }
}
