//! Calls as the edge tells of them.

use trunkline_sip::Message;

use crate::inbound::Inbound;
use crate::shared::Shared;

#[derive(Default)]
pub struct Calls;
impl Calls {
    pub fn sessions(&self, _id: u64) -> u32 {
        0
    }
    pub fn sweep(&self, _now: u64, _n: usize) {}
}

impl Shared {
    pub(crate) fn call_answered(&self, _m: &Message<'_>, _binding: u64) {}
    pub(crate) fn call_failed(&self, _m: &Message<'_>, _code: u16) {}
    pub(crate) fn call_ended(&self, _inbound: &Inbound<'_>, _cause: &'static str) {}
}
