//! The REST API over each data provider in each edition: every endpoint, its success, each failure that is documented, a
//! wrong token.

use std::net::SocketAddr;

use serde_json::{Value, json};
use trunkline_tests::V1Edition::{self, Late, Rc2};
use trunkline_tests::{Exchange, RedisServer, Rest, RestReply, V1_DOMAIN, V1Folder, V1Service};

use super::routr_v1::registered;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Provider {
    Files,
    Redis,
    Service,
}

/// An exchange on a provider, what the provider needs to live, and a client with a token.
struct Site {
    edition: V1Edition,
    provider: Provider,
    rest: Rest,
    token: String,
    exchange: Exchange,
    redis: Option<RedisServer>,
    _service: Option<V1Service>,
}

impl Site {
    fn start(edition: V1Edition, provider: Provider) -> Site {
        let mut folder = V1Folder::new(edition);
        folder.more = "    unsecured: true\n".into();
        let (mut redis, mut service) = (None, None);
        match provider {
            Provider::Files => {}
            Provider::Redis => {
                let server = RedisServer::start();
                server.fill(&folder.documents());
                let parameters = match edition {
                    Rc2 => format!("{{host: 127.0.0.1, port: {}}}", server.port),
                    Late => format!("'host=127.0.0.1,port={}'", server.port),
                };
                folder.source = format!("{{provider: redis_data_provider, parameters: {parameters}}}");
                redis = Some(server);
            }
            Provider::Service => {
                let server = V1Service::start(folder.documents());
                folder.source = format!(
                    "{{provider: restful_data_provider, parameters: {{baseUrl: '{}', username: a, secret: b}}}}",
                    server.base()
                );
                service = Some(server);
            }
        }
        let exchange = folder.start(&[("HOME", "."), ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
        let rest = Rest::http(SocketAddr::from(([127, 0, 0, 1], folder.rest)), "/api/v1beta1");
        let token = rest.get_as("/credentials", "YWRtaW46Y2hhbmdlaXQ=").body;
        Site { edition, provider, rest, token, exchange, redis, _service: service }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> RestReply {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.rest.send(method, &format!("{path}{mark}token={}", self.token), "", body)
    }

    /// Status over HTTP and in the body, and the message. Early editions answer resources with 200.
    fn expect(&self, (method, path, body): (&str, &str, &str), status: u16, message: &str) -> Value {
        let reply = self.ask(method, path, body);
        let what = format!("{:?} {:?} {method} {path} {body}: {}", self.edition, self.provider, reply.body);
        // GET by ref is 200 in all editions.
        let by_ref = method == "GET" && path.matches('/').count() == 2;
        let http = if self.edition == Rc2 || by_ref { 200 } else { status };
        assert_eq!(reply.status, http, "{what}");
        assert_eq!(reply.json["status"], status, "{what}");
        assert_eq!(reply.json["message"], message, "{what}");
        assert_eq!(reply.json.get("data"), reply.json.get("result"), "one payload under both names: {what}");
        reply.json
    }

    fn numbers(&self) -> (&'static str, &'static str) {
        if self.edition == Rc2 { ("dids", "DID") } else { ("numbers", "Number") }
    }
}

fn document(kind: &str, metadata: Value, spec: Value) -> Value {
    json!({"apiVersion": "v1beta1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// One of each kind that can be made: its collection, itself, what is changed by its update.
fn new_ones(site: &Site) -> Vec<(&'static str, Value)> {
    let login = |user: &str| json!({"username": user, "secret": "s3cret-of-it"});
    let (numbers, kind) = site.numbers();
    vec![
        (
            "gateways",
            document(
                "Gateway",
                json!({"name": "Second", "ref": "second-gw"}),
                json!({"host": "sip2.provider.test", "transport": "udp", "credentials": login("account")}),
            ),
        ),
        (
            numbers,
            document(
                kind,
                json!({"name": "Second", "ref": "second-nr", "gwRef": "second-gw"}),
                json!({"location": {"telUrl": "tel:0000001", "aorLink": "sip:1001@sip.local"}}),
            ),
        ),
        (
            "domains",
            document(
                "Domain",
                json!({"name": "Second", "ref": "second-dm"}),
                json!({"context": {"domainUri": "second.local"}}),
            ),
        ),
        (
            "agents",
            document(
                "Agent",
                json!({"name": "Second", "ref": "second-ag"}),
                json!({"credentials": login("2001"), "domains": ["second.local"]}),
            ),
        ),
        (
            "peers",
            document(
                "Peer",
                json!({"name": "Second", "ref": "second-pr"}),
                json!({"credentials": login("asterisk")}),
            ),
        ),
    ]
}

const OK: &str = "Successful request";
const READ_ONLY: &str = "Operation not supported by data source provider";
const DEPENDENT: &str = "Found one or more dependent objects";
const UNFULFILLED: &str = "Found one or more unfulfilled dependencies";

/// Makes, shows, lists, changes and removes one of each kind.
fn life_of_each_kind(site: &Site) {
    let exists = match site.edition {
        Rc2 => "An attempt was made to create an object that already exists",
        Late => "Entity already exist",
    };
    let made = new_ones(site);
    for (collection, new) in &made {
        let (all, one) = (
            format!("/{collection}"),
            format!("/{collection}/{}", new["metadata"]["ref"].as_str().unwrap_or("")),
        );
        let said = site.expect(("POST", &all, &new.to_string()), 201, "Created");
        assert_eq!(said["data"], new["metadata"]["ref"]);
        site.expect(("POST", &all, &new.to_string()), 409, exists);
        let shown = site.expect(("GET", &one, ""), 200, OK)["data"].clone();
        assert_eq!(shown["metadata"]["name"], "Second");
        assert!(!shown.to_string().contains("s3cret-of-it"), "{shown}");
        assert_eq!(shown["metadata"]["createdOn"].is_string(), site.edition == Late, "{shown}");
        let list = site.expect(("GET", &format!("{all}?filter=@.metadata.name=='Second'"), ""), 200, OK);
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!(list["meta"]["totalItems"] == 1, site.edition == Late, "{list}");
        let mut changed = shown.clone();
        changed["metadata"]["name"] = "Renamed".into();
        let said = site.expect(("PUT", &one, &changed.to_string()), 200, OK);
        assert_eq!(said["data"], new["metadata"]["ref"]);
        assert_eq!(site.expect(("GET", &one, ""), 200, OK)["data"]["metadata"]["name"], "Renamed");
    }
    if let Some(redis) = &site.redis {
        assert_eq!(redis.document("second-ag")["spec"]["credentials"]["secret"], "s3cret-of-it");
    }
    // What others need stays; then each goes, the last first.
    site.expect(("DELETE", "/domains/second-dm", ""), 409, DEPENDENT);
    site.expect(("DELETE", "/gateways/second-gw", ""), 409, DEPENDENT);
    for (collection, new) in made.iter().rev() {
        let one = format!("/{collection}/{}", new["metadata"]["ref"].as_str().unwrap_or(""));
        let said = site.expect(("DELETE", &one, ""), 200, OK);
        assert_eq!(said.get("data"), None);
        site.expect(("DELETE", &one, ""), 404, "Not found");
        site.expect(("GET", &one, ""), 404, "Not found");
    }
}

/// Everything that can be wrong with a write, where writes are made.
fn refusals(site: &Site) {
    let late = site.edition == Late;
    let bad = |late_message: &'static str| if late { (422, late_message) } else { (400, "Bad request") };
    let mut ones = new_ones(site);
    let agent = ones.remove(3).1;
    let number = ones.remove(1).1;
    site.expect(("POST", "/agents", &agent.to_string()), 409, UNFULFILLED);
    site.expect(("POST", &format!("/{}", site.numbers().0), &number.to_string()), 409, UNFULFILLED);
    let mut short = agent.clone();
    short["spec"]["domains"] = json!([V1_DOMAIN]);
    short["metadata"]["name"] = "ab".into();
    if late {
        let (status, message) = bad("$[0].metadata.name: must be at least 3 characters long");
        site.expect(("POST", "/agents", &short.to_string()), status, message);
    }
    short["metadata"]["name"] = "Second".into();
    short["spec"]["credentials"] = json!({"username": "2001"});
    let (status, message) = bad("$[0].spec.credentials.secret: is missing but it is required");
    site.expect(("POST", "/agents", &short.to_string()), status, message);
    for body in ["{", "", "[]", "3"] {
        site.expect(("POST", "/agents", body), 400, "Bad request");
    }
    let kinds = match site.edition {
        Rc2 => "Not a valid entity. `kind` must be: User, Agent, Peer, Domain, Gateway, DID",
        Late => "Not a valid entity. `kind` must be: User, Agent, Peer, Domain, Gateway, Number",
    };
    site.expect(
        ("POST", "/agents", "{\"kind\": \"Agnet\", \"apiVersion\": \"v1\", \"metadata\": {}, \"spec\": {}}"),
        400,
        kinds,
    );
    let nobody = if late {
        (422, "$[0].metadata.ref: is a readonly field, it cannot be changed")
    } else {
        (404, "Not found")
    };
    let mut gateway = ones.remove(0).1;
    gateway["metadata"]["ref"] = "nobody".into();
    site.expect(("PUT", "/gateways/nobody", &gateway.to_string()), nobody.0, nobody.1);
    if late {
        let shown = site.ask("GET", "/agents/ref-1001", "").json["data"].clone();
        let mut other = shown.clone();
        other["spec"]["credentials"]["username"] = "9999".into();
        let message = "$[0].spec.credentials.username: is a readonly field, it cannot be changed";
        site.expect(("PUT", "/agents/ref-1001", &other.to_string()), 422, message);
    }
    site.expect(("DELETE", "/domains/office", ""), 409, DEPENDENT);
    site.expect(("DELETE", "/agents/nobody", ""), 404, "Not found");
}

/// Files are changed with an editor.
fn read_only(site: &Site) {
    for (collection, new) in new_ones(site) {
        let status =
            if matches!(new["kind"].as_str(), Some("Agent")) { (409, UNFULFILLED) } else { (405, READ_ONLY) };
        // A number's gateway is not there either.
        let status = if collection == site.numbers().0 { (409, UNFULFILLED) } else { status };
        site.expect(("POST", &format!("/{collection}"), &new.to_string()), status.0, status.1);
    }
    site.expect(("DELETE", "/peers/nobody", ""), 405, READ_ONLY);
    let list = site.ask("GET", "/agents", "").json["data"].clone();
    let reference = list[0]["metadata"]["ref"].as_str().expect("a ref");
    site.expect(("PUT", &format!("/agents/{reference}"), &list[0].to_string()), 405, READ_ONLY);
    site.expect(("DELETE", &format!("/agents/{reference}"), ""), 405, READ_ONLY);
}

/// What there is to know of the process, and of who is registered.
fn the_rest(site: &Site) {
    registered(&site.exchange, "1001");
    let location = site.ask("GET", "/location", "").json;
    assert_eq!(location["data"][0]["addressOfRecord"], "sip:1001@sip.local", "{location}");
    assert!(site.ask("GET", "/registry", "").json["data"].is_array());
    let info = site.ask("GET", "/system/info", "").json;
    let bare = if site.edition == Rc2 { &info } else { &info["data"] };
    assert_eq!(
        [&bare["version"], &bare["apiVersion"], &bare["apiPath"]],
        ["v1.0", "v1beta1", "/api/v1beta1"]
    );
    let status = site.ask("GET", "/system/status", "").json;
    let up =
        if site.edition == Rc2 { json!({"status": "Up"}) } else { json!({"status": 200, "message": "up"}) };
    assert_eq!(status, up);
    assert!(
        site.ask("GET", "/system/logs", "").json["data"]
            .as_str()
            .is_some_and(|log| log.contains("listening"))
    );
    let config = site.ask("GET", "/system/config", "");
    assert!(config.json["data"]["spec"].is_object() && !config.body.contains("hush"), "{}", config.body);
    let stored = site.edition == Late && site.provider == Provider::Redis;
    let status = if stored { 422 } else { 405 };
    assert_eq!(site.ask("PUT", "/system/config", "{}").json["status"], status);
    let sideways = site.ask("POST", "/system/status/sideways", "");
    assert_eq!(sideways.status, if site.edition == Rc2 { 401 } else { 400 });
    assert_eq!(sideways.body, "{\"status\": \"400\", \"message\":\"Bad Request\"}");
    let evicted = site.ask("DELETE", "/location", "");
    assert_eq!(evicted.body, "{\"status\": \"200\", \"message\":\"Evicted All!\"}");
    assert_eq!(site.ask("GET", "/location", "").json["data"], json!([]));
    for path in ["/users", "/nothing", "/agents/a/b"] {
        let reply = site.ask("GET", path, "");
        assert_eq!(
            (reply.status, &*reply.body),
            (404, "{\"status\": \"404\", \"message\":\"Not found\"}"),
            "{path}"
        );
    }
}

/// Filters by operator and type of value; each with the agents that pass.
fn filters(site: &Site) {
    let bo = "@.spec.credentials.username";
    for (filter, want) in [
        (format!("{bo}=='1001'"), "1001"),
        (format!("{bo} == \"1001\""), "1001"),
        // Strict about types: a number is no text.
        (format!("{bo}==1001"), ""),
        (format!("{bo}!='1001'"), "1002"),
        (format!("{bo}<'1002'"), "1001"),
        (format!("{bo}>='1001'"), "1001 1002"),
        (format!("{bo}=~/1.*2/"), "1002"),
        (format!("{bo} in ['1002','x']"), "1002"),
        (format!("{bo} nin ['1002','x']"), "1001"),
        ("'sip.local' in @.spec.domains".into(), "1001 1002"),
        ("@.spec.domains contains 'sip.local'".into(), "1001 1002"),
        ("@.spec.domains size 1".into(), "1001 1002"),
        ("@.spec.domains size 2".into(), ""),
        ("@.spec.domains empty false".into(), "1001 1002"),
        ("@.spec.domains anyof ['sip.local','x']".into(), "1001 1002"),
        ("@.spec.domains noneof ['sip.local']".into(), ""),
        ("@.spec.domains subsetof ['sip.local','x']".into(), "1001 1002"),
        ("@.spec.nothing".into(), ""),
        ("@.metadata.name".into(), "1001 1002"),
        (format!("{bo}=='1001' || {bo}=='1002'"), "1001 1002"),
        (format!("{bo}=='1001' && @.kind=='Agent'"), "1001"),
        (format!("!({bo}=='1001')"), "1002"),
        ("*".into(), "1001 1002"),
        ("@".into(), "1001 1002"),
    ] {
        let escaped: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let reply = site.ask("GET", &format!("/agents?filter={escaped}"), "");
        let items = reply.json["data"].as_array().unwrap_or_else(|| panic!("{filter}: {}", reply.body));
        let name =
            |one: &Value| one["spec"]["credentials"]["username"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = items.iter().map(name).collect();
        names.sort();
        assert_eq!(names.join(" "), want, "{:?} {:?} {filter}", site.edition, site.provider);
    }
    for wrong in ["@.a==", "==", "@.a=='", "(@.a", "@.a =~ /(/"] {
        let escaped: String = wrong.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(site.ask("GET", &format!("/agents?filter={escaped}"), "").json["status"], 400, "{wrong}");
    }
}

/// Every operation of the OpenAPI document without a token, and with a wrong one.
fn without_a_token(site: &Site) {
    let paths = Rest::http(site.rest.address(), "").get("/api/docs").json["paths"].clone();
    let paths = paths.as_object().expect("paths");
    let other = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.75_0_jp8__mLr2FK5Q-m2ph4euWA_zl3G_q01SdCo0Drg-_Dya3_OLTRGbRImnG5P-TfAgboqf5y3qGu1l39BA";
    let mut asked = 0;
    for (path, operations) in paths {
        let open = path == "/system/status" && site.edition == Late;
        for method in operations.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()) {
            if method == "PARAMETERS" || open {
                continue;
            }
            let path = path.replace("{ref}", "office");
            for token in ["", "?token=", "?token=x.y.z", &format!("?token={other}")] {
                let reply = site.rest.send(&method, &format!("{path}{token}"), "", "{}");
                assert_eq!(reply.status, 401, "{method} {path}{token}");
                assert_eq!(reply.body, "{\"status\": \"401\", \"message\":\"Unauthorized\"}", "{path}");
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
}

fn all_of_it(edition: V1Edition, provider: Provider) {
    let site = Site::start(edition, provider);
    filters(&site);
    match provider {
        Provider::Files => read_only(&site),
        Provider::Redis | Provider::Service => {
            refusals(&site);
            life_of_each_kind(&site);
        }
    }
    the_rest(&site);
    without_a_token(&site);
}

#[test]
fn each_endpoint_over_files() {
    all_of_it(Rc2, Provider::Files);
    all_of_it(Late, Provider::Files);
}

#[test]
fn each_endpoint_over_redis() {
    all_of_it(Rc2, Provider::Redis);
    all_of_it(Late, Provider::Redis);
}

/// Late releases had no such provider.
#[test]
fn each_endpoint_over_a_rest_service() {
    all_of_it(Rc2, Provider::Service);
}
