//! `trunkline check` of the files of services, and what a service says that cannot start.

use std::process::{Command, Output};

use trunkline_tests::{Scratch, binary};

use super::{free, location_file};

fn trunkline(folder: &Scratch, arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let command = Command::new(binary())
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs(env.iter().copied())
        .output();
    let Output { status, stdout, stderr } = command.expect("the trunkline binary starts");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn check_knows_the_files_of_services() {
    let folder = Scratch::new("check");
    folder.write("location.yaml", location_file(free(), ""));
    folder.write(
        "location.toml",
        "kind = \"Location\"\napiVersion = \"v2\"\n[spec]\nbindAddr = \"0.0.0.0:51902\"\n",
    );
    folder.write("bad.yaml", "kind: Location\napiVersion: v2\nspec:\n  bindAdr: 0.0.0.0:51902\n");
    folder.write("domains.yaml", "- {apiVersion: v2, kind: Domain, ref: d, metadata: {name: d}, spec: {context: {domainUri: sip.local}}}\n");
    let good = trunkline(&folder, &["check", "location.yaml", "location.toml"], &[]);
    assert_eq!(
        good,
        (
            Some(0),
            "location.yaml is good: trunkline location\nlocation.toml is good: trunkline location\n".into()
        )
    );
    // Beside files of resources.
    let (code, said) = trunkline(&folder, &["check", "location.yaml", "domains.yaml"], &[]);
    assert!(code == Some(0) && said.contains("trunkline location") && said.contains("1 domain"), "{said}");
    let (code, said) = trunkline(&folder, &["check", "--json", "location.yaml"], &[]);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &json["good"]), (Some(0), &serde_json::json!(true)));
    let (code, said) = trunkline(&folder, &["check", "bad.yaml"], &[]);
    assert!(
        code == Some(64) && said.contains("bad.yaml:4:3") && said.contains("did you mean `bindAddr`"),
        "{said}"
    );
}

#[test]
fn check_reads_the_functions_of_a_dispatcher() {
    let folder = Scratch::new("check");
    let file = |function: &str, addr: &str| {
        format!(
            "kind: MessageDispatcher\nspec:\n  processors:\n    - ref: p\n      addr: {addr}\n      methods: [INVITE]\n      matchFunc: {function}\n"
        )
    };
    folder.write("good.yaml", file("req => true", "connect:51904"));
    let good = trunkline(&folder, &["check", "good.yaml"], &[]);
    assert_eq!(good, (Some(0), "good.yaml is good: trunkline dispatcher\n".into()));
    for (function, addr, expected) in [
        ("req => (", "connect:51904", "bad.yaml:7:18"),
        ("'true'", "connect:51904", "matchFunc must be a function, e.g. req => true"),
        ("req => true", "connect", "bad.yaml:5:13"),
        ("''", "connect:51904", "the matchFunc is required"),
    ] {
        folder.write("bad.yaml", file(function, addr));
        let (code, said) = trunkline(&folder, &["check", "bad.yaml"], &[]);
        assert!(code == Some(64) && said.contains(expected), "{function}: {said}");
        let (code, started) = trunkline(&folder, &["dispatcher", "--config", "bad.yaml"], &[]);
        assert!(code == Some(64) && started.contains(expected), "{function}: {started}");
    }
    folder.write("bad.yaml", file("req => true", "connect:51904").replace("INVITE", "INVTE"));
    let (code, said) = trunkline(&folder, &["check", "bad.yaml"], &[]);
    assert!(code == Some(64) && said.contains("did you mean `INVITE`"), "{said}");
    // A file of another role.
    let (code, said) = trunkline(&folder, &["location", "--config", "good.yaml"], &[]);
    assert!(code == Some(64) && said.contains("run `trunkline dispatcher`"), "{said}");
    for (role, expected) in
        [("simpleauth", "environment variable PATH_TO_AUTH"), ("simpleauth", "environment variable METHODS")]
    {
        let (code, said) = trunkline(&folder, &[role], &[]);
        assert!(code == Some(64) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_service_that_cannot_start_says_why() {
    let folder = Scratch::new("start");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    folder.write("taken.yaml", location_file(taken.local_addr().expect("bound"), ""));
    folder.write("good.yaml", location_file(free(), ""));
    for (env, code, expected) in [
        (&[][..], 64, "set CONFIG_PATH, or write /etc/routr/location.yaml"),
        (&[("CONFIG_PATH", "none.yaml")][..], 64, "cannot read none.yaml"),
        (&[("CONFIG_PATH", "taken.yaml")][..], 1, "cannot listen for gRPC on"),
        (&[("CONFIG_PATH", "good.yaml"), ("TLS_ON", "yes")][..], 64, "environment variable TLS_ON"),
        (
            &[("CONFIG_PATH", "good.yaml"), ("LOGS_LEVEL", "loud")][..],
            64,
            "write error, warn, info, verbose or silly",
        ),
        (&[("CONFIG_PATH", "good.yaml"), ("VERIFY_CLIENT_CERT", "true")][..], 64, "set TLS_ON=true, too"),
        (
            &[("CONFIG_PATH", "good.yaml"), ("TLS_ON", "true")][..],
            1,
            "cannot read /etc/routr/certs/server.crt",
        ),
    ] {
        let (status, said) = trunkline(&folder, &["location"], env);
        assert!(status == Some(code) && said.contains(expected), "{env:?}: {status:?} {said}");
    }
    // The help has examples.
    let (code, said) = trunkline(&folder, &["location", "--help"], &[]);
    assert!(code == Some(0) && said.contains("Examples:") && said.contains("CONFIG_PATH"), "{said}");
}
