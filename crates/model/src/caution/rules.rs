//! Egress rules that let out more than an operator may mean. A rule is searched in the called number, not compared with it.

use std::collections::HashMap;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::premium;
use crate::resource::Rule;

/// Numbers of each zone of the world, premium and satellite ones among them.
const WORLD: [&str; 9] = [
    "19005551234",
    "27821234567",
    "37112345678",
    "449091234567",
    "51912345678",
    "67512345678",
    "79031234567",
    "881612345678",
    "97412345678",
];

/// The prefixes of an international number.
const PREFIXES: [&str; 4] = ["+", "", "00", "011"];

/// What no number begins or ends with.
const JUNK: &str = "*x";

/// Texts of a rule that are looked at, at most.
const MOST: usize = 64;

/// A rule for one country (Germany) without its premium-rate and service numbers, for hints: mobile numbers, area codes.
pub(crate) const NARROW: &str = r"^\+49(1[5-7]|[2-8][0-9]|9[1-9]|90[1-9])[0-9]{3,10}$";

/// What was found about rules, by their texts: tenants often have the same ones.
#[derive(Default)]
pub(super) struct Judged(HashMap<String, Vec<String>>);

impl Judged {
    /// The calls that a rule allows unintentionally, and the remedy, one line each.
    pub(super) fn open(&mut self, rule: &Rule) -> &[String] {
        self.0.entry(rule.text().to_owned()).or_insert_with(|| open(rule))
    }
}

fn open(rule: &Rule) -> Vec<String> {
    if PREFIXES.iter().any(|prefix| matches_the_world(rule, prefix)) {
        return vec![format!(
            "lets out calls to every number in the world; name the countries that are called, without their premium-rate \
             numbers, e.g. `{NARROW}`"
        )];
    }
    let mut said = Vec::new();
    match gaps(rule) {
        (true, _) => said.push(
            "matches anywhere in a number, so also in numbers of other countries; begin it with `^` and end it with \
             `[0-9]{4,12}$` or the like"
                .to_owned(),
        ),
        (false, true) => said.push(
            "lets anything follow what it names, such as `*`, `#` and any number of digits; end it with `[0-9]{4,12}$` \
             or the like"
                .to_owned(),
        ),
        (false, false) => {}
    }
    if let Some(ranges) = premium::ranges(rule) {
        said.push(format!(
            "lets out calls to premium-rate or satellite numbers: {ranges}; name the ranges that are called, without these, \
             as `{NARROW}` does"
        ));
    }
    said
}

fn matches_the_world(rule: &Rule, prefix: &str) -> bool {
    WORLD.iter().all(|number| rule.is_match(format!("{prefix}{number}").as_bytes()))
}

/// May anything stand before what the rule names, and behind it?
fn gaps(rule: &Rule) -> (bool, bool) {
    let text = rule.text();
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
    let mut samples = parsed.map(|hir| samples(&hir)).unwrap_or_default();
    samples.retain(|sample| rule.is_match(sample));
    if samples.is_empty() {
        // It looks around, so that no text of it is known.
        return (!text.starts_with('^'), !text.ends_with('$'));
    }
    let begin = |s: &Vec<u8>| rule.is_match(&[JUNK.as_bytes(), s].concat());
    let end = |s: &Vec<u8>| rule.is_match(&[s, JUNK.as_bytes()].concat());
    (samples.iter().any(begin), samples.iter().any(end))
}

/// Texts that match, one for each of its alternatives.
fn samples(hir: &Hir) -> Vec<Vec<u8>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => vec![one_of(class).into_iter().collect()],
        HirKind::Repetition(repetition) => {
            let times = match repetition.max {
                Some(0) => 0,
                _ => repetition.min.max(1) as usize,
            };
            samples(&repetition.sub).into_iter().map(|one| one.repeat(times.min(MOST))).collect()
        }
        HirKind::Capture(capture) => samples(&capture.sub),
        HirKind::Concat(parts) => parts.iter().fold(vec![Vec::new()], |all, part| {
            let next = samples(part);
            let both =
                |one: &Vec<u8>| next.iter().map(|two| [one.as_slice(), two].concat()).collect::<Vec<_>>();
            all.iter().flat_map(both).take(MOST).collect()
        }),
        HirKind::Alternation(parts) => parts.iter().flat_map(samples).take(MOST).collect(),
    }
}

/// A character of the class, a digit if it has one.
fn one_of(class: &Class) -> Option<u8> {
    let ranges: Vec<(u8, u8)> = match class {
        Class::Bytes(bytes) => bytes.iter().map(|range| (range.start(), range.end())).collect(),
        Class::Unicode(chars) => {
            let byte = |c: char| u8::try_from(c).ok().filter(u8::is_ascii);
            chars
                .iter()
                .filter_map(|range| Some((byte(range.start())?, byte(range.end()).unwrap_or(127))))
                .collect()
        }
    };
    let digit =
        (b'0'..=b'9').rev().find(|digit| ranges.iter().any(|(from, to)| (from..=to).contains(&digit)));
    digit.or(ranges.first().map(|(from, _)| *from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: &str) -> &'static str {
        let said = open(&Rule::new(rule).expect("a rule")).join("\n");
        ["every number", "anywhere", "follow", "premium"]
            .into_iter()
            .find(|word| said.contains(word))
            .unwrap_or_default()
    }

    #[test]
    fn rules_that_let_out_more_than_is_meant() {
        for (rule, open) in [
            (".*", "every number"),
            ("", "every number"),
            (r"^.*$", "every number"),
            (r"^\+?[0-9]+$", "every number"),
            (r"^\+[1-9][0-9]+$", "every number"),
            (r"^00[1-9]\d{6,14}$", "every number"),
            (r"\d{7,}", "every number"),
            (".{5,}", "every number"),
            (r"^(?!\+1900555123)", "every number"),
            (r"^(?!0).*$", "every number"),
            ("49[2-9]", "anywhere"),
            (r"\+49[2-9][0-9]+$", "anywhere"),
            (r"^\+49[0-9]+$|^\+43|44", "anywhere"),
            (r"^.*49[0-9]{9}$", "anywhere"),
            (r"(?m)^49[0-9]{9}$", "premium"),
            (r"^\+49[2-9]", "follow"),
            (r"^\+49[2-9].*$", "follow"),
            (r"^\+(33|43|41|44)[1-9]", "follow"),
            (r"^\+49[0-9]+$|^\+43[1-9]", "follow"),
            (r"^\+49[2-9][0-9]{4,12}$", "premium"),
            (r"^\+(33|43|41|44)[1-9][0-9]{4,12}$", "premium"),
            (r"^\+?1[0-9]{10}$", "premium"),
            (r"^0[1-9][0-9]{5,11}$", "premium"),
            (NARROW, ""),
            (r"^(?!900)\d{7}$", ""),
            (r"^112$", ""),
            (r"^(110|112)$", ""),
        ] {
            assert_eq!(of(rule), open, "{rule}");
        }
        let both = open(&Rule::new(r"^\+49[2-9]").expect("a rule"));
        assert!(both.len() == 2 && both[0].contains("follow") && both[1].contains("+49900"), "{both:?}");
    }
}
