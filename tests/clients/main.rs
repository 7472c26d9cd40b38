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
mod script;
mod softphone;

use house::House;

#[test]
fn every_client_calls_every_other_over_every_transport() {
    let mut house = House::open();
    matrix::play(&mut house);
}
