//! Which domain a number belongs to.

use std::sync::Arc;

use trunkline_sip::Uri;

use crate::reference::Ref;
use crate::resource::{Domain, Number};
use crate::tables::{Tables, exact};

/// The domains whose egress policies name a number.
#[derive(Clone, Debug)]
pub(crate) struct NumberUsers {
    number: Ref,
    domains: Vec<Ref>,
}

fn key(number: &Ref) -> u64 {
    exact([number.as_bytes(), b""])
}

impl Tables {
    /// May calls of this domain leave by the number?
    ///
    /// A number belongs to the domains whose egress policies name it and to the one its AOR link lies in. One that
    /// belongs to none is at everybody's service.
    pub fn number_serves(&self, number: &Number, domain: &Ref) -> bool {
        let named = self.number_users.get(key(&number.reference), |u| u.number == number.reference);
        let link = number.aor_link.as_deref().and_then(|aor| Uri::parse(aor.as_bytes()).ok());
        let linked = link.and_then(|uri| self.domain_by_uri(uri.host)).map(|d| &d.reference);
        named.is_some_and(|u| u.domains.contains(domain))
            || linked == Some(domain)
            || named.is_none() && linked.is_none()
    }

    /// Notes the numbers a domain's policies name.
    pub(crate) fn enter_numbers(&mut self, domain: &Domain) {
        for policy in &domain.egress_policies {
            let is = |u: &NumberUsers| u.number == policy.number;
            let known = self.number_users.get(key(&policy.number), is);
            let mut domains = known.map(|u| u.domains.clone()).unwrap_or_default();
            if !domains.contains(&domain.reference) {
                domains.push(domain.reference.clone());
                let users = NumberUsers { number: policy.number.clone(), domains };
                self.number_users.put(key(&policy.number), is, Arc::new(users));
            }
        }
    }

    /// Takes them back.
    pub(crate) fn forget_numbers(&mut self, domain: &Domain) {
        for policy in &domain.egress_policies {
            let is = |u: &NumberUsers| u.number == policy.number;
            let Some(users) = self.number_users.remove(key(&policy.number), is) else { continue };
            let mut users = NumberUsers::clone(&users);
            users.domains.retain(|d| *d != domain.reference);
            if !users.domains.is_empty() {
                self.number_users.put(key(&policy.number), is, Arc::new(users));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{EgressPolicy, Kind, Rule};

    #[test]
    fn a_number_belongs_to_those_who_name_it_and_to_where_it_leads() {
        let mut tables = Tables::default();
        let number = |reference: &str, link: Option<&str>| {
            let mut number = Number::new(reference, "tel:+1", None);
            number.aor_link = link.map(str::to_owned);
            number
        };
        for (reference, host, named) in
            [("a", "a.example", "n1"), ("b", "b.example", "n1"), ("c", "c.example", "n2")]
        {
            let mut domain = Domain::new(reference, host);
            let policy = EgressPolicy { rule: Rule::new(".*").expect("a rule"), number: Ref::new(named) };
            domain.egress_policies = vec![policy.clone(), policy];
            tables.put(domain);
        }
        let serves = |tables: &Tables, n: &Number| -> String {
            ["a", "b", "c"].into_iter().filter(|d| tables.number_serves(n, &Ref::new(*d))).collect()
        };
        let linked = Some("sip:1001@C.example");
        for (n, want) in [
            (number("n1", None), "ab"),
            (number("n1", linked), "abc"),
            (number("n2", Some("backend:voice")), "c"),
            (number("n3", linked), "c"),
            (number("n3", Some("sip:x@elsewhere.example")), "abc"),
            (number("n3", None), "abc"),
        ] {
            assert_eq!(serves(&tables, &n), want, "{n:?}");
        }
        tables.remove(Kind::Domain, "a");
        assert_eq!(serves(&tables, &number("n1", None)), "b");
        tables.put(Domain::new("b", "b.example"));
        assert_eq!(serves(&tables, &number("n1", None)), "abc");
    }
}
