//! A configuration of Routr v1 as its operator meets it here.

mod tls;

use std::path::Path;

use trunkline_config::{BySource, Config, Env, Loaded, Source};

fn read(text: &str, env: &Env) -> Loaded {
    Config::read(Some(&Source::new("config/config.yml", text)), env)
        .unwrap_or_else(|report| panic!("{report}"))
}

fn wrong(text: &str, env: &Env) -> String {
    match Config::read(Some(&Source::new("config/config.yml", text)), env) {
        Ok(loaded) => panic!("accepted:\n{loaded}"),
        Err(report) => report.to_string(),
    }
}

const EARLY: &str = "apiVersion: v1beta1
kind: Config
metadata:
  userAgent: Routr v1.0
spec:
  externAddr: 203.0.113.9:5060
  localnets: [10.0.0.0/8, 192.168.1.0/255.255.255.0]
  recordRoute: false
  registrarIntf: External
  dataSource:
    provider: files_data_provider
    parameters:
      path: etc/config
  accessControlList:
    deny: [198.51.100.0/24]
    allow: [127.0.0.1/8]
  restService:
    port: 5567
    unsecured: true
  transport:
    - {protocol: tcp, port: 5060}
    - {protocol: udp, port: 5060, bindAddr: 127.0.0.1}
    - {protocol: sctp, port: 5060}
  logging: {traceLevel: 32}
";

#[test]
fn an_early_configuration_becomes_ours() {
    let loaded = read(EARLY, &Env::default());
    let config = &loaded.config;
    assert_eq!(config.store_url(), "routr-v1-rc2:etc/config");
    assert_eq!(config.listen.udp, ["127.0.0.1:5060".parse().expect("an address")]);
    assert_eq!(config.listen.tcp.len(), 2, "all addresses of both families");
    assert!(config.listen.tls.is_empty() && config.listen.ws.is_empty() && config.listen.wss.is_empty());
    assert_eq!(
        config.external_addrs.addresses,
        ["203.0.113.9".parse::<std::net::IpAddr>().expect("an address")]
    );
    assert_eq!(config.localnets[1].to_string(), "192.168.1.0/24");
    assert_eq!(config.access_control.deny.len(), 3, "what no rule names is denied in early editions");
    assert_eq!(config.routr_v1.addr, "0.0.0.0:5567".parse().ok());
    assert!(!config.routr_v1.tls && config.routing.peers_use_policies);
    assert_eq!(config.registrar.min_expires, 1, "no 423");
    assert_eq!(config.registrar.reach_by_source, BySource::Udp, "as External has it");
    let shown = loaded.to_string();
    assert!(shown.contains("addr: \"0.0.0.0:5567\"  # config/config.yml:18:11"), "{shown}");
    assert_eq!(
        (config.user_agent.as_str(), config.log.level.as_str()),
        ("Routr v1.0", "info,trunkline_edge=debug,trunkline_transport=debug,sip=trace")
    );
    for key in ["spec.externAddr", "spec.recordRoute", "protocol"] {
        let told = loaded.warnings.iter().filter(|line| line.contains(key)).count();
        assert_eq!(told, 1, "{key}: {:#?}", loaded.warnings);
    }
    assert_eq!(loaded.routr_v1.as_ref().map(|d| &d["spec"]["restService"]["port"]), Some(&5567.into()));
}

#[test]
fn a_late_configuration_of_one_line_has_routrs_defaults() {
    let loaded = read("apiVersion: v1\nspec: {}\n", &Env::default());
    let config = &loaded.config;
    assert!(config.store_url().starts_with("routr-v1:"), "{}", config.store_url());
    assert_eq!(config.routr_v1.addr, "0.0.0.0:4567".parse().ok());
    assert!(config.routr_v1.tls);
    assert_eq!((config.listen.udp.len(), config.listen.tcp.len(), config.listen.tls.len()), (2, 2, 0));
    assert!(config.localnets.is_empty() && loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(config.routr_v1.salt_file, Path::new(".routr.salt"));
}

#[test]
fn variables_stand_over_the_file_and_ours_over_them() {
    let env = Env::from([
        ("EXTERN_ADDR", "203.0.113.10"),
        ("LOCALNETS", "10.0.0.0/8, 172.16.0.0/12"),
        ("DATA_SOURCE_PARAMETERS", "path=/srv/routr"),
        ("REST_SERVICE_PORT", "5999"),
        ("SALT", "abcd"),
        ("TRUNKLINE_LISTEN_UDP", "127.0.0.1:5999"),
    ]);
    let late = EARLY.replace("parameters:\n      path: etc/config", "parameters: path=etc/config");
    let loaded = read(&late, &env);
    let config = &loaded.config;
    assert_eq!(config.store_url(), "routr-v1:/srv/routr");
    assert_eq!(config.external_addrs.addresses[0].to_string(), "203.0.113.10");
    assert_eq!(config.localnets.len(), 2, "a list is replaced as a whole");
    assert_eq!(config.routr_v1.addr.map(|at| at.port()), Some(5999));
    assert_eq!(config.routr_v1.salt.0, "abcd");
    assert_eq!(config.listen.udp[0].port(), 5999);
    let shown = loaded.to_string();
    for line in ["# environment variable EXTERN_ADDR\n", "# TRUNKLINE_LISTEN_UDP\n"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("abcd"), "the salt is not shown");
    assert_eq!(loaded.routr_v1.as_ref().map(|d| &d["spec"]["externAddr"]), Some(&"203.0.113.10".into()));

    // Early editions have names of their own, and the plain ones mean nothing to them.
    let env =
        Env::from([("ROUTR_EXTERN_ADDR", "203.0.113.11"), ("LOCALNETS", "172.16.0.0/12"), ("HOME", "/root")]);
    let config = read(EARLY, &env).config;
    assert_eq!(config.external_addrs.addresses[0].to_string(), "203.0.113.11");
    assert_eq!(config.localnets[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.routr_v1.salt_file, Path::new("/root/.routr.salt"));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let table = [
        ("apiVersion: v1\nspec:\n  restServce: {port: 1}\n", "3:3", "did you mean `restService`"),
        ("apiVersion: v1\nspec:\n  transport: [{protocol: upd, port: 1}]\n", "3:26", "did you mean `udp`"),
        ("apiVersion: v1\nspec:\n  transport: [{protocol: udp}]\n", "3:15", "the port is required"),
        ("apiVersion: v1\nspec:\n  restService: {port: 70000}\n", "3:23", "out of range"),
        ("apiVersion: v3\nspec: {}\n", "1:13", "`v3` is unknown here"),
        ("spec: {}\n", "1:1", "the apiVersion is required"),
        ("apiVersion: v1beta1\n", "1:1", "the spec is required"),
        ("apiVersion: v1\nspec:\n  localnets: [nets]\n", "3:15", "`nets` is not an address or network"),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: redis_data_provider, parameters: 'hst=a'}\n",
            "3:59",
            "did you mean `host`",
        ),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: redis_data_provider, parameters: {port: x}}\n",
            "3:66",
            "`x` is not a whole number from 1 to 65535",
        ),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: restful_data_provider, parameters: {baseUrl: here}}\n",
            "3:71",
            "`here` is not a base URL",
        ),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: file_data_provider}\n",
            "3:26",
            "did you mean `files_data_provider`",
        ),
        (
            "apiVersion: v1\nspec:\n  transport: [{protocol: tls, port: 5061}]\n  securityContext: {client: {authType: Enabled}}\n",
            "4:40",
            "set spec.securityContext.trustStore",
        ),
    ];
    for (text, place, message) in table {
        let report = wrong(text, &Env::default());
        assert!(report.contains(&format!("config/config.yml:{place}\n")), "{place}\n{report}");
        assert!(report.contains(message), "{message}\n{report}");
    }
    let report = wrong("apiVersion: v1\nspec: {}\n", &Env::from([("REST_SERVICE_PORT", "many")]));
    assert!(report.contains("environment variable REST_SERVICE_PORT"), "{report}");
}

/// Files of a test that look like key stores by their first bytes.
struct Stores(std::path::PathBuf);

impl Stores {
    fn new(name: &str) -> Stores {
        let folder = std::env::temp_dir().join(format!("trunkline-v1-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Stores(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, bytes).expect("written");
        file
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn logging_keys_set_the_log_level() {
    let level = |text: &str| read(text, &Env::default()).config.log.level;
    assert_eq!(level("apiVersion: v1\nspec:\n  logging: {traceLevel: 0}\n"), "info");
    let trace = level("apiVersion: v1\nspec:\n  logging: {traceLevel: 10}\n");
    assert!(trace.starts_with("info,") && trace.contains(",sip=trace"), "{trace}");
    let both =
        level("apiVersion: v1\nspec:\n  securityContext: {debugging: true}\n  logging: {traceLevel: 1}\n");
    assert!(both.contains("rustls=debug") && both.contains("sip=trace"), "{both}");
    assert!(level(&tls::security("debugging: true")).contains("trunkline_transport=debug"));
    assert_eq!(level(&tls::security("debugging: false")), "info");
}

#[test]
fn rtpengine_is_asked_over_udp() {
    let engine = |text: &str| format!("apiVersion: v1\nspec:\n  ex_rtpEngine: {{{text}}}\n");
    for (text, at) in [
        ("enabled: true, host: 192.0.2.1", Some("192.0.2.1:2223")),
        ("enabled: true, host: 192.0.2.1, proto: http, port: 8080", Some("192.0.2.1:2223")),
        ("enabled: true, host: 192.0.2.1, port: 22222", Some("192.0.2.1:22222")),
        ("enabled: false, host: 192.0.2.1", None),
    ] {
        let loaded = read(&engine(text), &Env::default());
        assert_eq!(loaded.config.rtpengine.map(|at| at.to_string()).as_deref(), at, "{text}");
        assert_eq!(loaded.warnings.len(), usize::from(at.is_some()), "{:?}", loaded.warnings);
    }
    assert!(wrong(&engine("enabled: true"), &Env::default()).contains("the host of rtpengine is required"));
}

#[test]
fn what_has_no_equal_is_named_in_one_warning() {
    let text = "apiVersion: v1\nspec:\n  restService: {minThreads: 8, maxThreads: 200, timeoutMillis: 5000}\n  ex_kafka: {enabled: true, topic: t}\n  grpcService: {port: 50099}\n  ex_uniqueGatewayPerHostPort: true\n";
    let warnings = read(text, &Env::default()).warnings;
    let [warning] = &warnings[..] else { panic!("one warning: {warnings:?}") };
    for key in [
        "minThreads",
        "maxThreads",
        "timeoutMillis",
        "ex_kafka",
        "grpcService",
        "ex_uniqueGatewayPerHostPort",
    ] {
        assert!(warning.contains(key), "{key}: {warning}");
    }
}

#[test]
fn what_is_not_honoured_is_a_warning() {
    let sctp = "transport: [{protocol: sctp, port: 1}, {protocol: udp, port: 2}]";
    for (text, key, stays) in [
        (sctp, "`spec.transport[].protocol`", true),
        ("recordRoute: false", "`spec.recordRoute: false`", false),
        ("recordRoute: true", "", true),
    ] {
        let loaded = read(&format!("apiVersion: v1\nspec:\n  {text}\n"), &Env::default());
        assert_eq!(loaded.warnings.len(), usize::from(!key.is_empty()), "{:?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|warning| warning.contains(key)), "{text}: {:?}", loaded.warnings);
        assert_eq!(loaded.config.routing.record_route, stays, "{text}");
    }
}

#[test]
fn the_user_agent_is_ours() {
    let agent = |name: &str| format!("apiVersion: v1\nmetadata: {{userAgent: {name}}}\nspec: {{}}\n");
    assert_eq!(read(&agent("Routr v1.0"), &Env::default()).config.user_agent, "Routr v1.0");
    let report = wrong(&agent("\"a\\r\\nVia: x\""), &Env::default());
    assert!(report.contains("printable"), "{report}");
}

/// Every property of the configuration is read: none is an unknown key, and none is silent.
#[test]
fn each_property_of_the_list_is_read() {
    use trunkline_model::dialect::v1::properties;
    for property in properties().filter(|property| property.of.is_none()) {
        let keys = property.path.replace("[]", "");
        let value = match property.path {
            "apiVersion" => "v1beta1",
            "spec.ex_rtpEngine" | "spec.ex_kafka" | "spec.grpcService" => "{enabled: false}",
            path if path.ends_with("[]") => "[x]",
            _ => "1",
        };
        let mut text = String::from("apiVersion: v1beta1\n");
        if property.path != "apiVersion" {
            let steps: Vec<&str> = keys.split('.').collect();
            for (depth, step) in steps.iter().enumerate() {
                let list = property.path.contains("transport[]") && *step == "transport";
                let end = if depth + 1 == steps.len() { value } else { "" };
                let dash = if depth > 0
                    && property.path.contains("transport[]")
                    && steps[depth - 1] == "transport"
                {
                    "- "
                } else {
                    ""
                };
                text += &format!("{:width$}{dash}{step}: {end}\n", "", width = depth * 2);
                assert!(!list || end.is_empty());
            }
            if !keys.starts_with("spec") {
                text += "spec: {}\n";
            }
        }
        let said = match Config::read(Some(&Source::new("config/config.yml", &*text)), &Env::default()) {
            Ok(_) => String::new(),
            Err(report) => report.to_string(),
        };
        assert!(!said.contains("unknown key"), "{}: {said}\n{text}", property.path);
    }
}

#[test]
fn the_file_is_found_by_routrs_variables() {
    let folder = std::env::temp_dir().join(format!("trunkline-v1-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (v1, other) = (folder.join("config.yml"), folder.join("other.yaml"));
    std::fs::write(&v1, "apiVersion: v1beta1\nspec: {restService: {port: 4999}}\n").expect("written");
    std::fs::write(folder.join("dids.yml"), "[]\n").expect("written");
    std::fs::write(&other, "something: else\n").expect("written");
    let text = |path: &Path| path.display().to_string();
    for name in ["ROUTR_CONFIG_FILE", "CONFIG_FILE"] {
        let loaded = Config::load(None, &Env::from([(name, &*text(&v1))])).expect("good");
        assert_eq!(loaded.config.routr_v1.addr.map(|at| at.port()), Some(4999), "{name}");
        // Without a path the resources stand beside it; `dids.yml` makes them early ones.
        assert_eq!(loaded.config.store_url(), format!("routr-v1-rc2:{}", folder.display()));
    }
    let loaded = Config::load(None, &Env::from([("CONFIG_FILE", &*text(&other))])).expect("not ours");
    assert_eq!(loaded.config.routr_v1.addr, None);
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn without_one_the_api_is_not_there() {
    let loaded = Config::read(None, &Env::default()).expect("good");
    assert_eq!(loaded.config.routr_v1.addr, None);
    let file = Source::new("trunkline.yaml", "routrV1: {addr: \"127.0.0.1:4567\"}\n");
    let report = Config::read(Some(&file), &Env::default()).expect_err("no such resources").to_string();
    assert!(report.contains("data: routr-v1:FOLDER"), "{report}");
}

/// The provider's URL, user name and whether there is a secret.
fn provider(text: &str, env: &Env) -> (String, String, String) {
    let config = read(text, env).config;
    let provider = &config.routr_v1.provider;
    (config.store_url(), provider.username.clone(), provider.secret.0.clone())
}

#[test]
fn the_data_providers_and_their_parameters() {
    let source = |source: &str| format!("apiVersion: v1beta1\nspec:\n  dataSource: {source}\n");
    for (text, url, username, secret) in [
        ("{provider: redis_data_provider}", "routr-v1-redis:localhost:6379", "", ""),
        (
            "{provider: redis_data_provider, parameters: 'host=redis, port=6380,secret=a=b'}",
            "routr-v1-redis:redis:6380",
            "",
            "a=b",
        ),
        (
            "{provider: redis_data_provider, parameters: {host: '::1', secret: hush}}",
            "routr-v1-rc2-redis:[::1]:6379",
            "",
            "hush",
        ),
        (
            "{provider: restful_data_provider}",
            "routr-v1-rest:http://localhost:8080/v1/ctl",
            "admin",
            "changeit",
        ),
        (
            "{provider: restful_data_provider, parameters: {baseUrl: 'https://h/x', username: u, secret: s}}",
            "routr-v1-rest:https://h/x",
            "u",
            "s",
        ),
    ] {
        let got = provider(&source(text), &Env::default());
        assert_eq!(got, (url.into(), username.into(), secret.into()), "{text}");
    }
    // What an image has for a default counts where nothing is named.
    let image = |provider: &str| Env::from([("ROUTR_DEFAULT_DS_PROVIDER", provider)]);
    let bare = "apiVersion: v1beta1\nspec: {}\n".to_owned();
    assert_eq!(provider(&bare, &image("redis_data_provider")).0, "routr-v1-redis:localhost:6379");
    let files = source("{provider: files_data_provider, parameters: path=etc}");
    assert_eq!(provider(&files, &image("redis_data_provider")).0, "routr-v1:etc");
    let report = wrong(&bare, &image("redus_data_provider"));
    assert!(report.contains("did you mean `redis_data_provider`"), "{report}");
    let late = "{provider: redis_data_provider, parameters: 'max_retry=-1,retry_interval=3,timeout=500'}";
    let patience = read(&source(late), &Env::default()).config.routr_v1.provider;
    assert_eq!((patience.tries, patience.retry_seconds, patience.timeout_ms), (0, 3, 500));
    for (name, parameters) in [("DATA_SOURCE", "DATA_SOURCE_PARAMETERS"), ("ROUTR_DS", "ROUTR_DS_PARAMETERS")]
    {
        let env = Env::from([
            (&*format!("{name}_PROVIDER"), "redis_data_provider"),
            (parameters, "host=r,secret=hush"),
        ]);
        let loaded = read("apiVersion: v1beta1\nspec: {}\n", &env);
        assert_eq!(loaded.config.store_url(), "routr-v1-redis:r:6379", "{name}");
        assert!(!loaded.to_string().contains("hush"), "secrets are not shown");
    }
}

#[test]
fn numbers_are_written_as_e164_where_that_is_asked() {
    let e164 = |value: &str| {
        let text = format!("apiVersion: v1\nspec:\n  ex_convertTelToE164: {value}\n");
        read(&text, &Env::default()).config.routing.e164
    };
    assert!(e164("true") && !e164("false"));
}

/// A configuration of Routr v1 has no key for these, so that variables are the only place for them.
#[test]
fn a_map_is_written_in_a_variable() {
    let env = Env::from([("TRUNKLINE_DNS_HOSTS", "{sip.provider.com: [192.168.0.0, '192.168.0.1:5070']}")]);
    let config = read("apiVersion: v1\nspec: {}\n", &env).config;
    assert_eq!(config.dns.hosts[0].host, "sip.provider.com");
    assert_eq!(config.dns.hosts[0].addresses.len(), 2);
    let report = wrong("apiVersion: v1\nspec: {}\n", &Env::from([("TRUNKLINE_DNS_HOSTS", "{sip: [here]}")]));
    assert!(report.contains("environment variable TRUNKLINE_DNS_HOSTS:1:8"), "{report}");
    let listen = Env::from([("TRUNKLINE_LISTEN_UDP", "[::1]:5060")]);
    assert_eq!(read("apiVersion: v1\nspec: {}\n", &listen).config.listen.udp[0].to_string(), "[::1]:5060");
}

#[test]
fn who_calls_out_shows_who_it_is_unless_that_is_turned_off() {
    let calls = |text: &str| read(&format!("apiVersion: v1\nspec: {text}\n"), &Env::default());
    for (text, word, warned) in [
        ("{}", "egress", false),
        ("{auth: {calls: egress}}", "egress", false),
        ("{auth: {calls: always}}", "all", false),
        ("{auth: {calls: never}}", "domain", true),
    ] {
        let loaded = calls(text);
        assert_eq!(loaded.config.routing.authenticate.as_str(), word, "{text}");
        let told = loaded.warnings.iter().any(|w| w.contains("spec.auth.calls: never"));
        assert_eq!(told, warned, "{text}: {:?}", loaded.warnings);
    }
    let report = wrong("apiVersion: v1\nspec: {auth: {calls: perhaps}}\n", &Env::default());
    assert!(report.contains("`perhaps` is unknown here"), "{report}");
}

/// What a data provider has stored is beneath the file; what it says of files and of the data source is of another machine.
#[test]
fn a_stored_configuration_is_beneath_the_file() {
    use trunkline_config::Stored;
    let file = Source::new(
        "config.yml",
        "apiVersion: v1beta1\nspec:\n  restService: {port: 1}\n  localnets: [10.0.0.0/8]\n  logging:\n",
    );
    let stored = |spec: serde_json::Value| Stored {
        prefix: "there: ".into(),
        document: serde_json::json!({"apiVersion": "v1", "metadata": {"userAgent": "Stored"}, "spec": spec}),
    };
    let read = |stored: &Stored| Config::read_over(Some(&file), &Env::default(), Some(stored));
    let loaded = read(&stored(serde_json::json!({
        "restService": {"port": 2, "unsecured": true, "trueStore": "/nowhere", "trueStorePassword": "x"},
        "localnets": ["192.0.2.0/24"],
        "logging": {"traceLevel": 3},
        "dataSource": {"provider": "nonsense"},
        "transport": [{"protocol": "udp", "port": 5999, "colour": 1, "bindAddr": null}],
        "ex_rtpEngine": {"enabled": false, "size": 1},
    })))
    .unwrap_or_else(|report| panic!("{report}"));
    let config = &loaded.config;
    assert_eq!(config.user_agent, "Stored");
    assert_eq!(config.routr_v1.addr.map(|addr| addr.port()), Some(1));
    assert!(!config.routr_v1.tls);
    assert_eq!(config.localnets.len(), 1);
    assert!(config.log.level.contains("sip=trace"), "{}", config.log.level);
    assert_eq!(config.listen.udp.first().map(|addr| addr.port()), Some(5999));
    let told = loaded.warnings.join("\n");
    for path in ["restService.trueStore", "transport.colour", "ex_rtpEngine.size"] {
        assert!(told.contains(&format!("there: spec.{path}")), "{told}");
    }
    assert_eq!(loaded.warnings.len(), 3, "{told}");
    for (spec, place) in [
        (serde_json::json!({"restService": 5}), "there: spec.restService"),
        (
            serde_json::json!({"transport": [{"protocol": "xyz", "port": 1}]}),
            "there: spec.transport[0].protocol",
        ),
        (serde_json::json!({"recordRoute": "often"}), "there: spec.recordRoute"),
    ] {
        let report = read(&stored(spec)).err().map(|report| report.to_string()).unwrap_or_default();
        assert!(place == "there: spec.restService" || report.contains(place), "{place}: {report}");
    }
    let nothing = Stored { prefix: String::new(), document: serde_json::json!([1]) };
    assert!(read(&nothing).is_ok());
    assert_eq!(stored(serde_json::json!({"a": 1, "restService": {"b": 1}})).unknown_keys().len(), 2);
}

/// Transports that leave nobody a way in, and addresses that are names.
#[test]
fn a_transport_is_needed_and_names_are_looked_up() {
    for list in ["[]", "[{protocol: sctp, port: 5060}]"] {
        let report = wrong(&format!("apiVersion: v1\nspec:\n  transport: {list}\n"), &Env::default());
        assert!(report.contains("no entry of `transport` can be used"), "{list}: {report}");
    }
    let text = "apiVersion: v1\nspec:\n  bindAddr: localhost\n  restService: {bindAddr: localhost, keyStorePassword: x, trustStorePassword: y}\n";
    let loaded = read(text, &Env::default());
    let addr = loaded.config.routr_v1.addr.map(|addr| addr.to_string()).unwrap_or_default();
    assert!(addr == "127.0.0.1:4567" || addr == "[::1]:4567", "{addr}");
    let told = loaded.warnings.join("\n");
    assert!(
        told.contains("restService.keyStorePassword") && told.contains("restService.trustStorePassword"),
        "{told}"
    );
}
