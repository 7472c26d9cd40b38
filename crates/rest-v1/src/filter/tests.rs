//! Filters as clients of Routr v1 write them.

use serde_json::{Value, json};

use super::Filter;

fn agents() -> Value {
    json!([
        {"metadata": {"name": "Ann", "ref": "ag1"}, "spec": {"credentials": {"username": "1001"}, "domains": ["sip.local", "sip2.local"], "ex_maxContact": 2}},
        {"metadata": {"name": "Bo", "ref": "ag2"}, "spec": {"credentials": {"username": "1002"}, "domains": ["sip.local"], "ex_maxContact": 10}},
        {"metadata": {"name": "Cy", "ref": "ag3"}, "spec": {"credentials": {"username": 1003}, "domains": [], "note": "it's \"x\""}}
    ])
}

/// The names of the documents that match.
fn who(filter: &str) -> Vec<String> {
    let all = agents();
    let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let passing = filter.select(&all).unwrap_or_else(|error| panic!("{error}")).into_iter();
    passing.filter_map(|one| one["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn filters_and_who_passes() {
    for (filter, want) in [
        ("", "Ann Bo Cy"),
        ("*", "Ann Bo Cy"),
        ("@", "Ann Bo Cy"),
        ("@.metadata.name=='Ann'", "Ann"),
        ("@.metadata.name==\"Ann\"", "Ann"),
        ("@.metadata.name == 'Nobody'", ""),
        ("@['metadata']['ref'] == 'ag2'", "Bo"),
        ("'ag2' == @.metadata.ref", "Bo"),
        ("@.spec.credentials.username=='1001'", "Ann"),
        ("@.spec.credentials.username==1001", ""),
        ("@.spec.credentials.username==1003", "Cy"),
        ("@.metadata.name=='Ann' || @.metadata.name=='Bo'", "Ann Bo"),
        ("@.metadata.name=='Ann'||@.metadata.name=='Bo'&&@.metadata.ref=='x'", "Ann"),
        ("(@.metadata.name=='Ann'||@.metadata.name=='Bo')&&@.metadata.ref=='ag2'", "Bo"),
        ("!(@.metadata.name=='Ann')", "Bo Cy"),
        ("@.metadata.name != 'Ann'", "Bo Cy"),
        ("@.spec.nothing != 'x'", "Ann Bo Cy"),
        ("@.spec.nothing == 'x'", ""),
        ("'sip2.local' in @.spec.domains", "Ann"),
        ("@.metadata.name in ['Ann', 'Cy']", "Ann Cy"),
        ("@.metadata.name nin ['Ann', 'Cy']", "Bo"),
        ("@.metadata.name in []", ""),
        ("@.spec.domains contains 'sip2.local'", "Ann"),
        ("@.metadata.name contains 'n'", "Ann"),
        ("@.spec.domains size 1", "Bo"),
        ("@.spec.domains empty true", "Cy"),
        ("@.spec.domains empty false", "Ann Bo"),
        ("@.spec.domains anyof ['sip2.local','x']", "Ann"),
        ("@.spec.domains subsetof ['sip.local']", "Bo Cy"),
        ("@.spec.domains[0] == 'sip.local'", "Ann Bo"),
        ("@.spec.domains[-1] == 'sip2.local'", "Ann"),
        ("@.spec.domains[*] == ['sip.local']", "Bo"),
        ("@..username == ['1001']", "Ann"),
        ("@.spec.ex_maxContact > 2", "Bo"),
        ("@.spec.ex_maxContact >= 2", "Ann Bo"),
        ("@.spec.ex_maxContact == 2.0", "Ann"),
        ("@.metadata.name < 'Bz'", "Ann Bo"),
        ("@.metadata.name =~ /a.*/i", "Ann"),
        ("@.metadata.name =~ /a.*/", ""),
        ("@.metadata.name =~ /nn/", ""),
        ("@.spec.note", "Cy"),
        ("@.spec.note == 'it\\'s \"x\"'", "Cy"),
        ("@.spec.note == null", ""),
        ("$[0].metadata.name == 'Ann'", "Ann Bo Cy"),
    ] {
        assert_eq!(who(filter).join(" "), want, "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    for filter in [
        "@.",
        "@.a ==",
        "== 'a'",
        "@.a = 'b'",
        "@.a == 'b",
        "(@.a",
        "@.a)",
        "@.a == b",
        "@.a && ",
        "a",
        "'a'",
        "@[",
        "@['a'",
        "@[1",
        "@.a =~ /(/",
        "@.a =~ /a",
        "@.a in ['b'",
        "@.a in ['b' 'c']",
        "@.a == 1.2.3",
        "@.a == '\\u12'",
        "!",
        "&&",
        "|| @.a",
        "@.a == 'b' c",
        "@.a inx ['b']",
    ] {
        let error = Filter::parse(filter).expect_err(filter);
        assert!(error.at >= 1 && error.at <= filter.chars().count() + 1, "{filter}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("{}@.a{}", "(".repeat(10_000 / 3), ")".repeat(10_000 / 3));
    assert!(Filter::parse(&deep).is_err());
    assert!(Filter::parse(&format!("@.a == {}{}", "[".repeat(4000), "]".repeat(4000))).is_err());
    assert!(Filter::parse(&format!("{}@.a", "!".repeat(5000))).is_err());
    assert!(Filter::parse(&format!("@{}", ".a".repeat(3000))).is_err());
    assert!(Filter::parse(&format!("@.a == '{}'", "x".repeat(9000))).is_err());
    let patterns = |count: usize| vec!["@.a=~/(a{500}){20}/"; count].join("||");
    assert!(Filter::parse(&patterns(16)).is_ok());
    let error = Filter::parse(&patterns(17)).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("more than 16 patterns"), "{error}");
}

#[test]
fn the_work_of_a_filter_is_bounded() {
    let all = Value::Array(vec![agents(); 2000]);
    let deep = format!("${} == 1", "..*".repeat(30));
    let wide = vec!["@..* anyof $..*"; 60].join(" || ");
    let whole = vec!["$ == 1"; 60].join(" || ");
    let pattern = format!("@..name =~ /{}/", "(a|b)*".repeat(50));
    for filter in [deep, wide, whole, vec!["$..*..*..* == 1"; 60].join(" || ")] {
        let started = std::time::Instant::now();
        let error = Filter::parse(&filter)
            .and_then(|filter| filter.select(&all).map(|found| found.len()))
            .expect_err("too much");
        assert!(error.to_string().starts_with("it takes too much work"), "{error}");
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{filter}");
    }
    for filter in ["@..ref contains 'ag2'", "'sip.local' in @[0].spec.domains", pattern.as_str()] {
        let found = Filter::parse(filter).and_then(|filter| filter.select(&all).map(|found| found.len()));
        assert!(found.is_ok(), "{filter} {found:?}");
    }
}
