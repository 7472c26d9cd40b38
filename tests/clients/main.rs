//! Clients that people use call each other through the exchange, each behind a NAT, over every transport that they know: baresip,
//! Linphone, JsSIP in Chromium, SIPp and Asterisk.
//!
//! `README.md` here says what each can do. `TESTED_CLIENTS` names those that take part, e.g. `baresip udp,Asterisk tls`; all do
//! where it is not set.

mod browser;
mod house;
mod linphone;
mod matrix;
mod pbx;
mod phone;
mod returns;
mod script;
mod softphone;
mod transfers;

use house::House;
use phone::Way;

#[test]
fn every_client_calls_every_other_over_every_transport() {
    let mut house = House::open(|_, _| true);
    matrix::play(&mut house);
}

/// The way is cut in the middle of a call: the client goes on by another one.
#[test]
fn clients_come_back_on_another_connection() {
    let mut house = House::open(|program, way| program != "SIPp" && way != Way::Udp);
    returns::play(&mut house);
}

#[test]
fn clients_come_back_from_another_port_of_their_nat() {
    for (program, other) in [("baresip", "Linphone"), ("Linphone", "baresip"), ("Asterisk", "Linphone")] {
        let mut house = House::open(|name, way| way == Way::Udp && [program, other].contains(&name));
        returns::play_one(&mut house, program);
    }
}

#[test]
fn clients_transfer_calls() {
    let mut house = House::of_one_shard(|program, _| program != "SIPp");
    transfers::play(&mut house);
}

#[test]
fn clients_transfer_calls_after_a_consultation() {
    let mut house = House::of_one_shard(|program, _| !["SIPp", "baresip"].contains(&program));
    transfers::play_attended(&mut house);
}
