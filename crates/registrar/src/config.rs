//! What the operator sets.

use trunkline_sip::Transport;

/// The registrar's bounds, RFC 3261 §10.3.
#[derive(Clone, Copy, Debug)]
pub struct RegistrarConfig {
    /// Shorter registrations get 423, in seconds.
    pub min_expires: u32,
    /// Longer ones are shortened, in seconds.
    pub max_expires: u32,
    /// Registrations over UDP from behind a NAT are shortened to this, so that refreshes keep its mapping open; in seconds, 0:
    /// they are not.
    pub nat_expires: u32,
    /// For a contact that says nothing, in seconds.
    pub default_expires: u32,
    /// Contacts of an AOR whose resource sets nothing.
    pub max_contacts: u32,
    /// Does one more take the place of the oldest, instead of being refused?
    pub replaces_oldest: bool,
    /// How often phones on streams are asked to show that they are there, in seconds; 0 for no word of it.
    pub flow_timer: u32,
    /// Name ourselves in Service-Route (RFC 3608).
    pub service_route: bool,
    /// Once the database has taken nothing for so many milliseconds, what would add a binding is 503; 0: never.
    pub store_patience: u32,
    /// Which phones are reached where their REGISTER came from, whatever their Contact says.
    pub by_source: BySource,
}

/// Phones that are reached where their REGISTER came from. One that asks for `rport` in its Via takes requests there
/// (RFC 3581 §4), as does one on a connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BySource {
    /// Those that a NAT was seen before, or that nobody can connect to.
    #[default]
    Detected,
    /// Besides, those on UDP.
    Udp,
    /// All of them.
    All,
}

impl BySource {
    /// Does it name phones on this transport?
    pub fn covers(self, transport: Transport) -> bool {
        match self {
            BySource::Detected => false,
            BySource::Udp => transport == Transport::Udp,
            BySource::All => true,
        }
    }
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        RegistrarConfig {
            min_expires: 60,
            max_expires: 7200,
            nat_expires: 60,
            default_expires: 3600,
            max_contacts: 10,
            replaces_oldest: false,
            flow_timer: 120,
            service_route: true,
            store_patience: 2000,
            by_source: BySource::Detected,
        }
    }
}
