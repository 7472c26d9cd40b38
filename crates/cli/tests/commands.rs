//! Commands as an operator types them: on the database, and through the socket of a running server.

mod place;

use std::sync::{Arc, Mutex};

use clap::Parser;
use place::{Arguments, Place};
use trunkline_cli::ControlServer;
use trunkline_cli::protocol::{
    ApplyMode, CallRecord, Happened, LiveCall, RecordQuery, Registration, Request, Response, Seen, Status,
};
use trunkline_operations::{OperationError, Operations};
use trunkline_store::Store;

/// A running exchange, as far as the commands see one.
struct Fake {
    store: Arc<Store>,
    kicked: Mutex<Vec<String>>,
}

impl Operations for Fake {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        Ok(self.store.clone())
    }

    fn status(&self) -> Status {
        Status {
            running: true,
            version: "1.2.3".into(),
            listeners: vec!["udp 0.0.0.0:5060".into()],
            degraded: vec!["trunk provider does not answer".into()],
            ..Status::default()
        }
    }

    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, OperationError> {
        let all = ["sip:1001@sip.local", "sip:1002@sip.local", "sip:1002@other.example"];
        let found = all.iter().filter(|aor| filter.is_none_or(|text| aor.contains(text)));
        Ok(found
            .take(limit)
            .map(|aor| Registration {
                aor: (*aor).into(),
                contact: "sip:x@192.0.2.7:5060".into(),
                expires: 3599,
                flow: "udp 192.0.2.7:5060".into(),
                ..Registration::default()
            })
            .collect())
    }

    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, OperationError> {
        self.kicked.lock().expect("lock").push(format!("{aor} {}", contact.unwrap_or("*")));
        Ok(1)
    }

    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, OperationError> {
        let call_id = format!("abc {} {limit}", filter.unwrap_or("all"));
        Ok(vec![LiveCall { call_id, state: "up".into(), ..LiveCall::default() }])
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, OperationError> {
        // Pages of a table of 2,500 records.
        if query.limit == 1000 {
            let before = query.before.unwrap_or(2_501);
            let ids = (1..before).rev().take(query.limit);
            return Ok(ids
                .map(|id| CallRecord { id, caller: "=1+1".into(), ..CallRecord::default() })
                .collect());
        }
        if query.id.as_deref() == Some("0") {
            return Ok(Vec::new());
        }
        let asked = (query.failed, query.reason.as_deref(), query.id.as_deref());
        let cause = format!("limit {} since {} {asked:?}", query.limit, query.since.is_some());
        let called = |text: &str| Some(text.to_owned());
        Ok(vec![CallRecord {
            cause,
            id: 42,
            status: 480,
            reason: called("callee.not-registered"),
            ended_by: called("us"),
            started_ms: 1_795_235_778_123,
            ended_ms: Some(1_795_235_778_124),
            count: 1,
            started: 1_795_235_778,
            trunk: called("trunk-carrier"),
            source: called("198.51.100.7"),
            caller_ref: called("trunk-carrier"),
            ..CallRecord::default()
        }])
    }

    fn follow(
        &self,
        query: &RecordQuery,
        tell: &mut dyn FnMut(Happened) -> std::io::Result<()>,
    ) -> Result<(), OperationError> {
        let call = CallRecord { caller: "sip:1001@sip.local".into(), status: 486, ..CallRecord::default() };
        let began = Some(call.clone()).filter(|_| !query.failed);
        let all = [
            Happened::default(),
            Happened { began, ..Happened::default() },
            Happened { ended: Some(call), lost: 7, ..Happened::default() },
        ];
        let mut all = all.into_iter();
        // The exchange ends.
        all.try_for_each(tell).map_err(|error| OperationError::Failed(error.to_string()))
    }
}

#[test]
fn a_day_of_an_operator() {
    let place = Place::new();
    let missing = place.wrong("agents list", 1);
    assert!(missing.contains("there is no database") && missing.contains("trunkline serve"), "{missing}");
    assert!(!place.path("trunkline.db").exists(), "a list makes nothing");

    place.ok("domains create sip.local");
    let made = place.ok("agents create 1003 --name Ann␣Lee");
    assert!(made.starts_with("created Agent agent-1003\npassword: "), "{made}");
    let secret = made.trim().rsplit(' ').next().expect("a secret").to_owned();
    assert_eq!(secret.len(), 16);
    let store = Store::open(&place.url()).expect("opened");
    let stored = store.live().load().credentials_by_ref("credentials-1003").map(|c| c.password.clone());
    assert_eq!(stored.as_deref(), Some(secret.as_str()));

    let said = place.said("agents create 1004 --password-stdin --set maxContacts=2", "hush hush\n");
    assert_eq!((said.code, said.out.as_str()), (0, "created Agent agent-1004\n"), "{}", said.err);
    let list = place.ok("agents list");
    let expected = "\
REF         USERNAME  DOMAIN            CREDENTIALS       ENABLED  NAME
agent-1003  1003      domain-sip.local  credentials-1003  yes      Ann Lee
agent-1004  1004      domain-sip.local  credentials-1004  yes      1004
";
    assert_eq!(list, expected);
    let json: serde_json::Value =
        serde_json::from_str(&place.ok("agents list --filter 1004 --json")).expect("json");
    assert_eq!(json[0]["spec"]["maxContacts"], 2);

    let all =
        [place.ok("credentials list --json"), place.ok("credentials get 1004"), place.ok("credentials list")];
    for text in all {
        assert!(!text.contains("hush") && !text.contains(&secret), "{text}");
    }

    place.ok("agents update 1003@sip.local --set fallback.busy=sip:1004@sip.local --set metadata.name=Ann");
    let yaml = place.ok("agents get agent-1003");
    assert!(yaml.contains("busy: \"sip:1004@sip.local\"") && yaml.contains("name: Ann\n"), "{yaml}");
    let renewed = place.ok("agents update 1003 --generate-password");
    assert!(renewed.contains("password: ") && !renewed.contains(&secret), "{renewed}");
    // A change of something else leaves the secret.
    place.ok("credentials update credentials-1004 --set metadata.name=four");
    store.poll().expect("read");
    let stored = store.live().load().credentials_by_ref("credentials-1004").map(|c| c.password.clone());
    assert_eq!(stored.as_deref(), Some("hush hush"));

    let refused = place.wrong("domains delete sip.local", 1);
    assert!(
        refused.contains("still used by Agent agent-1003 (spec.domainRef), Agent agent-1004"),
        "{refused}"
    );
    assert_eq!(place.ok("agents delete 1003 1004 --with-credentials"), "4 deleted\n");
    assert_eq!(place.ok("domains delete sip.local"), "1 deleted\n");
}

#[test]
fn every_kind_can_be_made() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("acl create office --allow 192.0.2.0/24 --allow 2001:db8::/32 --deny 192.0.2.66");
    place.ok("credentials create pbx-1 --generate-password");
    place.ok("peers create asterisk --aor sip:conference@sip.local --contact 127.0.0.1:5070 --acl office");
    let trunk = "trunks create provider --host sip.provider.example --transport tls --user pbx-1 --register --acl office";
    assert!(place.wrong(trunk, 64).contains("--password-stdin"), "the carrier made the password");
    assert_eq!(place.said(&format!("{trunk} --password-stdin"), "theirs\n").code, 0);
    place.ok("trunks create Other --inbound pbx.example --host 192.0.2.10 --credentials credentials-pbx-1");
    place.ok("trunks create Fixed --host 192.0.2.11 --port 5080 --transport tcp");
    assert!(place.ok("trunks list").contains("tcp:192.0.2.11:5080"));
    place.ok("numbers create +17066041487 --trunk provider --to sip:1001@sip.local");
    place.ok(
        "domains update sip.local --set context.egressPolicies=[{rule:␣'.*',␣numberRef:␣number-17066041487}]",
    );
    place.ok("users create ann --role operator");
    assert!(
        place
            .ok("numbers list")
            .contains("number-17066041487  +17066041487  trunk-provider  sip:1001@sip.local")
    );
    let trunks = place.ok("trunks list");
    assert!(trunks.contains("tls:sip.provider.example "), "{trunks}");
    assert!(trunks.contains(" 192.0.2.10 "), "{trunks}");
    assert!(place.ok("domains list").contains(".*→number-17066041487"));
    assert!(!place.ok("users get ann --json").contains("argon2"));
    assert!(place.ok("check").contains("1 domain,"));

    // What is exported imports the same.
    let backup = place.path("backup.yaml");
    place.ok(&format!("export --output {}", backup.display()));
    let other = Place::new();
    let done = other.ok(&format!("import {}", backup.display()));
    assert_eq!(done, "11 created\n");
    assert_eq!(other.ok("export"), place.ok("export"));
    assert_eq!(other.ok(&format!("import --replace {}", backup.display())), "11 unchanged\n");
}

#[test]
fn tokens_of_users() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("users create ann --role operator");
    let made = place.ok("users token create ann --name backup");
    let token = made.strip_prefix("created token backup of ann\ntoken: ").expect(&made).trim();
    assert!(token.starts_with("tl_") && token.len() == 43, "{token}");
    let json: serde_json::Value =
        serde_json::from_str(&place.ok("users token create user-ann --name ci --expires 90d --json"))
            .expect("json");
    let in_days = json["expires"].as_i64().expect("a time") - 90 * 86_400;
    assert!(in_days > 1_700_000_000, "{json}");

    let store = Store::open(&place.url()).expect("opened");
    let stored = store.live().load().user_by_username(b"ann").map(|user| user.tokens.clone()).expect("ann");
    let hashes: Vec<&str> = stored.iter().map(|token| token.hash.as_str()).collect();
    let second = json["token"].as_str().expect("a token");
    assert_eq!(hashes, [trunkline_store::hash_token(token), trunkline_store::hash_token(second)]);
    let password = store.live().load().user_by_username(b"ann").and_then(|user| user.password_hash.clone());
    assert!(password.is_some(), "the password stays");

    let list = place.ok("users token list ann");
    assert!(list.starts_with("NAME    EXPIRES\nbackup  never\nci      20"), "{list}");
    assert!(!list.contains(token) && !list.contains(hashes[0]), "{list}");
    assert!(!place.ok("users token list ann --json").contains(hashes[0]));
    let error = place.wrong("users token create ann --name ci", 64);
    assert!(
        error.contains("has a token `ci` already: delete it with `trunkline users token delete ann ci`"),
        "{error}"
    );
    let error = place.wrong("users token delete ann other", 1);
    assert!(error.contains("ann has no token `other`, only: backup, ci"), "{error}");
    assert!(place.wrong("users token list bob", 1).contains("there is no User `bob`"));
    assert_eq!(place.ok("users token delete ann backup"), "deleted token backup of ann\n");
    assert_eq!(place.ok("users token list ann").lines().count(), 2);
    store.poll().expect("read");
    assert_eq!(store.live().load().user_by_username(b"ann").map(|user| user.tokens.len()), Some(1));
    let mut command = <Arguments as clap::CommandFactory>::command();
    let help = command.find_subcommand_mut("users").and_then(|c| c.find_subcommand_mut("token"));
    let help = help.expect("a subcommand").render_long_help().to_string();
    assert!(help.contains("  trunkline users token create ann --name backup"), "{help}");
}

#[test]
fn help_has_examples() {
    use clap::CommandFactory;
    let mut command = Arguments::command();
    command.clone().debug_assert();
    for name in
        ["agents", "domains", "peers", "trunks", "numbers", "credentials", "acl", "users", "calls", "import"]
    {
        let found = command.find_subcommand_mut(name).expect("a subcommand");
        assert!(found.render_long_help().to_string().contains(&format!("  trunkline {name} ")), "{name}");
    }
}

#[test]
fn mistakes_end_with_64() {
    let place = Place::new();
    place.ok("domains create sip.local");
    let error = place.wrong("agents update 1001", 64);
    assert!(error.contains("nothing to change"), "{error}");
    let error = place.wrong("credentials update x --set credentials.password=y", 1);
    assert!(error.contains("there is no Credentials `x`"), "{error}");
    place.ok("credentials create x");
    let error = place.wrong("credentials update x --set credentials.password=y", 64);
    assert!(error.contains("--password-stdin"), "{error}");
    let error = place.wrong("agents create 1001 --set colour=red", 64);
    assert!(
        error.contains("unknown key `colour`") && error.contains("Agent.spec takes: username"),
        "{error}"
    );
    let error = place.wrong("agents create 1001 --domain nowhere.example", 64);
    assert!(error.contains("there is no Domain `nowhere.example`"), "{error}");
    place.ok("agents create 1001");
    let error = place.wrong("agents create 1001 --ref other --credentials x", 64);
    assert!(error.contains("agent 1001 exists: use `agents update`"), "{error}");
    let error = place.wrong("agents create 1009 --ref domain-sip.local", 64);
    assert!(error.contains("already used by domain-sip.local"), "{error}");

    std::fs::write(
        place.path("bad.yaml"),
        "- {apiVersion: v2, kind: Agent, ref: a, metadata: {name: a}, spec: {usrname: b}}\n",
    )
    .expect("written");
    let bad = place.path("bad.yaml");
    for line in [format!("check {}", bad.display()), format!("import {}", bad.display())] {
        let error = place.wrong(&line, 64);
        assert!(error.starts_with("error: unknown key `usrname` (did you mean `username`?)"), "{error}");
        assert!(error.contains("bad.yaml:1:69"), "{error}");
    }
    std::fs::write(place.path("trunkline.yaml"), "domian: x\n").expect("written");
    let error = place.wrong("status", 64);
    assert!(error.contains("did you mean `domain`?"), "{error}");

    assert!(Arguments::try_parse_from(["trunkline", "agents", "create", "1", "--password", "x"]).is_err());
    let code = trunkline_cli::parse::<Arguments>(["trunkline", "agents", "creat"]).err().expect("a mistake");
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::from(64)));
}

#[test]
fn through_the_socket_of_a_server() {
    let place = Place::new();
    let store = Store::open(&place.url()).expect("opened");
    store.bootstrap("sip.local").expect("made");
    let backend = Arc::new(Fake { store: Arc::new(store), kicked: Mutex::default() });
    let socket = place.path("trunkline.sock");
    // What a dead process left.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    let server = ControlServer::start(&socket, backend.clone()).expect("started");
    assert!(ControlServer::start(&socket, backend.clone()).is_err(), "one at a time");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);

    let status = place.ok("status");
    assert!(status.contains("running, version 1.2.3"), "{status}");
    assert!(status.contains("degraded       trunk provider does not answer"), "{status}");
    assert!(status.contains("2 agents"), "{status}");
    place.ok("agents create 1003");
    assert_eq!(backend.store.live().load().agents().count(), 3, "the server's own tables have it at once");

    assert!(
        place.ok("registrations --filter 1001").contains("sip:1001@sip.local  sip:x@192.0.2.7:5060  59m 59s")
    );
    let said = place.said("registrations --limit 2", "");
    assert_eq!((said.out.lines().count(), said.err.as_str()), (3, "there may be more: --limit 20\n"));
    let error = place.wrong("registrations kick 1002", 64);
    assert!(error.contains("sip:1002@other.example, sip:1002@sip.local"), "{error}");
    place.ok("registrations kick 1002@sip.local");
    place.ok("registrations kick 1001 --contact sip:x@192.0.2.7:5060");
    place.wrong("registrations kick 1009", 1);
    let kicked = backend.kicked.lock().expect("lock").clone();
    assert_eq!(kicked, ["sip:1002@sip.local *", "sip:1001@sip.local sip:x@192.0.2.7:5060"]);
    assert!(place.ok("calls").contains("abc all 1000"));
    let said = place.said("calls --filter 1001 --limit 1", "");
    assert!(said.out.contains("abc 1001 1") && said.err.contains("there may be more"), "{}", said.out);
    assert!(place.ok("calls list --filter 1001").contains("abc 1001 1000"));
    let records = place.ok("calls records --since 2h --limit 7");
    assert!(records.contains("2026-11-21 04:36:18") && records.contains("limit 7 since true"), "{records}");
    assert!(records.contains("TRUNK          ACCOUNT        SOURCE        CALL-ID"), "{records}");
    assert!(records.contains("trunk-carrier  trunk-carrier  198.51.100.7"), "{records}");
    assert!(
        records.contains("42") && records.contains("480") && records.contains("callee.not-registered"),
        "{records}"
    );
    let failed = place.ok("calls --failed --reason callee.no-answer");
    assert!(failed.contains(r#"limit 50 since false (true, Some("callee.no-answer"), None)"#), "{failed}");
    let shown = place.ok("calls show 42");
    for line in [
        "number           42",
        "started          2026-11-21 04:36:18.123 UTC",
        "status           480 Temporarily Unavailable",
        "ended by         this exchange",
        "reason           callee.not-registered",
        "what to do       ",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&place.ok("calls show 42 --json")).expect("JSON")["id"],
        42
    );
    assert!(place.wrong("calls show 0", 1).contains("no call has the number or Call-ID `0`"));
    let csv = place.ok("calls --csv");
    assert_eq!(csv.split_terminator("\r\n").count(), 2_501, "a header and all pages");
    assert!(csv.contains("\r\n1,,") && !csv.contains(",=1"));
    assert_eq!(place.ok("calls records --csv --limit 3").lines().count(), 2);
    assert!(place.ok("calls list --csv").starts_with("id,callId,state"));
    for usage in
        ["calls --csv --json", "calls list --failed", "calls show 42 --follow", "calls --follow --since 1h"]
    {
        place.wrong(usage, 64);
    }
    let said = place.said("calls --follow --json --limit 2", "");
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!((said.code, events.len()), (0, 2), "{}", said.err);
    assert_eq!((&events[0]["event"], &events[1]["status"]), (&"began".into(), &486.into()));
    assert!(said.err.contains("7 calls were not shown"), "{}", said.err);
    let said = place.said("calls --follow --failed", "");
    assert!(
        said.out.contains("ended  0  sip:1001@sip.local > ") && !said.out.contains("began"),
        "{}",
        said.out
    );
    assert!(said.code == 1 && said.err.contains("the exchange has ended"), "{}", said.err);
    let json = place.ok("calls records --json");
    assert!(
        json.contains(r#""source": "198.51.100.7""#) && json.contains(r#""callerRef": "trunk-carrier""#),
        "{json}"
    );

    drop(server);
    assert!(!socket.exists(), "it cleans up");
    assert!(place.ok("status").contains("not running"));
    assert!(place.wrong("registrations", 1).contains("trunkline serve"));
}

#[test]
fn a_stranger_on_the_socket_gets_an_answer() {
    use std::io::{BufRead, Write};
    let place = Place::new();
    let backend =
        Arc::new(Fake { store: Arc::new(Store::open("memory:").expect("opened")), kicked: Mutex::default() });
    let server = ControlServer::start(&place.path("s.sock"), backend).expect("started");
    let mut stream = std::os::unix::net::UnixStream::connect(server.path()).expect("connected");
    stream.write_all(b"{\"do\":\"dance\"}\nnot json\n{\"do\":\"export\"}\n").expect("sent");
    let mut lines = std::io::BufReader::new(stream).lines().map(|line| line.expect("a line"));
    assert!(lines.next().expect("an answer").contains("does not know this request"));
    assert!(lines.next().expect("an answer").contains("does not know this request"));
    assert_eq!(lines.next().expect("an answer"), r#"{"is":"text","text":""}"#);
}

/// Two operators change an agent that both have read: the later one is told, and nothing is lost.
#[test]
fn the_later_of_two_operators_gets_a_conflict() {
    let store = Store::open("memory:").expect("opened");
    store.bootstrap("sip.local").expect("made");
    let operations = trunkline_cli::StoreOnly::new(store, "memory:");
    let read = || match trunkline_cli::answer(
        &operations,
        Request::Get { kind: "agents".into(), name: "1001".into() },
    ) {
        Response::Resource { document, seen } => (document, seen),
        other => panic!("{other:?}"),
    };
    let change = |(mut document, seen): (serde_json::Value, Seen), name: &str| {
        document["metadata"]["name"] = name.into();
        let (documents, seen) = (vec![document], vec![seen]);
        let mode = ApplyMode::Update;
        trunkline_cli::answer(&operations, Request::Apply { mode, texts: Vec::new(), documents, seen })
    };
    let (one, other) = (read(), read());
    assert_eq!(one, other);
    assert!(matches!(change(one, "Ann"), Response::Changed(_)));
    match change(other, "Bo") {
        Response::Failed { message, usage: false } => {
            assert!(
                message.contains("changed by somebody else") && message.contains("read it again"),
                "{message}"
            );
        }
        answer => panic!("{answer:?}"),
    }
    assert_eq!(read().0["metadata"]["name"], "Ann");
    assert!(matches!(change(read(), "Bo"), Response::Changed(_)), "read again");
}
