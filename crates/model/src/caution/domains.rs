//! What domains let others do: who need not authenticate, and which egress rules let out more than they seem to.

use std::collections::HashSet;
use std::sync::Arc;

use super::rules::Judged;
use super::{EXPENSE, MOST_NAMES};
use crate::dialect::v1::DEVICE;
use crate::reference::Ref;
use crate::resource::{Authenticate, Domain, InterDomain};
use crate::tables::Tables;

/// Which callers the configuration asks who they are, whatever their domains say (`routing.authenticate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those that their domain asks.
    Domain,
    /// Those, and all that call out through a trunk.
    Egress,
    /// All.
    All,
}

/// What an agent of a domain need not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// Calling out through a trunk, but over a connection of its own.
    pub egress: bool,
    /// Calling within the exchange.
    pub calls: bool,
    /// Registering.
    pub registers: bool,
}

impl Asked {
    /// What agents of this domain need not prove; `None` where they prove everything.
    pub fn unproven(self, domain: &Domain) -> Option<Unproven> {
        let (egress, calls, registers) = match domain.authenticate {
            Authenticate::All => (false, false, false),
            Authenticate::Egress => (false, true, false),
            Authenticate::Register => (true, true, false),
            Authenticate::Never => (true, true, true),
        };
        let unproven = match self {
            Asked::Domain => Unproven { egress, calls, registers },
            Asked::Egress => Unproven { egress: false, calls, registers },
            Asked::All => Unproven { egress: false, calls: false, registers },
        };
        (unproven.calls || unproven.registers).then_some(unproven)
    }
}

impl Unproven {
    /// What anyone does who writes an agent's name into From, of which the calls through these trunks cost.
    pub fn means(self, trunks: Option<&str>) -> String {
        let mut does = Vec::new();
        if let Some(trunks) = trunks.filter(|_| self.egress) {
            does.push(format!("calls out through {trunks} {EXPENSE}"));
        }
        if self.calls {
            does.push(
                if self.egress { "calls as that agent" } else { "calls the other agents as that agent" }
                    .into(),
            );
        }
        if self.registers {
            does.push("gets its calls by a REGISTER".into());
        }
        let last = does.pop().unwrap_or_default();
        match does.is_empty() {
            true => last,
            false => format!("{}, and {last}", does.join(", ")),
        }
    }
}

/// Judges domains, one after the other.
pub(super) struct Domains<'t> {
    tables: &'t Tables,
    asked: Asked,
    rules: Judged,
    /// The domains that have agents, once somebody asks.
    peopled: Option<HashSet<&'t Ref>>,
}

impl<'t> Domains<'t> {
    pub(super) fn of(tables: &'t Tables, asked: Asked) -> Domains<'t> {
        Domains { tables, asked, rules: Judged::default(), peopled: None }
    }

    pub(super) fn say(&mut self, d: &Domain, out: &mut Vec<String>) {
        let tables = self.tables;
        let mut say = |text: String| out.push(format!("domain {}: {text}", d.domain_uri));
        let list = match &d.acl {
            None => "; restrict the senders by accessControlListRef",
            Some(acl) if tables.lets_everybody_pass(acl) => "; its access list allows every address",
            Some(_) => "",
        };
        let is_of_somebody = !may_be_device(d) || self.peopled().contains(&d.reference);
        if let Some(unproven) = self.asked.unproven(d).filter(|_| is_of_somebody) {
            let (word, means) = (d.authenticate.as_str(), unproven.means(tables.ways_out(d).as_deref()));
            say(format!("authenticate: {word}: anyone who writes an agent's name into From {means}{list}"));
        }
        if let Some(others) = self.unasked_by(d) {
            say(format!(
                "interDomain: open: callers from {others} need not authenticate there, and so not here"
            ));
        }
        for policy in &d.egress_policies {
            for open in self.rules.open(&policy.rule) {
                say(format!("the egress rule `{}` {open}", policy.rule.text()));
            }
            let trunk = tables.number_by_ref(&policy.number).and_then(|n| n.trunk.as_ref());
            let trunk = trunk.and_then(|trunk| tables.trunk_by_ref(trunk));
            let why = match trunk {
                None => "has no trunk".to_owned(),
                Some(t) if !t.uris.iter().any(|uri| uri.enabled) => {
                    format!("is at trunk {}, which has no destination (outbound.uris)", t.name)
                }
                Some(_) => continue,
            };
            say(format!("the egress policy `{}` has no effect: {} {why}", policy.rule.text(), policy.number));
        }
    }

    fn peopled(&mut self) -> &HashSet<&'t Ref> {
        let tables = self.tables;
        self.peopled.get_or_insert_with(|| tables.peopled())
    }

    /// The domains whose agents reach this one without a proof, a few of them by name. One without agents has neither callers nor
    /// phones.
    fn unasked_by(&mut self, d: &Domain) -> Option<String> {
        if d.inter_domain != InterDomain::Open {
            return None;
        }
        let (tables, asked) = (self.tables, self.asked);
        let peopled = self.peopled();
        if !peopled.contains(&d.reference) {
            return None;
        }
        let asks_nothing = |o: &&Arc<Domain>| {
            o.reference != d.reference
                && asked.unproven(o).is_some_and(|unproven| unproven.calls)
                && peopled.contains(&o.reference)
        };
        let mut names: Vec<&str> =
            tables.domains().filter(asks_nothing).map(|o| o.domain_uri.as_str()).collect();
        names.sort_unstable();
        let more = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
    }
}

/// May the domain be made of the name of a Routr v1 peer's device? There is no agent then whom somebody could name in From.
pub fn may_be_device(domain: &Domain) -> bool {
    domain.reference.as_str().ends_with(DEVICE)
}

impl Tables {
    /// The domains that have agents, by their refs.
    pub fn peopled(&self) -> HashSet<&Ref> {
        self.agents().filter_map(|agent| agent.domain.as_ref()).collect()
    }

    /// The names of the trunks by which the agents of this domain call out, a few of them; `None` where there is no way out.
    pub fn ways_out(&self, d: &Domain) -> Option<String> {
        let numbers = d.egress_policies.iter().filter_map(|policy| self.number_by_ref(&policy.number));
        let trunks = numbers.filter_map(|n| self.trunk_by_ref(n.trunk.as_ref()?));
        let mut names: Vec<&str> =
            trunks.filter(|t| t.uris.iter().any(|uri| uri.enabled)).map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(MOST_NAMES);
        (!names.is_empty()).then(|| names.join(", "))
    }
}
