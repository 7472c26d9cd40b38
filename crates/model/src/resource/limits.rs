//! How many calls a party may have.

/// Limits of a trunk, agent, peer or domain. Calls to the operator's emergency numbers count, and are never refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallLimits {
    /// Calls at once, those that ring included; `None`: any number.
    pub at_once: Option<u32>,
    /// New calls in a minute: as many may begin at once, then one each time its share of a minute has passed. `None`: any number.
    pub per_minute: Option<u32>,
}

impl CallLimits {
    /// Is there none?
    pub fn is_none(&self) -> bool {
        *self == CallLimits::default()
    }
}
