//! Files of certificates and keys that cannot be used: `check` and `serve` name the key, its place and the remedy, and nothing starts.

use std::process::{Command, Output};

use trunkline_tests::{Authority, Scratch, binary};

/// What a command says of a configuration: its exit status and its errors.
fn said_of(folder: &Scratch, file: &str, command: &str) -> (Option<i32>, String) {
    let run = Command::new(binary())
        .args([command, "--config", file])
        .current_dir(folder.path())
        .envs(["UDP", "TCP", "TLS", "WS", "WSS"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), "off")))
        .envs(
            ["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|name| (format!("TRUNKLINE_{name}"), "off")),
        )
        .output();
    let Output { status, stderr, .. } = run.expect("the command runs");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn said(folder: &Scratch, command: &str) -> (Option<i32>, String) {
    said_of(folder, "trunkline.yaml", command)
}

#[test]
fn files_that_are_no_certificates_are_named_with_place_and_remedy() {
    let (authority, folder) = (Authority::new(), Scratch::new("certificate-files"));
    let (chain, key) = authority.sign(&["pbx.example"]);
    let (_, other) = authority.sign(&["other.example"]);
    let [chain, key, other] = [chain, key, other].map(|file| file.display().to_string());
    let garbage = folder.write("garbage.pem", "garbage\n").display().to_string();
    // Not what its head says.
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = folder.write("broken.pem", broken).display().to_string();
    let file = |text: &str| {
        [("CHAIN", &chain), ("OTHER", &other), ("KEY", &key), ("GARBAGE", &garbage), ("BROKEN", &broken)]
            .into_iter()
            .fold(text.to_owned(), |text, (name, file)| text.replace(name, file))
    };
    for (config, named, line, remedy) in [
        ("tls:\n  cert: GARBAGE\n  key: KEY\n", "tls.cert", 2, "must be PEM"),
        ("tls:\n  cert: CHAIN\n  key: GARBAGE\n", "tls.key", 3, "must be PEM"),
        (
            "tls:\n  cert: CHAIN\n  key: OTHER\n",
            "tls.cert",
            2,
            "name the key that belongs to the certificate",
        ),
        ("tls:\n  certificates: [{cert: GARBAGE, key: KEY}]\n", "tls.certificates", 2, "must be PEM"),
        ("tls:\n  clientCa: GARBAGE\n", "tls.clientCa", 2, "must be PEM"),
        ("tls:\n  trustedCa: BROKEN\n", "tls.trustedCa", 2, "openssl x509"),
        (
            "otlp:\n  url: http://127.0.0.1:9/v1/traces\n  trustedCa: GARBAGE\n",
            "otlp.trustedCa",
            3,
            "must be PEM",
        ),
        ("otlp:\n  trustedCa: BROKEN\n", "otlp.trustedCa", 2, "openssl x509"),
        ("events:\n  webhook:\n    trustedCa: GARBAGE\n", "events.webhook.trustedCa", 3, "must be PEM"),
        ("events:\n  nats:\n    trustedCa: GARBAGE\n", "events.nats.trustedCa", 3, "must be PEM"),
        ("events:\n  nats:\n    cert: GARBAGE\n    key: KEY\n", "events.nats.cert", 3, "must be PEM"),
        ("events:\n  nats:\n    cert: CHAIN\n    key: GARBAGE\n", "events.nats.key", 4, "must be PEM"),
    ] {
        folder.write("trunkline.yaml", file(config));
        for command in ["check", "serve"] {
            let (code, errors) = said(&folder, command);
            assert_eq!(code, Some(64), "{command}: {config}{errors}");
            let place = format!("trunkline.yaml:{line}:");
            for part in [format!("`{named}`"), place, remedy.to_owned()] {
                assert!(errors.contains(&part), "{command}: {part} in {errors}");
            }
            assert_eq!(errors.matches("error: ").count(), 1, "{command}: one error: {errors}");
        }
    }
    folder.write("trunkline.yaml", file("tls:\n  cert: CHAIN\n  key: KEY\n  trustedCa: CHAIN\n"));
    assert_eq!(said(&folder, "check").0, Some(0));
}

/// The folder of a Routr v1 that is not there, in both forms of the parameters.
#[test]
fn a_folder_of_resources_that_is_missing_is_named_with_its_key_and_line() {
    let folder = Scratch::new("missing-folder");
    let of = |parameters: &str| format!("apiVersion: v1\nspec:\n  dataSource:\n    {parameters}\n");
    for config in ["parameters: {path: nowhere}", "parameters: path=nowhere"] {
        folder.write("config.yml", of(config));
        for command in ["check", "serve"] {
            let (code, errors) = said_of(&folder, "config.yml", command);
            assert_eq!(code, Some(64), "{command}: {errors}");
            for part in ["`spec.dataSource.parameters.path`", "config.yml:4:", "there is no folder nowhere"] {
                assert!(errors.contains(part), "{command}: {part} in {errors}");
            }
            assert_eq!(errors.matches("error: ").count(), 1, "{errors}");
        }
    }
}

/// Without a listener of TLS or WSS the key store is not opened by `serve`, but `check` tells that it could not be.
#[test]
fn a_key_store_of_routr_v1_is_checked_before_it_is_needed() {
    let folder = Scratch::new("unused-key-store");
    folder.write("config/domains.yml", "[]\n");
    folder.write("store.p12", [0x30, 0x82, 0, 0]);
    for (file, why) in [("store.p12", "is its password right?"), ("missing.p12", "cannot read missing.p12")] {
        let transport = "  transport: [{protocol: udp, port: 5060}]\n";
        let config = format!("apiVersion: v1\nspec:\n{transport}  securityContext: {{keyStore: {file}}}\n");
        folder.write("config.yml", config);
        let (code, warned) = said_of(&folder, "config.yml", "check");
        assert_eq!(code, Some(0), "{warned}");
        for part in
            ["warning: `spec.securityContext.keyStore`", why, "not used while no transport is TLS or WSS"]
        {
            assert!(warned.contains(part), "{part}: {warned}");
        }
    }
}
