//! A configuration of Routr v1 as its operator meets it here.

use std::path::Path;

use trunkline_config::{Config, Env, Loaded, Source};

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
    assert_eq!(config.external_addrs, ["203.0.113.9".parse::<std::net::IpAddr>().expect("an address")]);
    assert_eq!(config.localnets[1].to_string(), "192.168.1.0/24");
    assert_eq!(config.access_control.deny.len(), 3, "what no rule names is denied in early editions");
    assert_eq!(config.routr_v1.addr, "0.0.0.0:5567".parse().ok());
    assert!(!config.routr_v1.tls && config.routing.peers_use_policies);
    assert_eq!(config.registrar.min_expires, 1, "no 423");
    let shown = loaded.to_string();
    assert!(shown.contains("addr: \"0.0.0.0:5567\"  # config/config.yml:18:11"), "{shown}");
    for key in
        ["metadata.userAgent", "spec.externAddr", "spec.recordRoute", "protocol", "spec.logging.traceLevel"]
    {
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
    assert_eq!(config.external_addrs[0].to_string(), "203.0.113.10");
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
    assert_eq!(config.external_addrs[0].to_string(), "203.0.113.11");
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
        ("apiVersion: v1\nspec:\n  localnets: [nets]\n", "3:15", "`nets` is no address and no network"),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: redis_data_provider}\n",
            "3:26",
            "resources in Redis are not read yet",
        ),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: restful_data_provider}\n",
            "3:26",
            "set `provider: files_data_provider`",
        ),
        (
            "apiVersion: v1\nspec:\n  dataSource: {provider: file_data_provider}\n",
            "3:26",
            "did you mean `files_data_provider`",
        ),
        (
            "apiVersion: v1\nspec:\n  transport: [{protocol: tls, port: 5061}]\n  securityContext: {client: {authType: Enabled}}\n",
            "4:40",
            "TRUNKLINE_TLS_CLIENT_CA",
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

#[test]
fn key_stores_are_read_or_told_how_to_become_readable() {
    let folder = std::env::temp_dir().join(format!("trunkline-v1-stores-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (p12, jks) = (folder.join("a.jks"), folder.join("b.jks"));
    std::fs::write(&p12, [0x30, 0x82, 0, 0]).expect("written");
    std::fs::write(&jks, [0xfe, 0xed, 0xfe, 0xed]).expect("written");
    let with = |store: &Path, transport: &str| {
        format!(
            "apiVersion: v1\nspec:\n  transport: [{{protocol: {transport}, port: 5061}}]\n  restService: {{keyStore: {store}}}\n  securityContext: {{keyStore: {store}, keyStorePassword: hush}}\n",
            store = store.display()
        )
    };
    let loaded = read(&with(&p12, "wss"), &Env::default());
    assert_eq!(loaded.config.tls.pkcs12.file.as_deref(), Some(&*p12), "PKCS#12 under the name of another");
    assert_eq!(loaded.config.tls.pkcs12.password.0, "hush");
    assert_eq!(loaded.config.routr_v1.pkcs12.file.as_deref(), Some(&*p12));
    assert_eq!(loaded.config.routr_v1.pkcs12.password.0, "changeit");
    let report = wrong(&with(&jks, "tls"), &Env::default());
    assert!(report.contains("keytool -importkeystore") && report.contains("b.p12"), "{report}");
    let loaded = read(&with(&jks, "udp"), &Env::default());
    assert_eq!(loaded.config.tls.pkcs12.file, None, "nothing listens with TLS");
    assert!(loaded.warnings.iter().any(|w| w.contains("restService.keyStore") && w.contains("keytool")));
    std::fs::remove_dir_all(&folder).expect("removed");
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
