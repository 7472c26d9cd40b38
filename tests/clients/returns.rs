//! Clients whose connection ends, or whose NAT forgets them, while they are in a call.

use std::time::Duration;

use trunkline_tests::wait_for_every;

use super::house::House;
use super::phone::{Phone, Way};

/// Each client is called by one behind the other NAT, loses its way, holds the call and is told its end; then it calls, loses its way, and is
/// held by the other side once it is known by its new connection.
pub fn play(house: &mut House) {
    for n in 0..house.phones.len() {
        let other = house.apart_from(n);
        let name = house.phones[n].name();
        called(house, n, other);
        println!("{name}: goes on by another connection");
        if house.phones[n].registers_anew() {
            calls(house, n, other);
            println!("{name}: is found by another connection");
        }
    }
}

/// The same of the first program, over UDP, where only its own request shows from which port it comes now.
pub fn play_one(house: &mut House, program: &str) {
    let n = house.phones.iter().position(|phone| phone.program() == program).expect("it takes part");
    let other = house.apart_from(n);
    called(house, n, other);
    println!("{}: goes on from another port", house.phones[n].name());
}

/// Both phones.
fn two(house: &mut House, one: usize, other: usize) -> (&mut dyn Phone, &mut dyn Phone) {
    let [one, other] = house.phones.get_disjoint_mut([one, other]).expect("two phones");
    (one.as_mut(), other.as_mut())
}

/// Cuts its way; of clients that register by another one at once, waits for that.
fn cut(house: &mut House, n: usize) {
    let phone = &house.phones[n];
    let (user, registers) = (phone.user().to_owned(), phone.way() != Way::Udp && phone.registers_anew());
    let before = house.seen(&user);
    house.cut(n);
    if registers {
        wait_for_every(Duration::from_millis(50), "it to be registered by another connection", || {
            let now = house.seen(&user);
            (now != before && now.contains(&user)).then_some(())
        });
    }
}

fn called(house: &mut House, n: usize, other: usize) {
    let (phone, caller) = two(house, n, other);
    caller.dial(phone.user());
    phone.answer();
    phone.talking();
    caller.talking();
    cut(house, n);
    let (phone, caller) = two(house, n, other);
    phone.came_back();
    phone.hold();
    caller.held();
    phone.resume();
    caller.resumed();
    caller.hang_up();
    phone.ended();
}

fn calls(house: &mut House, n: usize, other: usize) {
    let (phone, callee) = two(house, n, other);
    phone.dial(callee.user());
    callee.answer();
    phone.talking();
    callee.talking();
    cut(house, n);
    let (phone, callee) = two(house, n, other);
    phone.came_back();
    callee.hold();
    phone.held();
    callee.resume();
    phone.resumed();
    phone.hang_up();
    callee.ended();
}
