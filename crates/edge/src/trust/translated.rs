//! IPv4 addresses that are written as IPv6 ones: a translator on the way makes the former of the latter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use smallvec::SmallVec;
use trunkline_sip::canonical_ip;

/// `64:ff9b::/96` (RFC 6052 §2.1).
const WELL_KNOWN: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// `64:ff9b:1::/48`, of which a network takes a prefix of any length for its own translator (RFC 8215).
const LOCAL_USE: [u8; 6] = [0, 0x64, 0xff, 0x9b, 0, 1];

/// The address in its one form, and the IPv4 addresses that a translator on the way would make of it: 6to4 (RFC 3056 §2)
/// and NAT64 (RFC 6052 §2.1, RFC 8215), and those with a prefix of the network's own.
pub(super) fn forms(ip: IpAddr, own: &[Ipv6Net]) -> SmallVec<[IpAddr; 6]> {
    let ip = canonical_ip(ip);
    let mut all = SmallVec::from_iter([ip]);
    if let IpAddr::V6(v6) = ip {
        let o = v6.octets();
        let mut add = |v4: Option<Ipv4Addr>| all.extend(v4.map(IpAddr::V4));
        if let [0x20, 0x02, a, b, c, d, ..] = o {
            add(Some(Ipv4Addr::new(a, b, c, d)));
        }
        if v6.to_bits() >> 32 == WELL_KNOWN.to_bits() >> 32 {
            add(inside(&o, 96));
        } else if o.starts_with(&LOCAL_USE) {
            // Which length the network has chosen is not known: what would be no host's address is none of it.
            let fits = |v4: &Ipv4Addr, length| v4.octets()[0] != 0 && (length == 96 || v4.octets()[0] < 224);
            [48, 56, 64, 96]
                .into_iter()
                .for_each(|length| add(inside(&o, length).filter(|v4| fits(v4, length))));
        }
        own.iter().filter(|net| net.contains(&v6)).for_each(|net| add(inside(&o, net.prefix_len())));
    }
    all
}

/// The IPv4 address behind a prefix of this length. The eighth octet is not part of it (RFC 6052 §2.2).
fn inside(octets: &[u8; 16], length: u8) -> Option<Ipv4Addr> {
    let start = usize::from(length / 8);
    let mut v4 = octets.iter().enumerate().skip(start).filter(|(place, _)| *place != 8).map(|(_, b)| *b);
    Some(Ipv4Addr::new(v4.next()?, v4.next()?, v4.next()?, v4.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_rfc_6052() {
        // RFC 6052 §2.4, and one address in each prefix of RFC 8215.
        let own: Vec<Ipv6Net> =
            ["2001:db8::/32", "2001:db8:100::/40", "2001:db8:122::/48", "2001:db8:122:300::/56"]
                .into_iter()
                .chain(["2001:db8:122:344::/64", "2001:db8:122:344::/96"])
                .map(|net| net.parse().unwrap())
                .collect();
        for (text, net) in [
            ("2001:db8:c000:221::", 0),
            ("2001:db8:1c0:2:21::", 1),
            ("2001:db8:122:c000:2:2100::", 2),
            ("2001:db8:122:3c0:0:221::", 3),
            ("2001:db8:122:344:c0:2:2100::", 4),
            ("2001:db8:122:344::192.0.2.33", 5),
            ("64:ff9b:1:c000:2:2100::", 5),
            ("64:ff9b:1:c0:0:221::", 5),
            ("64:ff9b:1:0:c0:2:2100:0", 5),
            ("64:ff9b:1::192.0.2.33", 5),
            ("64:ff9b:1:7::192.0.2.33", 5),
            ("64:ff9b::192.0.2.33", 5),
            ("2002:c000:221::1", 5),
        ] {
            let found = forms(text.parse().unwrap(), &own[net..=net]);
            assert!(found.contains(&"192.0.2.33".parse().unwrap()), "{text}: {found:?}");
        }
        assert_eq!(forms("2001:db8:9::1".parse().unwrap(), &own[2..]).len(), 1);
        assert_eq!(forms("64:ff9b:0:1::1".parse().unwrap(), &[]).len(), 1);
    }
}
