//! Numbers that cost the one who calls them much: premium-rate services and satellite networks.
//!
//! From the list of country codes of the ITU (E.164) and the national numbering plans of the countries. It is no complete list:
//! there are such numbers in nearly every country.

use crate::resource::Rule;

/// The digits of an international number, without the plus, and whose they are.
const INTERNATIONAL: [(&str, &str); 69] = [
    ("979", "international premium rate"),
    ("870", "satellite, Inmarsat"),
    ("881", "satellite"),
    ("882", "international networks"),
    ("883", "international networks"),
    ("1900", "North America"),
    ("27862", "South Africa"),
    ("2790", "South Africa"),
    ("30901", "Greece"),
    ("30909", "Greece"),
    ("31900", "Netherlands"),
    ("31906", "Netherlands"),
    ("31909", "Netherlands"),
    ("3290", "Belgium"),
    ("3270", "Belgium"),
    ("3381", "France"),
    ("3382", "France"),
    ("3389", "France"),
    ("34803", "Spain"),
    ("34806", "Spain"),
    ("34807", "Spain"),
    ("34905", "Spain"),
    ("351607", "Portugal"),
    ("35176", "Portugal"),
    ("352900", "Luxembourg"),
    ("352901", "Luxembourg"),
    ("352905", "Luxembourg"),
    ("358600", "Finland"),
    ("358700", "Finland"),
    ("35990", "Bulgaria"),
    ("3690", "Hungary"),
    ("3691", "Hungary"),
    ("370900", "Lithuania"),
    ("37190", "Latvia"),
    ("372900", "Estonia"),
    ("38090", "Ukraine"),
    ("38560", "Croatia"),
    ("38690", "Slovenia"),
    ("3989", "Italy"),
    ("40900", "Romania"),
    ("40906", "Romania"),
    ("41900", "Switzerland"),
    ("41901", "Switzerland"),
    ("41906", "Switzerland"),
    ("420900", "Czechia"),
    ("420906", "Czechia"),
    ("420909", "Czechia"),
    ("421900", "Slovakia"),
    ("43900", "Austria"),
    ("43901", "Austria"),
    ("4393", "Austria"),
    ("449", "United Kingdom"),
    ("44871", "United Kingdom"),
    ("4590", "Denmark"),
    ("46900", "Sweden"),
    ("46939", "Sweden"),
    ("46944", "Sweden"),
    ("47820", "Norway"),
    ("47829", "Norway"),
    ("4870", "Poland"),
    ("49137", "Germany"),
    ("49900", "Germany"),
    // As some write it, with the digit that is dialled before area codes inside the country.
    ("490900", "Germany"),
    ("55900", "Brazil"),
    ("61190", "Australia"),
    ("6490", "New Zealand"),
    ("7809", "Russia"),
    ("90900", "Türkiye"),
    ("9721900", "Israel"),
];

/// How an international number is dialled, and how many digits such a number has at least. Without a prefix a shorter one is
/// one of the country itself.
const DIALLED: [(&str, usize); 4] = [("+", 9), ("00", 9), ("011", 9), ("", 11)];

/// E.164 §6: an international number has 15 digits at most. Carriers ignore what is dialled behind a complete number.
const MOST_DIGITS: usize = 15;

/// Numbers as they are dialled inside many countries, and how many digits follow.
const NATIONAL: [(&str, std::ops::RangeInclusive<usize>); 2] = [("0900", 4..=9), ("900", 7..=7)];

/// What follows a prefix: two of the numbers there are, since a rule may name the digits that follow.
const FOLLOWING: [&[u8; 15]; 2] = [b"123456789123456", b"555123455512345"];

/// So many of them are named in a warning.
const MOST_NAMED: usize = 4;

/// The ranges whose numbers this rule matches, as a text, e.g. `+49 900… (Germany)`.
pub(super) fn ranges(rule: &Rule) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for (prefix, country) in INTERNATIONAL {
        let spelt = DIALLED.iter().find(|(dialled, fewest)| {
            let lengths = fewest.saturating_sub(prefix.len())..=MOST_DIGITS - prefix.len();
            any_matches(rule, &format!("{dialled}{prefix}"), lengths)
        });
        found.extend(spelt.map(|(dialled, _)| format!("{dialled}{prefix}… ({country})")));
    }
    for (prefix, lengths) in NATIONAL {
        found.extend(any_matches(rule, prefix, lengths).then(|| format!("{prefix}…")));
    }
    let more = found.len().saturating_sub(MOST_NAMED);
    found.truncate(MOST_NAMED);
    match (found.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(found.join(", ")),
        (false, more) => Some(format!("{} and {more} more ranges", found.join(", "))),
    }
}

/// Does the rule match a number that begins so and has so many digits more?
fn any_matches(rule: &Rule, begin: &str, mut lengths: std::ops::RangeInclusive<usize>) -> bool {
    let mut number = begin.as_bytes().to_vec();
    lengths.any(|length| {
        FOLLOWING.iter().any(|digits| {
            number.truncate(begin.len());
            number.extend(digits.iter().take(length));
            rule.is_match(&number)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: &str) -> String {
        ranges(&Rule::new(rule).expect("a rule")).unwrap_or_default()
    }

    #[test]
    fn rules_that_let_out_expensive_numbers() {
        for (rule, said) in [
            (r"^\+49[2-9][0-9]{4,12}$", "+49900… (Germany)"),
            (r"^\+49[0-9]{4,12}$", "+49137… (Germany), +49900… (Germany), +490900… (Germany)"),
            (r"^0049[2-9][0-9]{8}$", "0049900… (Germany)"),
            (r"^49[2-9][0-9]{4,12}$", "49900… (Germany)"),
            (r"^(\+49|0)[2-9]\d{5,11}$", "+49900… (Germany), 0900…"),
            (r"^0900\d{6}$", "0900…"),
            (r"^\+?1[0-9]{10}$", "+1900… (North America)"),
            (r"^1?[2-9][0-9]{9}$", "1900… (North America), 900…"),
            (
                r"^\+(33|43|41|44)[1-9][0-9]{4,12}$",
                "+3381… (France), +3382… (France), +3389… (France), +41900…",
            ),
            (r"^\+31[0-9]{9}$", "+31900… (Netherlands), +31906… (Netherlands), +31909… (Netherlands)"),
            (r"^\+8[0-9]{10,12}$", "+870… (satellite, Inmarsat), +881… (satellite), +882… (intern"),
            (r"^(?!\+49900)\+49[0-9]{6,}", "+49137… (Germany), +490900… (Germany)"),
            (r"^\+449[0-9]{9}$", "+449… (United Kingdom)"),
            (r"^\+49900[13]\d{6}$", "+49900… (Germany)"),
            (r"^\+49(1[5-7]|[2-8][0-9]|9[1-9]|90[1-9])[0-9]{3,10}$", ""),
            (r"^(?!900)\d{7}$", ""),
            (r"^[0-9]{3,8}$", "0900…"),
            (r"^[1-9][0-9]{3,7}$", ""),
            (r"^11[02]$", ""),
            (r"^1\d{3}$", ""),
        ] {
            let found = of(rule);
            assert!(found.starts_with(said) && found.is_empty() == said.is_empty(), "{rule}: {found}");
        }
        assert!(of(r"^\+(33|43|41|44)[1-9][0-9]{4,12}$").ends_with(" more ranges"));
    }

    #[test]
    fn a_range_is_in_the_list_once() {
        for (n, (one, _)) in INTERNATIONAL.iter().enumerate() {
            assert!(one.len() < MOST_DIGITS && one.bytes().all(|b| b.is_ascii_digit()), "{one}");
            let others = INTERNATIONAL.iter().enumerate().filter(|(other, _)| *other != n);
            assert!(others.into_iter().all(|(_, (other, _))| !one.starts_with(other)), "{one}");
        }
    }
}
