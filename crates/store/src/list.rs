//! Lists with a filter and pages.

use trunkline_model::{Kind, Order, Ref, Resource, Tables};

/// The parameters of a list.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which kind.
    pub kind: Kind,
    /// Only those with this text, in any case, in their ref, name or user name, number, host.
    pub filter: Option<String>,
    /// Only those behind this one, for the next page.
    pub after: Option<Ref>,
    /// How many at most.
    pub limit: usize,
    /// In which order.
    pub order: Order,
}

impl Query {
    /// All of a kind.
    pub fn all(kind: Kind) -> Query {
        Query { kind, filter: None, after: None, limit: usize::MAX, order: Order::Reference }
    }
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The resources.
    pub items: Vec<Resource>,
    /// How many there are on all pages.
    pub total: usize,
    /// The `after` of the next page; `None` on the last.
    pub next: Option<Ref>,
}

/// Lists resources.
pub fn list(tables: &Tables, query: &Query) -> Page {
    let filter = query.filter.as_ref().map(|text| text.to_lowercase());
    let fits = |resource: &&Resource| filter.as_ref().is_none_or(|filter| matches(resource, filter));
    let all = tables.sorted(query.kind, query.order);
    let total = if filter.is_some() { all.iter().filter(fits).count() } else { all.len() };
    let begin = match &query.after {
        None => 0,
        Some(after) => match tables.get(query.kind, after) {
            Some(cursor) => all.partition_point(|r| query.order.compare(r, &cursor).is_le()),
            // A cursor that is gone ends the list: going on from the start would never end.
            None => all.len(),
        },
    };
    let mut rest = all.get(begin..).unwrap_or_default().iter().filter(fits);
    let items: Vec<Resource> = rest.by_ref().take(query.limit).cloned().collect();
    let next = rest.next().and_then(|_| items.last()).map(|last| last.reference().clone());
    Page { items, total, next }
}

fn matches(resource: &Resource, filter: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(filter);
    let own = match resource {
        Resource::AccessControlList(_) => false,
        Resource::Credentials(r) => holds(&r.username),
        Resource::Trunk(r) => {
            r.inbound_uri.as_deref().is_some_and(holds) || r.uris.iter().any(|uri| holds(&uri.host))
        }
        Resource::Number(r) => holds(&r.tel_url),
        Resource::Domain(r) => holds(&r.domain_uri),
        Resource::Agent(r) => holds(&r.username),
        Resource::Peer(r) => holds(&r.username) || r.aor.as_deref().is_some_and(holds),
        Resource::User(r) => holds(&r.username),
    };
    own || holds(resource.reference()) || holds(resource.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_model::Agent;

    #[test]
    fn pages_and_filters() {
        let mut tables = Tables::default();
        for n in 0..10 {
            let mut agent = Agent::new(format!("agent-{n}"), format!("10{n:02}"), None);
            agent.created_at = 100 - i64::from(n);
            tables.put(agent);
        }
        let mut query = Query { limit: 4, ..Query::all(Kind::Agent) };
        let mut seen = Vec::new();
        loop {
            let page = list(&tables, &query);
            assert_eq!(page.total, 10);
            seen.extend(page.items.iter().map(|r| r.reference().to_string()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.is_sorted());
        let filter = Some("1007".to_owned());
        assert_eq!(list(&tables, &Query { filter, ..Query::all(Kind::Agent) }).items.len(), 1);
        let newest = list(&tables, &Query { order: Order::Newest, limit: 1, ..Query::all(Kind::Agent) });
        assert_eq!(&**newest.items[0].reference(), "agent-0");
        let after = Some(Ref::new("gone"));
        assert!(list(&tables, &Query { after, ..Query::all(Kind::Agent) }).items.is_empty());
    }
}
