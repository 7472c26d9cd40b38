//! Changes to live tables: all or none, and cheap.

use std::time::Instant;

use trunkline_model::{Agent, Change, Credentials, Domain, Kind, Live, Reason, Ref, Tables};

fn base() -> Tables {
    let mut tables = Tables::default();
    tables
        .apply(&[
            Change::Create(agent("agent-01", "1001").into()),
            Change::Create(Domain::new("domain-01", "sip.local").into()),
            Change::Create(Credentials::new("credentials-01", "1001", "secret").into()),
        ])
        .expect("a good set");
    tables
}

fn agent(reference: &str, username: &str) -> Agent {
    let mut agent = Agent::new(reference, username, Some(Ref::new("domain-01")));
    agent.credentials = Some(Ref::new("credentials-01"));
    agent
}

#[test]
fn nothing_happens_if_one_fails() {
    let mut tables = base();
    let violations = tables
        .apply(&[
            Change::Create(agent("agent-02", "1002").into()),
            Change::Create(agent("agent-03", "1001").into()),
            Change::Update(agent("agent-04", "1004").into()),
            Change::Delete(Kind::Domain, Ref::new("domain-01")),
        ])
        .expect_err("three reasons");
    assert_eq!(tables.count(Kind::Agent), 1);
    let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(text.contains(&"Agent agent-03, spec.username: already used by agent-01".into()), "{text:?}");
    assert!(text.contains(&"Agent agent-04: there is no resource with this ref".into()), "{text:?}");
    let in_use = "Domain domain-01: still used by Agent agent-01 (spec.domainRef)";
    assert!(text.contains(&in_use.into()), "{text:?}");
}

#[test]
fn names_can_be_swapped() {
    let mut tables = base();
    tables.apply(&[Change::Create(agent("agent-02", "1002").into())]).expect("a second");
    tables
        .apply(&[
            Change::Update(agent("agent-01", "1002").into()),
            Change::Update(agent("agent-02", "1001").into()),
        ])
        .expect("swapped");
    let domain = Ref::new("domain-01");
    assert_eq!(tables.agent(Some(&domain), b"1001").map(|a| &*a.reference), Some("agent-02"));
    assert_eq!(tables.agent(Some(&domain), b"1002").map(|a| &*a.reference), Some("agent-01"));
}

#[test]
fn the_same_user_may_live_in_two_domains() {
    let mut tables = base();
    let mut other = agent("agent-02", "1001");
    other.domain = Some(Ref::new("domain-02"));
    tables
        .apply(&[Change::Create(other.into()), Change::Create(Domain::new("domain-02", "b.example").into())])
        .expect("unique per domain");
}

#[test]
fn a_whole_tree_can_go_at_once() {
    let mut tables = base();
    let all: Vec<Change> = tables.all().map(|r| Change::Delete(r.kind(), r.reference().clone())).collect();
    tables.apply(&all).expect("nothing is left behind");
    assert!(tables.is_empty());
    tables.apply(&all).expect("deleting what is not there is fine");
}

#[test]
fn a_ref_is_one_among_all_kinds() {
    let mut tables = base();
    let violations =
        tables.apply(&[Change::Put(Domain::new("agent-01", "x.example").into())]).expect_err("taken");
    assert!(matches!(&violations[0].reason, Reason::Taken { by } if **by == *"agent-01"));
}

/// One change among 100,000 agents copies a few hundred entries; even unoptimised it stays far below 50 ms.
#[test]
fn a_change_among_many_is_cheap() {
    const MANY: usize = 100_000;
    let mut tables = base();
    for n in 0..MANY {
        tables.put(agent(&format!("many-{n}"), &format!("u{n}")));
    }
    let live = Live::new(tables);
    let version = live.version();
    const CHANGES: u32 = 20;
    // The quickest: what the machine does beside it only makes one longer.
    let each = (0..CHANGES).map(|n| {
        let change = Change::Create(agent(&format!("more-{n}"), &format!("m{n}")).into());
        let start = Instant::now();
        live.try_update(|tables| tables.apply(&[change])).expect("a good change");
        start.elapsed()
    });
    let each = each.min().expect("changes");
    println!("one change among {MANY}: {each:?}");
    assert_eq!(live.version(), version + u64::from(CHANGES));
    assert!(each.as_millis() < 50, "{each:?}");
    assert_eq!(live.load().count(Kind::Agent), MANY + 1 + CHANGES as usize);
    assert!(live.load().agent(Some(&Ref::new("domain-01")), b"u99999").is_some());
}
