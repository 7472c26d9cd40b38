//! Blind transfers: one client calls another and sends it to a third one.

use super::house::House;

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
