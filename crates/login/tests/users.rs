//! Users as they log in.

use std::net::IpAddr;
use std::time::Duration;

use trunkline_login::{Login, Means, Presented, Refused};
use trunkline_model::{Change, Role, Token, User};
use trunkline_store::{Store, hash_password, hash_token};

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn store() -> Store {
    let store = Store::open("memory:").expect("opened");
    let mut ann = User::new("user-ann", "ann", Role::Operator);
    ann.password_hash = Some(hash_password("horse").expect("hashed"));
    let token =
        |name: &str, text: &str, expires| Token { name: name.into(), hash: hash_token(text), expires };
    ann.tokens = vec![token("ci", "tl_good", None), token("old", "tl_old", Some(1_000_000_000))];
    let mut bob = User::new("user-bob", "bob", Role::Viewer);
    bob.tokens = vec![token("ci", "tl_bob", Some(i64::MAX))];
    store.apply(vec![Change::Create(ann.into()), Change::Create(bob.into())]).expect("stored");
    store
}

fn change(store: &Store, username: &str, edit: impl FnOnce(&mut User)) {
    let mut user = User::clone(store.live().load().user_by_username(username.as_bytes()).expect("there"));
    edit(&mut user);
    store.apply(vec![Change::Update(user.into())]).expect("stored");
}

fn ann(password: &str) -> Presented {
    Presented::password("ann", password)
}

#[tokio::test]
async fn passwords_and_tokens() {
    let store = store();
    let login = Login::new(store.live().clone()).expect("made");
    let who = login.check(A, ann("horse")).await.expect("right");
    assert_eq!(
        (who.username.as_str(), who.role, who.means.clone()),
        ("ann", Role::Operator, Means::Password)
    );
    assert!(who.may_write());
    let who = login.check(A, Presented::Token("tl_good".into())).await.expect("right");
    assert_eq!(who.means, Means::Token("ci".into()));
    let who = login.check(A, Presented::Token("tl_bob".into())).await.expect("right");
    assert!(!who.may_write(), "a viewer");
    for wrong in [
        ann("Horse"),
        ann(""),
        Presented::password("bob", ""),
        Presented::password("nobody", "horse"),
        Presented::Token("tl_old".into()),
        Presented::Token("tl_unknown".into()),
    ] {
        assert_eq!(login.check(A, wrong.clone()).await, Err(Refused::Wrong), "{wrong:?}");
    }
    let long = Presented::password("ann", "x".repeat(5000));
    assert_eq!(login.check(A, long).await, Err(Refused::Malformed));
}

#[tokio::test]
async fn a_change_is_in_force_at_once() {
    let store = store();
    let login = Login::new(store.live().clone()).expect("made");
    assert!(login.check(A, ann("horse")).await.is_ok());
    change(&store, "ann", |user| user.role = Role::Viewer);
    assert_eq!(login.check(A, ann("horse")).await.map(|who| who.role), Ok(Role::Viewer));
    change(&store, "ann", |user| user.enabled = false);
    assert_eq!(login.check(A, ann("horse")).await, Err(Refused::Wrong));
    assert_eq!(login.check(A, Presented::Token("tl_good".into())).await, Err(Refused::Wrong));
    change(&store, "ann", |user| {
        user.enabled = true;
        user.tokens.clear();
    });
    assert!(login.check(A, ann("horse")).await.is_ok());
    assert_eq!(login.check(A, Presented::Token("tl_good".into())).await, Err(Refused::Wrong));
    change(&store, "ann", |user| user.password_hash = Some(hash_password("other").expect("hashed")));
    assert_eq!(login.check(A, ann("horse")).await, Err(Refused::Wrong), "what was remembered is void");
    assert!(login.check(A, ann("other")).await.is_ok());
}

#[tokio::test]
async fn guessing_is_slowed_and_others_are_not() {
    let store = store();
    let login = Login::new(store.live().clone()).expect("made");
    assert!(login.check(B, ann("horse")).await.is_ok());
    for n in 0..5 {
        assert_eq!(login.check(A, ann(&n.to_string())).await, Err(Refused::Wrong));
    }
    let Err(Refused::Slowed { seconds }) = login.check(A, ann("horse")).await else {
        panic!("even the right one is not looked at, though it is remembered");
    };
    assert!((1..=10).contains(&seconds), "{seconds}");
    assert!(login.check(B, ann("horse")).await.is_ok());
    assert!(login.check(A, Presented::Token("tl_good".into())).await.is_ok());
    // Walking through the users is slowed too, at 30 of all.
    for n in 0..25 {
        assert_eq!(login.check(A, Presented::Token(format!("tl_{n}"))).await, Err(Refused::Wrong));
    }
    let next = login.check(A, Presented::Token("tl_good".into())).await;
    assert!(matches!(next, Err(Refused::Slowed { .. })), "{next:?}");
}

#[tokio::test]
async fn a_flood_of_one_source_does_not_pass_the_limit() {
    let store = store();
    let login = Login::new(store.live().clone()).expect("made");
    let flood: Vec<_> = (0..100)
        .map(|n| {
            let login = login.clone();
            tokio::spawn(async move { login.check(A, ann(&n.to_string())).await })
        })
        .collect();
    let mut wrong = 0;
    for guess in flood {
        match guess.await.expect("no panic") {
            Err(Refused::Wrong) => wrong += 1,
            Err(Refused::Busy | Refused::Slowed { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    // Those under way when the limit is reached are one per hashing thread.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    assert!(wrong <= 5 + threads, "{wrong} were looked at");
    let other = tokio::time::timeout(Duration::from_secs(60), login.check(B, ann("horse"))).await;
    assert!(other.expect("answered").is_ok());
}
