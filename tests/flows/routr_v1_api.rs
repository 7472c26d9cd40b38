//! The REST API of Routr v1 on a running exchange.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;
use trunkline_tests::V1Edition::{Late, Rc2};
use trunkline_tests::{Exchange, Rest, Scratch, V1Folder, binary, key_store, wait_for};

use super::routr_v1::registered;

/// `admin:changeit`.
const LOGIN: &str = "YWRtaW46Y2hhbmdlaXQ=";

fn address(folder: &V1Folder) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], folder.rest))
}

/// A client over HTTPS that believes the exchange's own certificate, and a token.
pub fn client(folder: &V1Folder, exchange: &Exchange) -> (Rest, String) {
    let certificate = exchange.folder().join("trunkline.crt");
    let rest = Rest::https(address(folder), "/api/v1beta1", &certificate);
    let reply = rest.get_as("/credentials", LOGIN);
    assert_eq!(reply.status, 200, "{}", reply.body);
    (rest, reply.body)
}

#[test]
fn a_client_of_an_early_edition_logs_in_and_looks_around() {
    let folder = V1Folder::new(Rc2);
    let exchange = folder.start(&[("HOME", "home"), ("ROUTR_SALT", "1ecdc765b27e4b80924f4c5deeccf590")]);
    let (rest, token) = client(&folder, &exchange);
    // The salt is one that a Routr v1 signed with.
    assert!(
        token.ends_with("-m2ph4euWA_zl3G_q01SdCo0Drg-_Dya3_OLTRGbRImnG5P-TfAgboqf5y3qGu1l39BA"),
        "{token}"
    );
    assert_eq!(rest.get_as("/credentials", "YWRtaW46d3Jvbmc=").status, 401);
    assert_eq!(rest.get("/agents").status, 401);
    let get = |path: &str| rest.get(&format!("{path}?token={token}"));
    assert_eq!(get("/agents").json["result"].as_array().map(Vec::len), Some(2));
    let one = rest.get(&format!("/agents?token={token}&filter=@.spec.credentials.username=='1001'&null"));
    assert_eq!(one.json["result"][0]["metadata"]["ref"], "ag3f77f6");
    assert!(!one.body.contains("pw-1001"), "{}", one.body);
    assert_eq!(get("/dids").json["result"][0]["metadata"]["geoInfo"]["city"], "Durham");
    assert_eq!(get("/gateways/provider").json["result"]["spec"]["credentials"]["username"], "account");
    assert_eq!(get("/system/status").json, json!({"status": "Up"}));
    let info = get("/system/info");
    assert_eq!(info.json["env"].as_array().map(Vec::len), Some(8));
    assert!(!info.body.contains("1ecdc765"), "the salt is not told: {}", info.body);
}

#[test]
fn a_client_of_a_late_edition_sees_phones_come_and_go() {
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[]);
    let (rest, token) = client(&folder, &exchange);
    let salt = exchange.folder().join(".routr.salt");
    let mode = std::fs::metadata(&salt).expect("the salt is kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let get = |path: &str| rest.get(&format!("{path}?token={token}"));
    assert_eq!(get("/location").json["data"], json!([]));
    let phone = registered(&exchange, "1001");
    let list = get("/location").json;
    assert_eq!(list["data"][0]["addressOfRecord"], "sip:1001@sip.local");
    let info = list["data"][0]["contactInfo"].as_str().expect("a contact").to_owned();
    assert!(info.contains(&phone.wire.local().to_string()) && info.contains(";nat=false;expires="), "{info}");
    assert_eq!(list["meta"]["totalItems"], 1);
    let evicted = rest.send("DELETE", &format!("/location?token={token}"), "", "");
    assert_eq!(evicted.body, "{\"status\": \"200\", \"message\":\"Evicted All!\"}");
    assert_eq!(get("/location").json["data"], json!([]));
    let page = rest.get(&format!("/agents?page=2&itemsPerPage=1&token={token}"));
    assert_eq!(page.json["data"][0]["spec"]["credentials"]["username"], "1002");
    assert_eq!(page.json["meta"]["totalPages"], 2);
    let body = "{\"apiVersion\":\"v1\",\"kind\":\"Peer\",\"metadata\":{\"name\":\"New peer\"},\"spec\":{\"credentials\":{\"username\":\"new\",\"secret\":\"x\"}}}";
    let refused = rest.send("POST", &format!("/peers?token={token}"), "", body);
    assert_eq!((refused.status, &refused.json["status"]), (405, &405.into()), "{}", refused.body);
    let log = get("/system/logs");
    assert!(log.json["data"].as_str().is_some_and(|log| log.contains("listening")), "{}", log.body);
    let config = get("/system/config");
    assert_eq!(config.json["data"]["spec"]["restService"]["port"], folder.rest);
}

#[test]
fn its_certificate_is_that_of_the_key_store() {
    let stores = Scratch::new("key-store");
    let (certificate, store) = key_store("127.0.0.1", "changeit");
    // `keytool` writes PKCS#12 under this name.
    let store = stores.write("api-cert.jks", store);
    let certificate = stores.write("api.pem", certificate);
    let mut folder = V1Folder::new(Rc2);
    folder.more = format!("    keyStore: {}\n", store.display());
    let exchange = folder.start(&[("HOME", ".")]);
    assert!(!exchange.log().contains("keyStore"), "nothing is left unsaid: it is honoured");
    let rest = Rest::https(address(&folder), "/api/v1beta1", &certificate);
    assert_eq!(rest.get_as("/credentials", LOGIN).status, 200);
}

/// `keytool` made it: a key in Java's own form.
#[test]
fn a_jks_is_read_for_the_api_and_for_phones() {
    let transport = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/transport/tests");
    let mut folder = V1Folder::new(Late);
    let tls = trunkline_tests::free_port();
    folder.more = format!(
        "    keyStore: {transport}/keystore.jks\n  securityContext:\n    keyStore: {transport}/keystore.jks\n    trustStore: {transport}/keystore.jks\n    client: {{authType: Want}}\n"
    );
    let mut files = folder.files();
    files[0].1.push_str(&format!("    - {{protocol: tls, port: {tls}}}\n"));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let exchange = Exchange::start_routr_v1(folder.sip, &files, &[]);
    // Nothing but what the resources leave open.
    let log = exchange.log();
    let of_resources = |line: &&str| {
        [" credentials ", " domain ", " trunk ", " user "].iter().any(|kind| line.contains(kind))
    };
    assert!(log.lines().filter(|line| line.contains("WARN")).all(|line| of_resources(&line)), "{log}");
    let certificate = std::path::PathBuf::from(format!("{transport}/keystore.pem"));
    let rest = Rest::https(address(&folder), "/api/v1beta1", &certificate);
    assert_eq!(rest.get_as("/credentials", LOGIN).status, 200);
    let phones = Rest::https(SocketAddr::from(([127, 0, 0, 1], tls)), "", &certificate);
    // The handshake is what is tried: SIP is no HTTP.
    let _ = phones.get("/");
}

#[test]
fn files_are_for_their_owner_alone() {
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[]);
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(exchange.folder()).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The test made the others.
        if entry.path().is_file() && name != "log" {
            let mode = entry.metadata().expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            seen.push(name);
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

#[test]
fn what_changes_in_the_files_is_told() {
    let folder = V1Folder::new(Late);
    let exchange = folder.start(&[]);
    let (rest, token) = client(&folder, &exchange);
    let users = exchange.folder().join("config/users.yml");
    let agents = exchange.folder().join("config/agents.yml");
    std::fs::write(&agents, trunkline_tests::v1_agent("1007")).expect("written");
    wait_for("the new agent", || {
        let reply = rest.get(&format!("/agents?token={token}"));
        (reply.json["data"][0]["spec"]["credentials"]["username"] == "1007").then_some(())
    });
    std::fs::write(users, "[]\n").expect("written");
    wait_for("the user to be gone", || {
        (rest.get(&format!("/agents?token={token}")).status == 401).then_some(())
    });
}

#[test]
fn it_is_told_to_end_and_to_start_again() {
    for (word, code) in [("down", 0), ("restarting", 123)] {
        let mut folder = V1Folder::new(Late);
        folder.more = "    unsecured: true\n".into();
        let mut exchange = folder.start(&[]);
        let rest = Rest::http(address(&folder), "/api/v1beta1");
        let token = rest.get_as("/token", LOGIN).json["data"].as_str().expect("a token").to_owned();
        assert_eq!(rest.send("POST", &format!("/system/status/{word}"), "", "").status, 401);
        let sent = rest.send("POST", &format!("/system/status/{word}?token={token}&now=true"), "", "");
        assert_eq!(sent.body, "{\"status\": \"200\", \"message\":\"Request sent to server\"}");
        assert_eq!(exchange.ended(), Some(code), "{word}");
    }
}

#[test]
fn without_a_configuration_of_routr_v1_it_is_not_there() {
    let exchange = Exchange::start(&super::agents());
    assert!(!exchange.log().contains("restService"));
    // Nobody else on this machine may be asked, so its own listeners are.
    let listening =
        std::fs::read_to_string(format!("/proc/{}/net/tcp", exchange.pid())).expect("its sockets");
    let own: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", exchange.pid()))
        .expect("its files")
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.display().to_string()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let port = format!(":{:04X}", 4567);
    let open = listening.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some((*fields.get(1)?, *fields.get(3)?, (*fields.get(9)?).to_owned()))
    });
    let found =
        open.filter(|(at, state, inode)| at.ends_with(&port) && *state == "0A" && own.contains(inode));
    assert_eq!(found.count(), 0, "port 4567");
}

#[test]
fn a_busy_port_is_an_error_that_names_its_key() {
    let folder = V1Folder::new(Late);
    let other = TcpListener::bind(address(&folder)).expect("the port is free");
    refused(&folder, "spec.restService.port");
    drop(other);
    let _other = TcpListener::bind(("127.0.0.1", folder.sip)).expect("the port is free");
    refused(&folder, "spec.transport, protocol tcp");
}

/// An exchange does not start on the folder, and names the key.
fn refused(folder: &V1Folder, key: &str) {
    let scratch = Scratch::new("busy-v1");
    for (path, text) in folder.files() {
        scratch.write(path, text);
    }
    let output = Command::new(binary())
        .args(["serve", "--config", "config/config.yml"])
        .current_dir(scratch.path())
        .envs(["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|key| (format!("TRUNKLINE_{key}"), "off")))
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(key), "{said}");
}
