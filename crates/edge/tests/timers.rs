//! What time does to calls that nobody ends.

mod common;

use common::{Phones, Shards};
use trunkline_edge::RebalancingConfig;

/// Longer than Timer C, RFC 3261 §16.6.
const RUNG_OUT: u64 = 181_000;

#[test]
fn a_phone_that_rings_and_vanishes_is_forgotten() {
    let shards = Shards::start(1, RebalancingConfig::default(), || 0);
    let mut phones = Phones::new(shards.address);
    phones.refresh();
    let (invite, _) = phones.ring();
    let call = phones.call_id();
    shards.advance(RUNG_OUT);
    Phones::receive_of(&phones.callee, &call, "CANCEL");
    // The caller need not wait for the phone, which says nothing any more.
    let ended = Phones::receive_of(&phones.caller, &call, "SIP/2.0 408");
    phones.acknowledge(&invite, &ended);
    shards.advance_until(120, "nothing is left of it", |s| s.transactions() == 0);
}

#[test]
fn a_cancelled_phone_that_vanishes_is_forgotten() {
    let shards = Shards::start(1, RebalancingConfig::default(), || 0);
    let mut phones = Phones::new(shards.address);
    phones.refresh();
    let (invite, _) = phones.ring();
    let call = phones.call_id();
    phones.send(&invite.replacen("INVITE sip:", "CANCEL sip:", 1).replacen("1 INVITE", "1 CANCEL", 1));
    Phones::receive_of(&phones.callee, &call, "CANCEL");
    shards.advance(33_000);
    let ended = Phones::receive_of(&phones.caller, &call, "SIP/2.0 487");
    phones.acknowledge(&invite, &ended);
    shards.advance_until(120, "nothing is left of it", |s| s.transactions() == 0);
}
