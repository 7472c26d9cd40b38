//! The API over a real listener, as clients of either edition meet it.

#[allow(dead_code, reason = "each test file of the crate uses a part of it")]
mod client;

use client::{Reply, Site};
use serde_json::{Value, json};
use trunkline_model::dialect::v1::Edition::{Late, Rc2};
use trunkline_operations::Stop;

/// The names of what a list holds.
fn names(reply: &Reply) -> Vec<String> {
    let items = reply.json["data"].as_array().unwrap_or_else(|| panic!("no list: {}", reply.body));
    assert_eq!(reply.json["data"], reply.json["result"], "one payload under both names");
    items.iter().map(|one| one["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Status over HTTP, status and message of the body.
fn said(reply: &Reply) -> (u16, u64, &str) {
    let json = &reply.json;
    (reply.status, json["status"].as_u64().unwrap_or_default(), json["message"].as_str().unwrap_or_default())
}

#[test]
fn a_login_gives_a_token_in_both_forms() {
    for edition in [Rc2, Late] {
        let site = Site::start(edition);
        let text = site.basic("/credentials", "admin", "changeit");
        assert_eq!(text.status, 200, "{}", text.body);
        assert_eq!(text.body.split('.').count(), 3, "the token alone: {}", text.body);
        let json = site.basic("/token", "admin", "changeit");
        assert_eq!(said(&json), (200, 200, "Successful request"));
        assert_eq!(json.json["data"], text.body.as_str());
        assert_eq!(json.json["result"], text.body.as_str());
        for (user, password) in [("admin", "wrong"), ("nobody", "changeit"), ("off", "changeit"), ("", "")] {
            let refused = site.basic("/token", user, password);
            assert_eq!(refused.status, 401, "{user}");
            assert_eq!(refused.body, "{\"status\": \"401\", \"message\":\"Unauthorized\"}");
        }
        assert_eq!(site.get("/token").status, 401);
        // It is good in the query and as a bearer, and not after its user went.
        let path = format!("/agents?token={}", text.body);
        assert_eq!(site.get(&path).status, 200);
        let bearer = format!("Authorization: Bearer {}\r\n", text.body);
        assert_eq!(site.send("GET", "/agents", &bearer, "").status, 200);
        site.backend.dismiss("admin");
        assert_eq!(site.get(&path).status, 401);
    }
}

#[test]
fn who_guesses_is_slowed() {
    let site = Site::start(Late);
    let replies: Vec<Reply> = (0..10).map(|_| site.basic("/token", "admin", "guess")).collect();
    let slowed = replies.iter().find(|reply| reply.status == 429).expect("a brake");
    assert!(slowed.head.to_ascii_lowercase().contains("retry-after:"), "{}", slowed.head);
}

#[test]
fn without_a_token_nothing_is_told() {
    let paths =
        ["/agents", "/agents/x", "/users", "/location", "/registry", "/system/info", "/system/config"];
    for edition in [Rc2, Late] {
        let site = Site::start(edition);
        for path in paths.iter().chain(&["/system/logs", "/nothing", "/a/b/c/d", ""]) {
            assert_eq!(site.get(path).status, 401, "{edition:?} {path}");
            assert_eq!(site.get(&format!("{path}?token=eyJhbGciOiJub25lIn0.e30.")).status, 401, "{path}");
        }
        assert_eq!(site.send("POST", "/system/status/down", "", "").status, 401);
        assert_eq!(site.backend.stopped(), None);
        // Late editions tell anybody that they are up.
        assert_eq!(site.get("/system/status").status, if edition == Late { 200 } else { 401 });
    }
}

#[test]
fn lists_filters_and_single_documents() {
    for edition in [Rc2, Late] {
        let site = Site::start(edition);
        let all = site.with_token("GET", "/agents", "");
        assert_eq!(said(&all), (200, 200, "Successful request"));
        assert_eq!(names(&all), ["Ann", "Bo", "Cy"]);
        assert!(!all.body.contains("pw-1001"), "secrets do not leave: {}", all.body);
        for (filter, want) in [
            ("@.metadata.name=='Bo'", "Bo"),
            ("%40.metadata.name%3D%3D%27Bo%27", "Bo"),
            ("@.metadata.name==\"Bo\"&null", "Bo"),
            ("@.metadata.name == 'Bo' || @.spec.credentials.username=='1001'&", "Ann Bo"),
            ("@.metadata.name=='Bo'&&@.spec.credentials.username=='1001'", ""),
            ("'sip2.local' in @.spec.domains", "Cy"),
            ("@.spec.credentials.secret=='pw-1001'", ""),
            ("*", "Ann Bo Cy"),
            ("", "Ann Bo Cy"),
        ] {
            let reply = site.with_token("GET", "/agents", &format!("filter={filter}"));
            assert_eq!(names(&reply).join(" "), want, "{edition:?} {filter}");
        }
        let one = site.with_token("GET", "/agents/agent-ann", "");
        assert_eq!(one.json["data"]["metadata"]["name"], "Ann");
        assert!(!one.body.contains("pw-1001"), "{}", one.body);
        assert_eq!(one.json["data"]["metadata"]["createdOn"].is_string(), edition == Late);
        assert_eq!(said(&site.with_token("GET", "/agents/nobody", "")), (200, 404, "Not found"));
        // Both names of the numbers, in both editions.
        for path in ["/dids", "/numbers", "/dids/"] {
            assert_eq!(names(&site.with_token("GET", path, "")), ["Main line"], "{path}");
        }
        for path in ["/users", "/nothing", "/agents/a/b"] {
            let reply = site.with_token("GET", path, "");
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(reply.body, "{\"status\": \"404\", \"message\":\"Not found\"}");
        }
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_400() {
    let early = Site::start(Rc2).with_token("GET", "/agents", "filter=@.a==");
    assert_eq!(said(&early), (200, 400, "Bad request"));
    assert!(early.json["result"].as_str().is_some_and(|why| why.contains("a value is missing")));
    let late = Site::start(Late).with_token("GET", "/agents", "filter=@.a==");
    assert_eq!((late.status, &late.json["data"]), (400, &json!([])));
    assert!(late.json["message"].as_str().is_some_and(|why| why.starts_with("Failed to parse filter")));
}

#[test]
fn pages_of_late_editions() {
    let site = Site::start(Late);
    let page = |query: &str| site.with_token("GET", "/agents", query);
    let meta = |reply: &Reply| reply.json["meta"].clone();
    let of = |page: u32, pages: u32, per: u32| json!({"currentPage": page, "totalPages": pages, "itemsPerPage": per, "totalItems": 3});
    assert_eq!(meta(&page("")), of(1, 1, 30));
    let second = page("page=2&itemsPerPage=2");
    assert_eq!((names(&second), meta(&second)), (vec!["Cy".to_owned()], of(2, 2, 2)));
    for query in ["page=3&itemsPerPage=2", "page=0", "itemsPerPage=0", "page=99999999999"] {
        let reply = page(query);
        assert_eq!((reply.status, names(&reply).len()), (200, 0), "{query}");
    }
    for query in ["page=x", "page=-1", "itemsPerPage=1.5"] {
        assert_eq!(page(query).status, 400, "{query}");
    }
    let early = Site::start(Rc2).with_token("GET", "/agents", "");
    assert_eq!((meta(&early), names(&early).len()), (Value::Null, 3), "all of them");
}

const NOT_SUPPORTED: &str = "Operation not supported by data source provider";
const UNFULFILLED: &str = "Found one or more unfulfilled dependencies";

fn gateway() -> Value {
    json!({"apiVersion": "v1beta1", "kind": "Gateway", "metadata": {"name": "New one"},
        "spec": {"host": "sip.new.example", "transport": "udp"}})
}

fn gateway_with(path: &str, value: Value) -> String {
    let mut document = gateway();
    *document.pointer_mut(path).expect("it has that") = value;
    document.to_string()
}

fn agent(user: &str, domain: &str) -> String {
    json!({"apiVersion": "v1beta1", "kind": "Agent", "metadata": {"name": "Somebody"},
        "spec": {"credentials": {"username": user, "secret": "x"}, "domains": [domain]}})
    .to_string()
}

#[test]
fn writes_of_late_editions_are_checked_and_then_405() {
    let read_only = |path: &str| format!("$[0].{path}: is a readonly field, it cannot be changed");
    let kinds = "Not a valid entity. `kind` must be: User, Agent, Peer, Domain, Gateway, Number";
    let transports = "$[0].spec.transport: does not have a value in the enumeration [tcp, udp]";
    let other_ref = json!({"name": "New one", "ref": "other"});
    let site = Site::start(Late);
    for (method, path, body, status, message) in [
        ("POST", "/gateways", gateway().to_string(), 405, NOT_SUPPORTED),
        ("POST", "/gateways", "{".into(), 400, "Bad request"),
        ("POST", "/gateways", "[]".into(), 400, "Bad request"),
        ("POST", "/gateways", gateway_with("/kind", json!("Gatewy")), 400, kinds),
        ("POST", "/gateways", gateway_with("/spec/transport", json!("sctp")), 422, transports),
        ("POST", "/agents", agent("9001", "nowhere.example"), 409, UNFULFILLED),
        ("POST", "/agents", agent("1001", "sip.local"), 409, "Entity already exist"),
        ("PUT", "/gateways/provider", gateway_with("/metadata", other_ref), 422, &read_only("metadata.ref")),
        ("PUT", "/gateways/nobody", gateway().to_string(), 422, &read_only("metadata.ref")),
        ("PUT", "/gateways/provider", gateway_with("/spec", json!({"transport": "tcp"})), 405, NOT_SUPPORTED),
        (
            "PUT",
            "/agents/agent-ann",
            agent("1009", "sip.local"),
            422,
            &read_only("spec.credentials.username"),
        ),
        // What clients never see may be left out.
        (
            "PUT",
            "/agents/agent-ann",
            "{\"kind\": \"agent\", \"metadata\": {\"name\": \"Ann Lee\"}}".into(),
            405,
            NOT_SUPPORTED,
        ),
        ("DELETE", "/agents/nobody", String::new(), 405, NOT_SUPPORTED),
        ("DELETE", "/agents/agent-ann", String::new(), 405, NOT_SUPPORTED),
        ("DELETE", "/domains/sip-local", String::new(), 409, "Found one or more dependent objects"),
        ("DELETE", "/gateways/provider", String::new(), 409, "Found one or more dependent objects"),
        ("DELETE", "/numbers/main-line", String::new(), 409, "Found one or more dependent objects"),
    ] {
        let reply = site.with_token(method, path, &body);
        assert_eq!(said(&reply), (status, u64::from(status), message), "{method} {path} {body}");
    }
    let form = "Content-Type: multipart/form-data; boundary=x\r\n";
    assert_eq!(site.send("POST", &format!("/agents?token={}", site.token), form, "--x--").status, 405);
}

#[test]
fn writes_of_early_editions_say_so_in_the_body() {
    let exists = "An attempt was made to create an object that already exists";
    let site = Site::start(Rc2);
    for (method, path, body, status, message) in [
        ("POST", "/gateways", gateway().to_string(), 405, NOT_SUPPORTED),
        ("POST", "/agents", agent("9001", "nowhere.example"), 409, UNFULFILLED),
        ("POST", "/agents", agent("1001", "sip.local"), 409, exists),
        ("PUT", "/gateways/nobody", gateway().to_string(), 404, "Not found"),
        ("PUT", "/agents/agent-ann", agent("1001", "sip.local"), 405, NOT_SUPPORTED),
        ("PUT", "/agents/no-such-ref", agent("1001", "sip.local"), 405, NOT_SUPPORTED),
        ("DELETE", "/domains/sip-local", String::new(), 409, "Found one or more dependent objects"),
        ("DELETE", "/dids/", String::new(), 405, NOT_SUPPORTED),
    ] {
        let reply = site.with_token(method, path, &body);
        assert_eq!(said(&reply), (200, status, message), "{method} {path} {body}");
    }
}

#[test]
fn who_is_registered() {
    for edition in [Rc2, Late] {
        let site = Site::start(edition);
        let list = || site.with_token("GET", "/location", "").json;
        let want = json!([
            {"addressOfRecord": "sip:1001@sip.local", "contactInfo": "sip:1001@192.0.2.7:5060;nat=false;expires=600"},
            {"addressOfRecord": "sip:1002@sip.local", "contactInfo": "sip:1002@192.0.2.8;nat=true;expires=60 [...]"},
        ]);
        assert_eq!((&list()["data"], &list()["result"]), (&want, &want));
        let registry = site.with_token("GET", "/registry", "").json;
        let entry = &registry["data"][0];
        let fields = ["username", "host", "ip", "registeredOn"].map(|name| entry[name].clone());
        let want = json!(["account", "sip.provider.test", "192.0.2.10", 1_795_255_199_000_i64]);
        let expires = entry["expires"].as_i64();
        assert!(expires.is_some_and(|left| (400..=540).contains(&left)), "{expires:?}");
        assert_eq!(json!(fields), want);
        assert!(entry["regOnFormatted"].as_str().is_some_and(|text| text.ends_with(" ago")), "{entry}");
        let late = json!(["gw-1", "sip:account@sip.provider.test"]);
        let more = json!([entry["gwRef"], entry["gwURI"]]);
        assert_eq!(more, if edition == Late { late } else { json!([null, null]) });
        assert_eq!(registry["meta"]["totalItems"] == 1, edition == Late, "{registry}");
        let reply = site.with_token("DELETE", "/location/sip:1001@sip.local", "");
        assert_eq!(reply.body, "{\"status\": \"200\", \"message\":\"Location entry evicted\"}");
        let entry = json!({"user": "1003", "address": "192.0.2.9", "port": 5060, "expires": 300}).to_string();
        let reply = site.with_token("POST", "/location/sip:1003@sip.local", &entry);
        assert_eq!(reply.body, "{\"status\": \"200\", \"message\":\"Added location entry\"}");
        assert_eq!(site.with_token("POST", "/location/sip:1003@sip.local", "{}").status, 400);
        for user in ["1003\r\nEvil: 1", "1003>", "10 03", "1@evil", ""] {
            let entry =
                json!({"user": user, "address": "192.0.2.9", "port": 5060, "expires": 300}).to_string();
            assert_eq!(
                site.with_token("POST", "/location/sip:1003@sip.local", &entry).status,
                400,
                "{user:?}"
            );
        }
        assert_eq!(site.with_token("POST", "/location/sip:10%0d%0a03@sip.local", &entry).status, 400);
        let aors = || list()["data"].as_array().map_or(0, Vec::len);
        assert_eq!(aors(), 2);
        let reply = site.with_token("DELETE", "/location", "");
        assert_eq!(reply.body, "{\"status\": \"200\", \"message\":\"Evicted All!\"}");
        assert_eq!(aors(), 0);
    }
}

#[test]
fn the_process_tells_about_itself() {
    let (early, late) = (Site::start(Rc2), Site::start(Late));
    assert_eq!(early.with_token("GET", "/system/status", "").body, "{\"status\":\"Up\"}");
    assert_eq!(late.get("/system/status").json, json!({"status": 200, "message": "up"}));
    for site in [&early, &late] {
        let info = site.with_token("GET", "/system/info", "").json;
        for place in [&info, &info["data"]] {
            let three = [&place["version"], &place["apiVersion"], &place["apiPath"]];
            assert_eq!(three, ["v1.0", "v1beta1", "/api/v1beta1"]);
            assert_eq!(
                place["env"],
                json!([{"var": "SALT", "value": "***"}, {"var": "HOME", "value": null}])
            );
        }
        assert_eq!(site.with_token("GET", "/system/logs", "").json["data"], "a line\n");
        let config = site.with_token("GET", "/system/config", "");
        assert_eq!(config.json["data"]["spec"]["restService"]["port"], 4567);
        assert!(!config.body.contains("hush"), "{}", config.body);
        assert_eq!(site.with_token("PUT", "/system/config", "{}").json["status"], 405);
    }
}

#[test]
fn the_process_is_told_to_end() {
    let (early, late) = (Site::start(Rc2), Site::start(Late));
    let wrong = late.with_token("POST", "/system/status/sideways", "");
    assert_eq!(wrong.body, "{\"status\": \"400\", \"message\":\"Bad Request\"}");
    assert_eq!(wrong.status, 400);
    let wrong = early.with_token("POST", "/system/status/restarting", "");
    assert_eq!(wrong.body, "{\"status\": \"400\", \"message\":\"Bad Request\"}");
    assert_eq!(wrong.status, 401);
    assert_eq!((early.backend.stopped(), late.backend.stopped()), (None, None));
    let path = format!("/system/status/restarting?now=true&token={}", late.token);
    let sent = late.send("POST", &path, "", "");
    assert_eq!(sent.body, "{\"status\": \"200\", \"message\":\"Request sent to server\"}");
    assert_eq!(late.backend.stopped(), Some(Stop { restart: true, now: true }));
    early.with_token("POST", "/system/status/down", "");
    assert_eq!(early.backend.stopped(), Some(Stop { restart: false, now: false }));
}

#[test]
fn browsers_of_other_origins_may_ask() {
    let site = Site::start(Late);
    let asked = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-one, x-two\r\n";
    let reply = site.send("OPTIONS", "/agents/x", asked, "");
    assert_eq!((reply.status, reply.body.as_str()), (200, "OK"));
    let head = reply.head.to_ascii_lowercase();
    for line in [
        "access-control-allow-origin: *",
        "access-control-allow-methods: put",
        "access-control-allow-headers: x-one, x-two",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    let refused = site.get("/agents");
    assert!(refused.head.to_ascii_lowercase().contains("access-control-allow-origin: *"), "with 401 too");
}

#[test]
fn what_is_too_large_is_refused() {
    let site = Site::start(Late);
    let reply = site.with_token("POST", "/agents", &"x".repeat((1 << 20) + 1));
    assert_eq!(reply.status, 413);
    let filter = format!("filter=@.a=='{}'", "x".repeat(9000));
    assert_eq!(site.with_token("GET", "/agents", &filter).status, 400);
}

/// Every path of the OpenAPI document is there, and every operation of it is answered as it says.
#[test]
fn the_openapi_document_is_what_there_is() {
    for edition in [Late, Rc2] {
        let site = Site::start(edition);
        let document = site.absolute("GET", "/api/docs").json;
        assert_eq!(document["openapi"], "3.0.3");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() > 18, "{paths:?}");
        for (path, item) in paths {
            let target = path.replace("{ref}", "no-such-ref");
            for (method, operation) in
                item.as_object().expect("operations").iter().filter(|(k, _)| *k != "parameters")
            {
                let reply =
                    site.with_token(&method.to_uppercase(), &target, if method == "get" { "" } else { "{}" });
                let known = operation["responses"].get(reply.status.to_string()).is_some();
                // An unknown path has its status as text.
                let routed = reply.json["status"] != "404";
                assert!(known && routed, "{edition:?} {method} {path}: {} {}", reply.status, reply.body);
            }
        }
    }
}
