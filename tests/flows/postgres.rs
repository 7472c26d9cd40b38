//! Resources in a PostgreSQL database: several exchanges share it, and it goes and comes back.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use trunkline_tests::{
    Authority, Exchange, PostgresServer, Rest, Scratch, Ua, binary, exchange_command, free_port, wait_for,
};

/// An exchange on the database, with the address of its health page.
fn start(server: &PostgresServer) -> (Exchange, Rest) {
    let (url, health) = (server.url(), SocketAddr::from(([127, 0, 0, 1], free_port())));
    let env =
        [("TRUNKLINE_DATA", url.as_str()), server.password(), ("TRUNKLINE_HTTP_ADDR", &health.to_string())];
    (Exchange::start_on(&[], &env), Rest::http(health, ""))
}

fn run(exchange: &Exchange, words: &[&str]) -> (Option<i32>, String) {
    let output = exchange_command(exchange).args(words).output().expect("the command runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn ok(exchange: &Exchange, words: &[&str]) -> String {
    let (code, said) = run(exchange, words);
    assert_eq!(code, Some(0), "{words:?}: {said}");
    said
}

/// Creates an agent whose password is known.
fn create(exchange: &Exchange, user: &str) -> (Option<i32>, String) {
    let mut child = exchange_command(exchange)
        .args(["agents", "create", user, "--domain", "sip.local", "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"a-long-password-1\n").expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn register(exchange: &Exchange, user: &str, secret: &str) -> u16 {
    Ua::udp(exchange.udp(), user, "sip.local", secret).register(600).status()
}

#[test]
fn two_exchanges_share_a_database() {
    let mut server = PostgresServer::start();
    let (one, health) = start(&server);
    // The first start makes its accounts once: the second exchange finds them.
    let (two, _) = start(&server);
    let first = "First start: created the domain";
    assert!(one.log().contains(first) && !two.log().contains(first), "{}", two.log());
    let (code, said) = create(&one, "2001");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(register(&one, "2001", "a-long-password-1"), 200);
    wait_for("the agent at the other exchange", || {
        (register(&two, "2001", "a-long-password-1") == 200).then_some(())
    });
    assert_eq!(server.ask("SELECT count(*) FROM trunkline_resources WHERE kind = 'Agent'"), "3");
    // Both change at once: none of it is lost, and none comes twice.
    let made: Vec<Option<i32>> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let exchange = if n % 2 == 0 { &one } else { &two };
                scope.spawn(move || create(exchange, &format!("30{:02}", n / 2)).0)
            })
            .collect();
        tasks.into_iter().map(|task| task.join().expect("no panic")).collect()
    });
    assert_eq!(made.iter().filter(|code| **code == Some(0)).count(), 4, "{made:?}");
    ok(&two, &["agents", "delete", "2001"]);
    wait_for("the agent to be gone at the first exchange", || {
        (register(&one, "2001", "a-long-password-1") != 200).then_some(())
    });
    // The database goes: phones do not notice, changes are refused with the reason; all recovers by itself.
    server.kill();
    let degraded = |health: &Rest| {
        let ready = health.get("/readyz").json;
        ready["parts"]["resources"]["ok"] == false
            || ready.to_string().contains("PostgreSQL database trunkline")
    };
    wait_for("the health page to say so", || degraded(&health).then_some(()));
    assert_eq!(register(&one, "3001", "a-long-password-1"), 200);
    let (code, said) = create(&one, "4001");
    assert!(code == Some(1) && said.contains("the PostgreSQL database trunkline on 127.0.0.1"), "{said}");
    server.restart();
    wait_for("the health page to be content again", || (!degraded(&health)).then_some(()));
    let (code, said) = create(&one, "4001");
    assert_eq!(code, Some(0), "{said}");
    wait_for("the agent at the other exchange", || {
        (register(&two, "4001", "a-long-password-1") == 200).then_some(())
    });
    for exchange in [&one, &two] {
        assert!(!exchange.log().contains(server.password().1), "{}", exchange.log());
    }
    // An older copy takes the place of the database: what is there counts.
    server
        .ask("DELETE FROM trunkline_resources WHERE change = (SELECT max(change) FROM trunkline_resources)");
    wait_for("the agent to be gone", || (register(&two, "4001", "a-long-password-1") != 200).then_some(()));
    assert_eq!(register(&two, "3001", "a-long-password-1"), 200);
}

/// `trunkline serve` that does not come up: what it says.
fn refused(env: &[(&str, &str)]) -> String {
    let scratch = Scratch::new("no-database");
    let output = Command::new(binary())
        .arg("serve")
        .current_dir(scratch.path())
        .envs(["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|key| (format!("TRUNKLINE_{key}"), "off")))
        .envs(env.iter().copied())
        .output()
        .expect("the command runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("hush"), "{said}");
    said
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let server = PostgresServer::start();
    let url = server.url();
    // Who only looks makes nothing.
    let scratch = Scratch::new("looks");
    let look = Command::new(binary())
        .arg("check")
        .current_dir(scratch.path())
        .envs([("TRUNKLINE_DATA", url.as_str()), server.password()])
        .output()
        .expect("the command runs");
    assert!(look.status.success(), "{}", String::from_utf8_lossy(&look.stderr));
    assert_eq!(server.ask("SELECT to_regclass('trunkline_layouts') IS NULL"), "t");
    let said = refused(&[("TRUNKLINE_DATA", &url), ("PGPASSWORD", "hush")]);
    assert!(said.contains("password authentication failed for user \"trunkline\""), "{said}");
    let said = refused(&[("TRUNKLINE_DATA", &url), ("HOME", "/nowhere")]);
    assert!(said.contains("the PostgreSQL database trunkline on 127.0.0.1"), "{said}");
    let with_password = url.replace("trunkline@", "trunkline:hush@");
    let said = refused(&[("TRUNKLINE_DATA", &with_password)]);
    assert!(said.contains("a password must not be in the URL"), "{said}");
    let nobody = format!("postgres://trunkline@127.0.0.1:{}/trunkline", free_port());
    let said = refused(&[("TRUNKLINE_DATA", &nobody), ("PGPASSWORD", "hush")]);
    assert!(said.contains("refused"), "{said}");
    // A later version's tables are left alone.
    server.ask("CREATE TABLE trunkline_layouts (part text PRIMARY KEY, version bigint NOT NULL)");
    server.ask("INSERT INTO trunkline_layouts VALUES ('resources', 99)");
    let said = refused(&[("TRUNKLINE_DATA", &url), server.password()]);
    assert!(said.contains("layout 99") && said.contains("use a newer one"), "{said}");
}

#[test]
fn the_certificate_of_the_database_is_verified() {
    let authority = Authority::new();
    let (cert, key) = authority.sign(&["127.0.0.1"]);
    let server = PostgresServer::start_with(|scratch| {
        let copy = |from: &std::path::Path, name: &str| {
            let file = scratch.write(name, std::fs::read(from).expect("a file"));
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its owner's");
            file.display().to_string()
        };
        let (cert, key) = (copy(&cert, "server.crt"), copy(&key, "server.key"));
        vec!["ssl=on".into(), format!("ssl_cert_file={cert}"), format!("ssl_key_file={key}")]
    });
    let url = format!("{}?sslmode=verify-full", server.url());
    let said = refused(&[("TRUNKLINE_DATA", &url), server.password()]);
    assert!(said.contains("certificate"), "{said}");
    let ca = authority.file().display().to_string();
    // The password is in the file that PostgreSQL's own clients read.
    let pass = Scratch::new("pgpass");
    let file = pass
        .write("pgpass", format!("127.0.0.1:{}:trunkline:trunkline:{}\n", server.port, server.password().1));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its owner's");
    let file = file.display().to_string();
    let env = [("TRUNKLINE_DATA", url.as_str()), ("TRUNKLINE_TLS_TRUSTED_CA", &ca), ("PGPASSFILE", &file)];
    let exchange = Exchange::start_on(&[], &env);
    ok(&exchange, &["domains", "create", "second.local"]);
    let tls = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
               WHERE ssl AND application_name = 'trunkline'";
    assert_eq!(server.ask(tls), "1");
}

#[test]
fn what_was_exported_comes_in_again() {
    let server = PostgresServer::start();
    let (exchange, _) = start(&server);
    let exported = ok(&exchange, &["export"]);
    let file = exchange.folder().join("all.yaml");
    std::fs::write(&file, &exported).expect("a scratch file");
    let said = ok(&exchange, &["import", "--replace", "all.yaml"]);
    assert_eq!(said.trim(), "6 unchanged");
    assert_eq!(ok(&exchange, &["export"]), exported);
}
