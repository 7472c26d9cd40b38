//! Transfers: one client calls another and sends it to a third one, blindly, or after it has talked to that one (REFER with Replaces).

use trunkline_tests::{exchange_command, wait_for};

use super::house::House;
use super::phone::Role;

pub fn play(house: &mut House) {
    let count = house.phones.len();
    let all = (0..count).flat_map(|one| (0..count).map(move |other| (one, other)));
    for (one, other) in all.filter(|(one, other)| one != other) {
        let third = (0..count).map(|n| (one + other + n) % count).find(|n| *n != one && *n != other);
        let third = third.expect("three clients take part");
        if house.phones[other].program() == "Asterisk" {
            continue;
        }
        let [one, other, third] = house.phones.get_disjoint_mut([one, other, third]).expect("three phones");
        println!("{} sends {} to {}", one.name(), other.name(), third.name());
        one.dial(other.user());
        other.answer();
        one.talking();
        other.talking();
        one.transfer(third.user());
        third.answer();
        third.talking();
        one.has_transferred();
        other.transferred();
        third.hang_up();
        other.ended();
    }
}

/// Attended transfers: each client that can connects each one that can be sent with a third one, over each transport. The two that remain
/// talk, hold each other and hang up; the records say who transferred.
pub fn play_attended(house: &mut House) {
    let count = house.phones.len();
    let can = |house: &House, n: usize, role| house.phones[n].can(role);
    let mut played = 0;
    for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
        if one == other || !can(house, one, Role::Connects) || !can(house, other, Role::IsSent) {
            continue;
        }
        let thirds = (0..count).map(|n| (one + other + n) % count);
        let mut thirds = thirds.filter(|n| *n != one && *n != other && can(house, *n, Role::IsReplaced));
        let third = thirds.next().expect("three clients take part");
        let [one, other, third] = house.phones.get_disjoint_mut([one, other, third]).expect("three phones");
        println!("{} connects {} with {}", one.name(), other.name(), third.name());
        one.dial(other.user());
        other.answer();
        one.talking();
        other.talking();
        one.hold();
        other.held();
        one.consult(third.user());
        third.answer();
        one.consulting();
        third.talking();
        one.connect();
        third.replaced();
        one.has_connected();
        other.transferred();
        third.hold();
        other.held();
        third.resume();
        other.resumed();
        third.hang_up();
        other.ended();
        played += 1;
    }
    println!("{played} attended transfers");
    let answered = || {
        let mut command = exchange_command(&house.exchange);
        let output = command.args(["calls", "records", "--json", "--limit", "1000"]).output().ok()?;
        let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
        let ended = |r: &&serde_json::Value| !r["answered"].is_null() && !r["ended"].is_null();
        let records: Vec<_> = records.iter().filter(ended).cloned().collect();
        (records.len() == 3 * played).then_some(records)
    };
    let records = wait_for("the records of three calls for each transfer", answered);
    let with = |key: &str| records.iter().filter(|record| !record[key].is_null()).count();
    assert_eq!((with("transferredBy"), with("replaces")), (played, played), "{records:#?}");
}
