//! The configuration as an operator meets it.

use trunkline_config::{ClientAuth, Config, Env, Loaded, Role, Source};

fn read(text: &str, env: &Env) -> Loaded {
    Config::read(Some(&Source::new("trunkline.yaml", text)), env).unwrap_or_else(|report| panic!("{report}"))
}

fn wrong(text: &str, env: &Env) -> String {
    match Config::read(Some(&Source::new("trunkline.yaml", text)), env) {
        Ok(loaded) => panic!("accepted:\n{loaded}"),
        Err(report) => report.to_string(),
    }
}

#[test]
fn nothing_is_needed() {
    let loaded = Config::read(None, &Env::default()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.config.store_url(), "sqlite:trunkline.db");
    assert_eq!(loaded.config.control_socket().to_str(), Some("trunkline.sock"));
    assert_eq!(loaded.config.listen.udp.len(), 2, "both families");
    assert!(loaded.config.runs(Role::Exchange));
    assert_eq!(read("# only comments\n", &Env::default()).config, Config::default());
}

#[test]
fn what_is_printed_reads_the_same() {
    let file = "
data: /var/lib/trunkline
domain: pbx.example
roles: [exchange]
listen: {udp: \"192.0.2.1:5060\", tcp: [5060, \"[2001:db8::1]:5070\"], tls: off, ws: 8080}
externalAddrs: [203.0.113.9]
localnets: 10.0.0.1/24, 192.168.1.1/16
registrar: {minExpires: 30, thirdParty: yes}
tls:
  certificates: [{cert: a.pem, key: a.key}, {cert: b b.pem, key: \"b,key\"}]
  clientAuth: required
  clientCa: ca.pem
dns: {hosts: {Sip.Provider.Net: [10.0.0.7, \"10.0.0.8:5080\"], other: \"::1\"}, servers: [10.0.0.53, \"[::1]:5353\"]}
rtpengine: 127.0.0.1:2223
http: {addr: off}
log: {level: \"info,trunkline_edge=debug\", format: json}
";
    let first = read(file, &Env::default());
    let c = &first.config;
    assert_eq!(c.listen.udp, ["192.0.2.1:5060".parse().expect("address")]);
    assert_eq!((c.listen.tcp.len(), c.listen.tls.len(), c.listen.ws.len()), (3, 0, 2));
    assert_eq!(c.tls.client_auth, ClientAuth::Required);
    assert_eq!(c.dns.hosts[0].host, "sip.provider.net");
    assert_eq!(c.dns.hosts[0].addresses[1].port(), 5080);
    assert_eq!(
        c.dns.servers.iter().map(|s| s.0.to_string()).collect::<Vec<_>>(),
        ["10.0.0.53:53", "[::1]:5353"]
    );
    assert_eq!(c.http.addr, None);
    assert_eq!(c.store_url(), "sqlite:/var/lib/trunkline/trunkline.db");
    assert_eq!(c.database_file().as_deref(), Some("/var/lib/trunkline/trunkline.db".as_ref()));
    let printed = first.to_string();
    let second = read(&printed, &Env::default());
    assert_eq!(second.config, first.config, "{printed}");
    let defaults = Config::read(None, &Env::default()).expect("defaults").to_string();
    assert_eq!(read(&defaults, &Env::default()).config, Config::default(), "{defaults}");
}

#[test]
fn the_environment_wins_and_is_named() {
    let env = Env::from([
        ("TRUNKLINE_HTTP_ADDR", "127.0.0.1:9000"),
        ("TRUNKLINE_REGISTRAR_MAX_EXPIRES", "1800"),
        ("TRUNKLINE_EXTERNAL_ADDRS", "203.0.113.9, 2001:db8::9"),
        ("TRUNKLINE_LISTEN_TLS", "off"),
        ("TRUNKLINE_LITSEN_UDP", "5070"),
        ("TRUNKLINE_BIN", "/somewhere"),
    ]);
    let loaded = read("registrar:\n  maxExpires: 900\n", &env);
    let c = &loaded.config;
    assert_eq!(c.registrar.max_expires, 1800);
    assert_eq!(c.external_addrs.addresses.len(), 2);
    assert!(c.listen.tls.is_empty());
    assert_eq!(c.http.addr.map(|a| a.port()), Some(9000));
    let printed = loaded.to_string();
    assert!(printed.contains("  maxExpires: 1800  # TRUNKLINE_REGISTRAR_MAX_EXPIRES"), "{printed}");
    assert!(printed.contains("  minExpires: 60  # default"), "{printed}");
    assert!(printed.contains("  defaultExpires: 1800  # default"), "it follows its bounds: {printed}");
    let expected = "TRUNKLINE_LITSEN_UDP sets no known key (did you mean TRUNKLINE_LISTEN_UDP?)";
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].ends_with(expected), "{:?}", loaded.warnings);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let text =
        wrong("registrar:\n  maxExpire: 900\nworkers: many\nroles: [exchagne]\ntsl: {}\n", &Env::default());
    let expected = "\
error: unknown key `maxExpire` (did you mean `maxExpires`?)
  ┌─ trunkline.yaml:2:3
2 │   maxExpire: 900
  │   ^^^^^^^^^
  = `registrar` takes: minExpires, maxExpires, natExpires, defaultExpires, maxContacts, replaceOldestContact, thirdParty, flowTimerSeconds, serviceRoute, storePatienceMs, reachBySource
";
    assert!(text.contains(expected), "{text}");
    for part in [
        "`many` is not a whole number from 0 to 65535\n  ┌─ trunkline.yaml:3:10",
        "`exchagne` is unknown here (did you mean `exchange`?)\n  ┌─ trunkline.yaml:4:9",
        "unknown key `tsl` (did you mean `tls`?)",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let text = wrong("", &Env::from([("TRUNKLINE_WORKERS", "x")]));
    assert!(text.contains("┌─ environment variable TRUNKLINE_WORKERS:1:1"), "{text}");
    assert!(wrong("[1, 2]", &Env::default()).contains("expected a map, found a list"));
    assert!(wrong("a: [", &Env::default()).contains("this is not YAML"));
    assert!(wrong("{}\n---\n{}\n", &Env::default()).contains("one document"));
    assert!(wrong("listen: 5060", &Env::default()).contains("expected a map, found a number"));
}

#[test]
fn a_key_at_the_wrong_place_is_told_the_right_one() {
    for (text, said) in [
        ("maxExpires: 900", "unknown key `maxExpires` (did you mean `registrar.maxExpires`?)"),
        ("routing: {maxExpire: 900}", "unknown key `maxExpire` (did you mean `registrar.maxExpires`?)"),
        ("http: {salt: x}", "unknown key `salt` (did you mean `routrV1.salt`?)"),
        ("routrV1: {timeoutMs: 100}", "unknown key `timeoutMs` (did you mean `provider.timeoutMs`?)"),
        ("log: {domain: sip.local}", "unknown key `domain` (did you mean `domain` at the top?)"),
    ] {
        let found = wrong(text, &Env::default());
        assert!(found.contains(said), "{text}: {found}");
    }
}

#[test]
fn lists_in_variables_may_have_brackets() {
    let read = |name: &str, text: &str| Config::read(None, &Env::from([(name, text)])).expect(text).config;
    let roles = |text: &str| read("TRUNKLINE_ROLES", text).roles;
    for text in ["exchange, health", "[exchange, health]", "[ 'exchange', \"health\" ]", "[exchange,health,]"]
    {
        assert_eq!(roles(text), roles("exchange,health"), "{text}");
    }
    let udp = |text: &str| read("TRUNKLINE_LISTEN_UDP", text).listen.udp;
    for text in
        ["[[::1]:5070, 127.0.0.1:5070]", "[::1]:5070, 127.0.0.1:5070", "[\"[::1]:5070\",127.0.0.1:5070]"]
    {
        assert_eq!(udp(text), udp("[::1]:5070,127.0.0.1:5070"), "{text}");
        assert_eq!(udp(text).len(), 2, "{text}");
    }
    assert_eq!(
        read("TRUNKLINE_EXTERNAL_ADDRS", "[2001:db8::1, 192.0.2.1]").external_addrs.addresses.len(),
        2
    );
    assert_eq!(read("TRUNKLINE_EXTERNAL_ADDRS", "[2001:db8::1]").external_addrs.addresses.len(), 1);
    assert_eq!(read("TRUNKLINE_ACCESS_CONTROL_DENY", "[]").access_control.deny, []);
    let hosts =
        read("TRUNKLINE_DNS_HOSTS", "{a.example: [192.0.2.1, 192.0.2.2], b.example: 192.0.2.3}").dns.hosts;
    assert_eq!(hosts.iter().map(|host| host.addresses.len()).collect::<Vec<_>>(), [2, 1]);
    // What is no list is taken as it is.
    for text in ["{abc}", "[abc]", "[a{b}c]"] {
        let secret = read("TRUNKLINE_ROUTR_V1_PROVIDER_SECRET", text).routr_v1.provider.secret;
        assert_eq!(secret.0, text);
    }
    let error =
        Config::read(None, &Env::from([("TRUNKLINE_ROLES", "[exchange, exchagne]")])).expect_err("a typo");
    assert!(error.to_string().contains("did you mean `exchange`?"), "{error}");
}

#[test]
fn what_is_unsafe_or_does_nothing_is_told() {
    assert_eq!(Config::read(None, &Env::default()).expect("the defaults").cautions(), [""; 0]);
    let text = "digestUri: off\nstateless: on\ntls: {verify: off, trustedCa: a.pem, clientCa: b.pem}\n\
                routing: {passChallenges: all, revealUnknownUsers: on, strangersMayRefer: on, peersUsePolicies: on,\n\
                  openMethods: [INVITE, MESSAGE], dialogsFromAnywhere: on,\n\
                  addressInfo: [X-DID], toAsAor: on}\n\
                registrar: {thirdParty: on}\ncalls: {records: off}\ngrpc: {revealPasswords: on}\n\
                http: {addr: 0.0.0.0:8000}\naccessControl: {allow: [0.0.0.0/1, 128.0.0.0/1]}\n\
                events: {memory: 0, types: [request], webhook: {url: 'http://hook.example/', secret: s},\n\
                  nats: {url: 'nats://nats.example'}}\n\
                otlp: {url: 'http://collector.example/v1/traces'}\n\
                log: {level: 'info,sip=trace'}\n";
    let loaded = read(text, &Env::from([("TRUNKLINE_CALLS_RETENTION_DAYS", "30")]));
    let said = loaded.cautions();
    let keys: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix('`')?.split(':').next()).collect();
    let expected = [
        "stateless",
        "digestUri",
        "routing.passChallenges",
        "routing.revealUnknownUsers",
        "routing.strangersMayRefer",
        "routing.openMethods",
        "routing.dialogsFromAnywhere",
        "routing.peersUsePolicies",
        "routing.addressInfo",
        "routing.toAsAor",
        "registrar.thirdParty",
        "calls.records",
        "tls.verify",
        "tls.trustedCa",
        "tls.clientCa",
        "calls.retentionDays",
        "grpc.revealPasswords",
        "http.addr",
        "accessControl.allow",
        "log.level",
        "events.types",
        "events.webhook.url",
        "events.nats.url",
        "otlp.url",
        "otlp.callsPercent",
    ];
    assert_eq!(keys, expected);
    assert!(
        said[1].starts_with("`digestUri: off` (trunkline.yaml:1:12): anyone who sees a call"),
        "{}",
        said[1]
    );
    let by_variable = "`calls.retentionDays: 30` (TRUNKLINE_CALLS_RETENTION_DAYS): has no effect";
    assert!(said[15].starts_with(by_variable), "{}", said[15]);
}

#[test]
fn receivers_without_a_url_are_told() {
    let text = "otlp: {authorization: a, trustedCa: a.pem, callsPercent: 5}\n\
                events: {webhook: {trustedCa: a.pem, secret: s, types: [call], spool: x},\n\
                  nats: {user: u, password: p, token: t, trustedCa: a.pem, cert: b.pem, key: c.pem}}\n";
    let said = read(text, &Env::default()).cautions();
    for (key, url) in [
        ("otlp.authorization", "otlp.url"),
        ("otlp.trustedCa", "otlp.url"),
        ("otlp.callsPercent", "otlp.url"),
        ("events.nats.trustedCa", "events.nats.url"),
        ("events.nats.cert", "events.nats.url"),
        ("events.nats.user", "events.nats.url"),
        ("events.nats.password", "events.nats.url"),
        ("events.nats.token", "events.nats.url"),
        ("events.webhook.trustedCa", "events.webhook.url"),
        ("events.webhook.secret", "events.webhook.url"),
        ("events.webhook.types", "events.webhook.url"),
        ("events.webhook.spool", "events.webhook.url"),
    ] {
        let end = format!("has no effect without `{url}`");
        let is_told = said.iter().any(|line| line.starts_with(&format!("`{key}: ")) && line.ends_with(&end));
        assert!(is_told, "{key}: {said:#?}");
    }
    assert_eq!(said.len(), 12, "{said:#?}");
    for (url, is_told) in [
        ("https://c.example", true),
        ("https://c.example:4318/", true),
        ("https://c.example/v1/traces", false),
    ] {
        let said = read(&format!("otlp: {{url: '{url}'}}\n"), &Env::default()).cautions();
        assert_eq!(said.iter().any(|line| line.contains("has no path")), is_told, "{url}: {said:?}");
    }
}

#[test]
fn values_must_fit_together() {
    let text = wrong("registrar: {minExpires: 600, maxExpires: 300}\nlisten: {tls: 5060}\n", &Env::default());
    for part in [
        "`registrar.minExpires`: minExpires is above maxExpires\n  ┌─ trunkline.yaml:1:25",
        "`registrar.defaultExpires`: defaultExpires is above maxExpires\n  = `registrar.defaultExpires` has its default",
        "`listen.tls`: 0.0.0.0:5060 is used by `listen.tcp` already",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(wrong("tls: {cert: a.pem}", &Env::default()).contains("a certificate needs `tls.key`"));
    for (text, part) in [
        ("events: {nats: {cert: a.pem}}", "set both `events.nats.cert` and `events.nats.key`"),
        ("otlp: {url: 'http://ann:s3same@c.example/'}", "without user name and password"),
        ("otlp: {url: 'http://c.example/', callsPercent: 101}", "callsPercent must be at most 100"),
        ("otlp: {authorization: \"Bearer a\\r\\nX: b\"}", "a header has printable characters only"),
    ] {
        assert!(wrong(text, &Env::default()).contains(part), "{text}");
    }
    assert!(wrong("tls: {clientAuth: required}", &Env::default()).contains("need `tls.clientCa`"));
    let open = wrong("grpc: {addr: 0.0.0.0:51907}", &Env::default());
    assert!(open.contains("must be a loopback address") && open.contains("`grpc.externalAddr`"), "{open}");
    let twice = wrong("grpc: {addr: 127.0.0.1:8000}", &Env::default());
    assert!(twice.contains("`grpc.addr`: 127.0.0.1:8000 is used by `http.addr` already"), "{twice}");
    let fine =
        read("grpc: {addr: \"[::1]:51907\", externalAddr: off, revealPasswords: on}", &Env::default()).config;
    assert!(fine.grpc.addr.is_some() && fine.grpc.external_addr.is_none() && fine.grpc.reveal_passwords);
}

#[test]
fn what_would_be_taken_for_something_else_is_refused() {
    for (text, about) in [
        ("data: mysql://db/x", "`data`: unknown store: write sqlite:FILE"),
        ("data: \"postgres:x\"", "`data`: unknown store"),
        ("data: postgres://ann:hush@db/x", "`data`: a password must not be in the URL"),
        ("data: postgres://ann@db/x?password=hush", "`data`: a password must not be in the URL"),
        ("data: \"sqlite:\"", "`data`: unknown store"),
        ("data: \"memory:x\"", "`data`: unknown store"),
        ("domain: a b/c", "`domain`: the domain must be a host such as sip.local"),
        ("log: {level: loud}", "`log.level`: write error, warn, info, debug, trace"),
        ("log: {level: \"info,trunkline_edge=verbose\"}", "`log.level`: write error"),
        (
            "accessControl: {allow: [10.0.0.0/33]}",
            "`10.0.0.0/33` is not a network or an address, e.g. 10.0.0.0/8",
        ),
    ] {
        let said = wrong(text, &Env::default());
        assert!(said.contains(about) && said.contains("┌─ trunkline.yaml:1:"), "{text}: {said}");
    }
    let said = wrong("{}", &Env::from([("TRUNKLINE_LOG_LEVEL", "loud")]));
    assert!(said.contains("environment variable TRUNKLINE_LOG_LEVEL"), "{said}");
    for good in
        ["data: ./a:b", "data: /var/lib/x", "domain: pbx", "log: {level: \"warn, trunkline_edge=trace\"}"]
    {
        read(good, &Env::default());
    }
    let lists =
        read("accessControl: {allow: [192.0.2.7], deny: [\"::/0\"]}", &Env::default()).config.access_control;
    assert_eq!(lists.allow[0].0.to_string(), "192.0.2.7/32");
}

/// A bad file of a megabyte on one line is told about in a moment, and in few words each.
#[test]
fn many_mistakes_on_a_long_line() {
    let keys: Vec<String> = (0..20_000).map(|n| format!("k{n}: 1")).collect();
    let start = std::time::Instant::now();
    let said = wrong(&format!("{{{}}}", keys.join(", ")), &Env::default());
    assert!(said.len() < 500_000, "{} bytes", said.len());
    assert!(said.ends_with("error: and 19800 more\n"));
    // Minutes, when each of them walked along the file.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn json_of_the_configuration() {
    let loaded = read("tls: {pkcs12: {file: a.p12, password: hunter2}}\nworkers: 3\n", &Env::default());
    let json: serde_json::Value = serde_json::from_str(&loaded.to_json()).expect("json");
    assert_eq!(json["workers"]["value"], "3");
    assert_eq!(json["workers"]["from"], "trunkline.yaml:2:10");
    assert!(!loaded.to_json().contains("hunter2"));
}

#[test]
fn secrets_are_not_printed() {
    let loaded = read("tls: {pkcs12: {file: a.p12, password: hunter2}}", &Env::default());
    assert_eq!(loaded.config.tls.pkcs12.password.0, "hunter2");
    assert!(!loaded.to_string().contains("hunter2"));
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
}

#[test]
fn a_named_file_must_be_there() {
    let report = Config::load(Some("/nonexistent.yaml".as_ref()), &Env::default()).expect_err("missing");
    assert!(report.to_string().contains("cannot read the configuration /nonexistent.yaml"), "{report}");
}

/// A key of a resource in the configuration: the error says where it belongs.
#[test]
fn a_key_of_a_resource_is_told_its_place() {
    let said = |text: &str| {
        let source = trunkline_model::document::Source::new("x.yaml", text);
        Config::read(Some(&source), &Env::default()).expect_err(text).to_string()
    };
    let text = said("interDomain: open\n");
    assert!(text.contains("`interDomain` (this is a key elsewhere: `spec.interDomain` of Domain)"), "{text}");
    let text = said("registrar: {digestUri: off}\n");
    assert!(text.contains("unknown key `digestUri` (did you mean `digestUri` at the top?)"), "{text}");
}

#[test]
fn the_shipped_example_has_every_key_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/trunkline.yaml");
    let loaded =
        Config::load(Some(path.as_ref()), &Env::default()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.config, Config::default());
    let absent: Vec<_> = loaded
        .values
        .iter()
        .filter(|value| matches!(value.origin, trunkline_config::Origin::Default))
        .map(|value| &value.path)
        .collect();
    assert!(absent.is_empty(), "{absent:?}");
}
