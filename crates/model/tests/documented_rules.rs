//! The egress rules that the documents, the examples and the help show: operators copy them.

use std::collections::BTreeSet;
use std::path::Path;

use trunkline_model::{Domain, EgressPolicy, Number, Ref, Resource, Rule, Tables, Trunk, TrunkUri};

const PAGES: [&str; 11] = [
    "README.md",
    "docs/api.md",
    "docs/ari.md",
    "docs/exchange.md",
    "docs/resources.md",
    "docs/routr-v1.md",
    "docs/security.md",
    "crates/cli/src/command.rs",
    "crates/cli/src/command/creation.rs",
    "crates/config/examples/trunkline.yaml",
    "crates/model/src/caution/rules.rs",
];

/// Shown as what not to write.
const BAD: [&str; 3] = [r"^\+?[0-9]+$", r"^\+49[2-9]", r"^\+49[2-9][0-9]{4,12}$"];

/// Numbers that no rule of the documents may let out: premium rate, satellite, shared cost, what hides another number, extensions.
const NEVER: [&str; 50] = [
    "+499001234567",
    "00499001234567",
    "+4909001234567",
    "09001234567",
    "0900123456",
    "+491371234567",
    "01371234567",
    "+4918012345678",
    "018012345678",
    "+4911833",
    "+41900123456",
    "0041900123456",
    "+41901123456",
    "+41906123456",
    "+41840123456",
    "+43900123456",
    "0043900123456",
    "+43901123456",
    "+43930123456",
    "+43820123456",
    "+33899123456",
    "0033899123456",
    "+33812345678",
    "+33821234567",
    "+449091234567",
    "+449812345678",
    "+448712345678",
    "+448451234567",
    "+447012345678",
    "+31900123456",
    "+31906123456",
    "+3290012345",
    "+390899123456",
    "+39899123456",
    "+34803123456",
    "+19005551234",
    "0019005551234",
    "19005551234",
    "+18095551234",
    "+979123456789",
    "+870712345678",
    "+8816312345678",
    "+88213712345678",
    "+883510012345678",
    "+27862123456",
    "+4921,,,1900",
    "+4921*1900#",
    "+49211234567890123456789",
    "1009",
    "",
];

/// Numbers that one of them lets out.
const CALLED: [&str; 20] = [
    "+4930123456",
    "03012345678",
    "+4989123456",
    "+499061234567",
    "+4992112345",
    "+491701234567",
    "+4915112345678",
    "017012345678",
    "+33123456789",
    "0033612345678",
    "+33912345678",
    "+41443012345",
    "0041791234567",
    "+41911234567",
    "+4312345678",
    "0043664123456",
    "+442071234567",
    "+447911123456",
    "110",
    "112",
];

/// What stands in quotes and begins with `^`.
fn rules_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for quote in ['\'', '`', '"'] {
        for (at, _) in text.match_indices(&format!("{quote}^")) {
            let rest = text.get(at + 1..).unwrap_or_default();
            let rule = rest.split(quote).next().unwrap_or_default();
            // A bar in a table of Markdown, and a backslash in a text of the source.
            found.insert(rule.replace(r"\|", "|").replace(r"\\", r"\"));
        }
    }
    // A lone `^` or `^\+?` is spoken of, and is no rule. A quote of another kind may stand within.
    let whole = |rule: &str| rule.contains(|c: char| c.is_ascii_alphanumeric() || c == '.');
    found.retain(|rule| whole(rule) && !rule.contains(['\'', '`', '"', '\n']));
    found
}

fn documented() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |page: &str| std::fs::read_to_string(root.join(page)).expect(page);
    let found: BTreeSet<String> = PAGES
        .into_iter()
        .flat_map(|page| {
            let text = read(page);
            // What tests say is not shown to operators.
            rules_in(text.split("#[cfg(test)]").next().unwrap_or_default())
        })
        .collect();
    assert!(found.len() >= 5, "{found:?}");
    found
}

/// The warnings about a domain with this rule.
fn warned(rule: &str) -> Vec<String> {
    let mut tables = Tables::default();
    let mut trunk = Trunk::new("t", "carrier");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    tables.put(trunk);
    tables.put(Number::new("n", "tel:+1", Some(Ref::new("t"))));
    let mut domain = Domain::new("d", "sip.local");
    let rule = Rule::new(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
    domain.egress_policies = vec![EgressPolicy { rule, number: Ref::new("n") }];
    tables.cautions_of(&Resource::from(domain))
}

#[test]
fn no_documented_rule_lets_out_expensive_numbers() {
    let rules = documented();
    for rule in rules.iter().filter(|rule| !BAD.contains(&rule.as_str())) {
        assert_eq!(warned(rule), Vec::<String>::new(), "{rule}");
        let compiled = Rule::new(rule.as_str()).expect("a rule");
        for number in NEVER {
            assert!(!compiled.is_match(number.as_bytes()), "{rule} lets out {number}");
        }
    }
    for number in CALLED {
        let found = rules.iter().filter(|rule| !BAD.contains(&rule.as_str()));
        let lets_out = |rule: &String| Rule::new(rule.as_str()).expect("a rule").is_match(number.as_bytes());
        assert!(found.into_iter().any(lets_out), "{number} passes no documented rule");
    }
}

#[test]
fn what_is_shown_as_bad_is_warned_of() {
    let rules = documented();
    for rule in BAD {
        assert!(rules.contains(rule), "{rule} is in no document any more");
        assert!(!warned(rule).is_empty(), "{rule}");
    }
}

#[test]
fn rules_are_found_as_they_are_written() {
    let text = "rule: '^a$', | `'^(a\\|b)$'` | `^c` begins with `^` and \"^d\"";
    let expected = ["^a$", "^(a|b)$", "^c", "^d"].map(str::to_owned);
    assert_eq!(rules_in(text), expected.into());
}
