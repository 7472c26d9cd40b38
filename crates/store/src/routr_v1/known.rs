//! What is known of the documents, against what a provider gives: a provider that lost its data, or gives nonsense, does not
//! end what is in force.

use std::sync::Arc;

use trunkline_model::dialect::v1::Collection;
use trunkline_model::document::Source;

use super::provider::{Failure, Reading, Texts};
use crate::error::StoreError;

/// More documents of a collection that are none are no mistakes of single ones.
const MOST_UNUSABLE: usize = 1000;

/// A whole set of documents.
#[derive(Debug)]
pub(super) struct Complete {
    pub texts: Texts,
    /// What is in it only because it was known before, with the reasons.
    pub trouble: Option<String>,
}

/// Completes a reading with what is known of the collections that the provider did not give. One that has no phones,
/// domains, gateways, numbers and peers any more has lost its data: a user alone is what Routr creates in an empty database.
pub(super) fn complete(name: &str, reading: Reading, known: &Texts) -> Result<Complete, StoreError> {
    let Reading { mut texts, mut failed } = reading;
    let has = |texts: &Texts, of: Collection| texts.iter().any(|(collection, _)| *collection == of);
    let is_set = |texts: &Texts| texts.iter().any(|(of, _)| *of != Collection::Users);
    if is_set(known) && !is_set(&texts) {
        return Err(StoreError::Emptied(name.to_owned()));
    }
    for collection in Collection::ALL {
        if let Some(why) = nonsense(collection, &texts, has(known, collection)) {
            failed.push(Failure { collection, why, may_be_empty: false });
        }
    }
    failed.retain(|failure| !failure.may_be_empty || has(known, failure.collection));
    for failure in &failed {
        texts.retain(|(of, _)| *of != failure.collection);
        texts.extend(known.iter().filter(|(of, _)| *of == failure.collection).cloned());
    }
    let reasons: Vec<&str> = failed.iter().map(|failure| failure.why.as_str()).collect();
    let trouble = (!reasons.is_empty())
        .then(|| format!("{name}: {}; what is known of this stays in force", reasons.join("; ")));
    Ok(Complete { texts, trouble })
}

/// Why the documents of a collection are not taken for it.
fn nonsense(collection: Collection, texts: &Texts, is_known: bool) -> Option<String> {
    let of_it = || texts.iter().filter(|(of, _)| *of == collection);
    let all = of_it().count();
    let good = of_it().filter(|(_, text)| has_shape(collection, text)).count();
    let bad = all - good;
    let name = collection.names().last().copied().unwrap_or_default();
    ((is_known && all > 0 && good == 0) || bad > MOST_UNUSABLE)
        .then(|| format!("`{name}`: {bad} of {all} documents are not of this kind"))
}

/// Does the document have the kind of its collection, and a `spec`?
fn has_shape(collection: Collection, text: &Arc<Source>) -> bool {
    let document: serde_json::Value = serde_json::from_str(&text.text).unwrap_or_default();
    document["spec"].is_object()
        && document["kind"].as_str().and_then(Collection::of_kind) == Some(collection)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::routr_v1::provider::text_of;

    fn texts(documents: &[(Collection, Value)]) -> Texts {
        let text = |(of, document): &(Collection, Value)| (*of, text_of("x", "r", document));
        documents.iter().map(text).collect()
    }

    fn agent() -> (Collection, Value) {
        (Collection::Agents, json!({"kind": "Agent", "spec": {}}))
    }

    fn user() -> (Collection, Value) {
        (Collection::Users, json!({"kind": "User", "spec": {}}))
    }

    fn completed(fresh: &[(Collection, Value)], failed: Vec<Failure>) -> Result<Complete, StoreError> {
        complete("x", Reading { texts: texts(fresh), failed }, &texts(&[agent(), user()]))
    }

    #[test]
    fn a_set_is_not_lost_to_nothing() {
        for lost in [&[][..], &[user()]] {
            assert!(matches!(completed(lost, Vec::new()), Err(StoreError::Emptied(_))));
        }
        let kept = completed(&[agent()], Vec::new()).expect("the users may go");
        assert!(kept.texts.len() == 1 && kept.trouble.is_none());
    }

    #[test]
    fn what_a_provider_does_not_give_stays() {
        let failure = |collection, may_be_empty| Failure { collection, why: "why".into(), may_be_empty };
        let failed = vec![failure(Collection::Users, true), failure(Collection::Peers, true)];
        let kept = completed(&[agent()], failed).expect("completed");
        assert_eq!(kept.texts.len(), 2);
        assert_eq!(kept.trouble.as_deref(), Some("x: why; what is known of this stays in force"));
        for junk in [json!({}), json!({"kind": "Peer", "spec": {}}), json!([]), json!({"kind": "Agent"})] {
            let domain = (Collection::Domains, json!({"kind": "Domain", "spec": {}}));
            let kept = completed(&[(Collection::Agents, junk), domain], Vec::new()).expect("completed");
            assert_eq!(kept.texts.len(), 2, "{kept:?}");
            assert!(kept.trouble.is_some_and(|text| text.contains("`agents`: 1 of 1")));
        }
    }
}
