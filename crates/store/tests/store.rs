//! Stores from outside: what is put survives, what is wrong changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use trunkline_model::document::Source;
use trunkline_model::{Agent, Change, Credentials, Domain, Kind, Ref};
use trunkline_store::{ImportMode, Store, StoreError, verify_password};

fn sqlite(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("t.db").display())
}

fn open(url: &str) -> Store {
    Store::open(url).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_first_start_makes_two_phones_and_an_admin() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&sqlite(&folder));
    let made = store.bootstrap("sip.local").expect("stored").expect("the first start");
    assert_eq!(made.agents.len(), 2);
    assert!(store.bootstrap("sip.local").expect("read").is_none(), "only once");

    let again = open(&sqlite(&folder));
    assert!(again.bootstrap("sip.local").expect("read").is_none(), "nor after a restart");
    let tables = again.live().load();
    let domain = tables.domain_by_uri(b"sip.local").expect("the domain");
    for login in &made.agents {
        let agent = tables.agent(Some(&domain.reference), login.username.as_bytes()).expect("the agent");
        let credentials = agent.credentials.as_ref().and_then(|r| tables.credentials_by_ref(r));
        assert_eq!(credentials.map(|c| c.password.as_str()), Some(login.secret.as_str()));
        assert_eq!(login.secret.len(), 16);
    }
    let admin = tables.user_by_username(b"admin").expect("the admin");
    assert!(verify_password(&made.admin.secret, admin.password_hash.as_deref().expect("a hash")));
    assert!(!format!("{made:?}").contains(&made.admin.secret));

    let mode = std::fs::metadata(folder.path().join("t.db")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
}

#[test]
fn two_processes_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (a, b) = (open(&sqlite(&folder)), open(&sqlite(&folder)));
    a.apply(vec![Change::Create(Domain::new("d", "a.example").into())]).expect("stored");
    // b has not looked yet, but its checks do.
    let error = b.apply(vec![Change::Create(Domain::new("e", "a.example").into())]).expect_err("taken");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(b.poll().expect("read"));
    assert!(!b.poll().expect("read"), "nothing new");
    b.apply(vec![Change::Delete(Kind::Domain, Ref::new("d"))]).expect("deleted");
    assert!(!b.poll().expect("read"), "its own change is no news");
    assert!(a.poll().expect("read"));
    assert_eq!(a.live().load().count(Kind::Domain), 0);
    // A ref that went may come back, as another kind too.
    a.apply(vec![Change::Create(Credentials::new("d", "u", "p").into())]).expect("stored");
    assert!(b.poll().expect("read"));
    assert_eq!(b.live().load().count(Kind::Credentials), 1);
}

#[test]
fn a_refused_batch_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&sqlite(&folder));
    let mut agent = Agent::new("a", "1001", Some(Ref::new("nowhere")));
    agent.created_at = 7;
    let error = store
        .apply(vec![
            Change::Create(Domain::new("d", "sip.local").into()),
            Change::Create(agent.clone().into()),
        ])
        .expect_err("dangling");
    assert_eq!(error.to_string(), "Agent a, spec.domainRef: there is no Domain `nowhere`");
    assert!(open(&sqlite(&folder)).live().load().is_empty());

    agent.domain = None;
    store.apply(vec![Change::Create(agent.clone().into())]).expect("stored");
    store.apply(vec![Change::Update(agent.into())]).expect("stored");
    let tables = open(&sqlite(&folder)).live().snapshot();
    let read = tables.agent_by_ref("a").expect("there");
    assert_eq!(read.created_at, 7, "kept by the update");
    assert!(read.updated_at > 1_700_000_000, "seconds of today: {}", read.updated_at);
}

#[test]
fn export_and_import() {
    let from = open("memory:");
    from.bootstrap("sip.local").expect("made");
    let text = from.export();
    let sources = [Source::new("export.yaml", text.clone())];

    let to = open("memory:");
    let done = to.import(&sources, ImportMode::Add).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!((done.created, done.updated, done.deleted), (6, 0, 0));
    assert!(to.import(&sources, ImportMode::Add).is_err(), "all are taken");
    let done = to.import(&sources, ImportMode::Merge).expect("merged");
    assert_eq!((done.created, done.unchanged), (0, 6));

    let one = Source::new(
        "one.yaml",
        "{apiVersion: v2, kind: Domain, ref: x, metadata: {name: x}, spec: {context: {domainUri: x.example}}}",
    );
    let done = to.import(&[one], ImportMode::Replace).expect("replaced");
    assert_eq!((done.created, done.deleted), (1, 5), "the admin stays");
    assert_eq!(to.live().load().count(Kind::User), 1);
    assert_eq!(to.live().load().count(Kind::Agent), 0);
}

#[test]
fn files_are_taken_up_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let domains = folder.path().join("domains.yaml");
    let agents = folder.path().join("agents.json");
    let domain = "- {apiVersion: v2, kind: Domain, ref: d, metadata: {name: d}, spec: {context: {domainUri: a.example}}}\n";
    std::fs::write(&domains, domain).expect("written");
    std::fs::write(folder.path().join("README.md"), "not: [a resource").expect("written");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("circle")).expect("linked");
    let url = format!("files:{}", folder.path().display());
    let store = open(&url);
    assert!(!store.poll().expect("read"));

    let agent = |domain: &str| {
        format!(
            r#"[{{"apiVersion":"v2","kind":"agent","ref":"a","metadata":{{"name":"a"}},"spec":{{"username":"1001","domainRef":"{domain}"}}}}]"#
        )
    };
    std::fs::write(&agents, agent("nowhere")).expect("written");
    let error = store.poll().expect_err("dangling");
    assert!(error.to_string().contains("there is no Domain `nowhere`"), "{error}");
    assert!(error.to_string().contains("agents.json:1:"), "{error}");
    assert!(!store.poll().expect("the same error is told once"));
    assert_eq!(store.live().load().count(Kind::Agent), 0);
    assert_eq!(store.live().load().count(Kind::Domain), 1, "the set before stays");

    std::fs::write(&agents, agent("d")).expect("written");
    assert!(store.poll().expect("good"));
    assert_eq!(store.live().load().count(Kind::Agent), 1);
    std::fs::remove_file(&agents).expect("removed");
    assert!(store.poll().expect("good"));
    assert_eq!(store.live().load().count(Kind::Agent), 0);

    let error = store.apply(vec![Change::Delete(Kind::Domain, Ref::new("d"))]).expect_err("read only");
    assert!(error.to_string().contains("edit them in"), "{error}");
}

#[test]
fn wrong_urls_say_what_is_right() {
    for url in ["", "sqlite:", "postgres:x", "memory:x", "files:"] {
        let error = Store::open(url).expect_err("no store");
        assert!(error.to_string().contains("sqlite:FILE"), "{error}");
    }
    assert!(matches!(Store::open("files:/nonexistent/folder"), Err(StoreError::Read { .. })));
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&sqlite(&folder)));
    let db = rusqlite::Connection::open(folder.path().join("t.db")).expect("opened");
    db.execute("UPDATE layouts SET version = 99 WHERE part = 'resources'", []).expect("written");
    assert!(matches!(Store::open(&sqlite(&folder)), Err(StoreError::Newer { found: 99, .. })));
}

/// A large exchange: loading is seconds at most, a change among many is not slower than one alone.
#[test]
fn twenty_thousand_agents() {
    const MANY: usize = 20_000;
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&sqlite(&folder));
    let changes = (0..MANY).map(|n| {
        let mut agent = Agent::new(format!("agent-{n}"), format!("{n}"), Some(Ref::new("d")));
        agent.credentials = Some(Ref::new("c"));
        Change::Create(agent.into())
    });
    let base = [
        Change::Create(Domain::new("d", "sip.local").into()),
        Change::Create(Credentials::new("c", "u", "p").into()),
    ];
    let start = Instant::now();
    store.apply(base.into_iter().chain(changes).collect()).unwrap_or_else(|e| panic!("{e}"));
    let stored = start.elapsed();
    let start = Instant::now();
    let again = open(&sqlite(&folder));
    let loaded = start.elapsed();
    let start = Instant::now();
    again.apply(vec![Change::Create(Agent::new("more", "more", None).into())]).expect("stored");
    let one = start.elapsed();
    println!("{MANY} agents: stored in {stored:?}, loaded in {loaded:?}, one more in {one:?}");
    assert_eq!(again.live().load().count(Kind::Agent), MANY + 1);
    assert!(store.poll().expect("read"));
    assert_eq!(store.live().load().count(Kind::Agent), MANY + 1);
}

/// Two processes read the same agent; the later change does not undo the earlier one.
#[test]
fn the_later_of_two_changes_is_a_conflict() {
    let folder = tempfile::tempdir().expect("a folder");
    for url in [sqlite(&folder), "memory:".to_owned()] {
        let one = Store::open(&url).expect("opened");
        one.apply(vec![Change::Create(Domain::new("domain-01", "sip.local").into())]).expect("made");
        let seen = one.live().load().get(Kind::Domain, "domain-01").expect("there");
        let renamed = |name: &str| {
            let mut domain = Domain::new("domain-01", "sip.local");
            domain.name = name.into();
            vec![Change::Update(domain.into())]
        };
        let other = (url != "memory:").then(|| Store::open(&url).expect("opened"));
        other
            .as_ref()
            .unwrap_or(&one)
            .apply_if(renamed("earlier"), std::slice::from_ref(&seen))
            .expect("the first one");
        let refused = one.apply_if(renamed("later"), &[seen]).expect_err("a conflict");
        assert!(matches!(refused, StoreError::Conflict { kind: Kind::Domain, .. }), "{refused}");
        assert!(refused.to_string().contains("domain-01") && refused.to_string().contains("read it again"));
        one.poll().expect("read");
        let now = one.live().load().get(Kind::Domain, "domain-01").expect("there");
        assert_eq!(now.name(), "earlier");
        one.apply_if(renamed("later"), &[now]).expect("read again");
    }
}
