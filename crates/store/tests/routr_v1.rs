//! A folder of Routr v1: read, taken up anew, refused when wrong.

use std::fs;
use std::path::Path;

use trunkline_model::dialect::v1::Collection;
use trunkline_model::{Change, Domain, Kind};
use trunkline_store::{Store, StoreError, routr_v1_url, verify_password};

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("written");
}

fn user(secret: &str) -> String {
    format!(
        "- {{apiVersion: v1, kind: User, metadata: {{name: A}}, spec: {{credentials: {{username: admin, secret: {secret}}}}}}}\n"
    )
}

const DOMAIN: &str =
    "- {apiVersion: v1, kind: Domain, metadata: {name: A}, spec: {context: {domainUri: sip.local}}}\n";

fn hash(store: &Store) -> String {
    let tables = store.live().load();
    tables.user_by_username(b"admin").and_then(|u| u.password_hash.clone()).expect("a user with a hash")
}

#[test]
fn its_files_are_one_set_that_is_taken_up_or_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    write(at, "domains.yaml", DOMAIN);
    write(at, "users.yml", &user("first"));
    // Neither is a file of resources.
    write(at, "config.yml", "spec: [");
    write(at, "agents.json", "[");
    let store = Store::open(&format!("routr-v1:{}", at.display())).expect("opened");
    let Store::RoutrV1(files) = &store else { panic!("another store") };
    assert!(verify_password("first", &hash(&store)));
    let before = hash(&store);

    write(
        at,
        "agents.yml",
        "- {apiVersion: v1, kind: Agent, metadata: {name: A}, spec: {credentials: {username: '1001', secret: x}, domains: [sip.local]}}\n",
    );
    assert!(store.poll().expect("read"));
    assert!(!store.poll().expect("read"), "nothing new");
    assert_eq!(store.live().load().count(Kind::Agent), 1);
    assert_eq!(files.documents().of(Collection::Agents).len(), 1);
    assert_eq!(hash(&store), before, "an unchanged secret is not hashed anew");

    write(at, "agents.yml", "- {apiVersion: v1, kind: Agnt}\n");
    let error = store.poll().expect_err("a mistake").to_string();
    assert!(error.contains("agents.yml:1:26"), "{error}");
    assert!(!store.poll().expect("told once"));
    assert_eq!(store.live().load().count(Kind::Agent), 1, "what was in force stays");
    assert_eq!(files.documents().of(Collection::Agents).len(), 1);

    fs::remove_file(at.join("agents.yml")).expect("removed");
    write(at, "users.yml", &user("second"));
    assert!(store.poll().expect("read"));
    assert_eq!(store.live().load().count(Kind::Agent), 0);
    assert!(verify_password("second", &hash(&store)));
}

#[test]
fn it_is_changed_with_an_editor_only_and_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&format!("routr-v1-rc2:{}", folder.path().display())).expect("opened");
    let refused = store.apply(vec![Change::Create(Domain::new("d", "sip.local").into())]);
    assert!(matches!(refused, Err(StoreError::Files(_))));
    assert_eq!(routr_v1_url(folder.path()), None, "nothing says whose folder it is");
    write(folder.path(), "agents.yml", "- {apiVersion: v2, kind: Agent}\n");
    assert_eq!(routr_v1_url(folder.path()), None);
    write(folder.path(), "domains.yaml", DOMAIN);
    assert_eq!(routr_v1_url(folder.path()), Some(format!("routr-v1:{}", folder.path().display())));
    write(folder.path(), "dids.yml", "[]\n");
    assert_eq!(routr_v1_url(folder.path()), Some(format!("routr-v1-rc2:{}", folder.path().display())));
    let missing = folder.path().join("none");
    let error = Store::open(&format!("routr-v1:{}", missing.display())).expect_err("no folder");
    assert!(matches!(error, StoreError::Read { .. }), "{error}");
}
