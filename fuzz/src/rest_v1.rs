//! What clients of the REST API of Routr v1 send: queries, filters, tokens.

use serde_json::{Value, json};
use trunkline_rest_v1::{Filter, Query, TokenKey};

/// Filters of every kind.
pub fn filters() -> Vec<Vec<u8>> {
    [
        "@.metadata.name=='Ann' || @.spec.credentials.username==\"1001\" && !(@.a.b[0] != -1.5e3)",
        "'sip.local' in @.spec.domains && @.metadata.ref nin ['a','b\\'c', \"d\\u00e9\"]",
        "@.metadata.name =~ /a.*[b-d]{2,3}/i || @..username == ['1001'] || $[*]['spec','metadata'].x",
        "@.spec.domains size 2 || @.spec.domains empty false || @.spec.domains contains 'x'",
        "@.a anyof [1,[2,[3]]] || @.a noneof [] || @.a allof [null,true] || @.a subsetof [false]",
        "((((@.a < 1) && (@.a <= 2)) || @.a > 3) || @.a >= 4) && @.a === 5 && @.a !== 6",
        "*",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Queries as clients write them.
pub fn queries() -> Vec<Vec<u8>> {
    [
        "token=eyJhbGciOiJIUzUxMiJ9.e30.x&filter=@.a=='b'&&@.c=='d'&null&",
        "filter=%40.a%3D%3D%27b+c%27&page=2&itemsPerPage=10&now=true&token=T",
        "filter=%&filter=%4&filter=%zz&token=%00%ff",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Tokens: a good one, and others.
pub fn tokens() -> Vec<Vec<u8>> {
    let other = TokenKey::from_salt("00000000000000000000000000000000").expect("a salt").sign("admin", 0);
    vec![
        key().sign("admin", 0).into_bytes(),
        other.into_bytes(),
        b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.".to_vec(),
    ]
}

fn key() -> TokenKey {
    TokenKey::from_salt("1ecdc765b27e4b80924f4c5deeccf590").expect("a salt")
}

fn documents() -> Value {
    json!([
        {"metadata": {"name": "Ann", "ref": "a"}, "spec": {"credentials": {"username": "1001"}, "domains": ["sip.local"]}, "a": 1},
        {"metadata": null, "spec": [1, "two", {"x": {}}], "a": [1, [2, [3]]]},
        "text",
        null
    ])
}

/// A filter: one that can be read says the same of a document each time; an error has its place within it.
pub fn filter(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Filter::parse(&text) {
        Ok(filter) => {
            let all = documents();
            assert_eq!(filter.select(&all), filter.select(&all));
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}"),
    }
}

/// A query: what is found in it is no longer than it, and a filter without its tail has none.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = Query::read(&text);
    let parts = [&query.token, &query.filter, &query.page, &query.items_per_page];
    // A byte that is no UTF-8 is three as its replacement.
    assert!(parts.iter().all(|part| part.as_ref().is_none_or(|part| part.len() <= 3 * text.len())));
    assert_eq!(Query::read(&text), query);
}

/// A token: only what was signed is somebody's.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if key().verify(&text, 0).is_some() {
        let good = key().sign("admin", 0);
        let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        assert_eq!(signed(&text), signed(&good), "forged: {text}");
    }
}
