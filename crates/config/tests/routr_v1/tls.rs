//! Key stores, trust stores, protocols and certificates of clients.

use super::*;

#[test]
fn key_stores_are_read_or_told_how_to_become_readable() {
    let stores = Stores::new("stores");
    let p12 = stores.file("a.jks", &[0x30, 0x82, 0, 0]);
    let jks = stores.file("b.jks", &[0xfe, 0xed, 0xfe, 0xed]);
    let jceks = stores.file("c.jceks", &[0xce, 0xce, 0xce, 0xce]);
    let with = |store: &Path, transport: &str| {
        format!(
            "apiVersion: v1\nspec:\n  transport: [{{protocol: {transport}, port: 5061}}]\n  restService: {{keyStore: {store}}}\n  securityContext: {{keyStore: {store}, keyStorePassword: hush, keyStoreType: jks}}\n",
            store = store.display()
        )
    };
    for store in [&p12, &jks] {
        let loaded = read(&with(store, "wss"), &Env::default());
        assert_eq!(loaded.config.tls.pkcs12.file.as_ref(), Some(store), "under whatever name");
        assert_eq!(loaded.config.tls.pkcs12.password.0, "hush");
        assert_eq!(loaded.config.routr_v1.pkcs12.file.as_ref(), Some(store));
        assert_eq!(loaded.config.routr_v1.pkcs12.password.0, "changeit");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
    let report = wrong(&with(&jceks, "tls"), &Env::default());
    assert!(report.contains("keytool -importkeystore") && report.contains("c.p12"), "{report}");
    let report = wrong(&with(&stores.0.join("none.jks"), "tls"), &Env::default());
    assert!(report.contains("none.jks cannot be read"), "{report}");
    let loaded = read("apiVersion: v1\nspec:\n  transport: [{protocol: udp, port: 5060}]\n", &Env::default());
    assert_eq!(loaded.config.tls.pkcs12.file, None, "nothing listens with TLS");
}

pub fn security(context: &str) -> String {
    format!(
        "apiVersion: v1\nspec:\n  transport: [{{protocol: tls, port: 5061}}]\n  securityContext: {{{context}}}\n"
    )
}

#[test]
fn the_words_of_client_authentication() {
    let stores = Stores::new("trust");
    let trust = format!("trustStore: {}, ", stores.file("trust.jks", &[0xfe, 0xed, 0xfe, 0xed]).display());
    for (word, with_store, without) in [
        ("Enabled", "required", None),
        ("Default", "required", None),
        ("Want", "optional", Some("off")),
        ("Disabled", "off", Some("off")),
        ("DisabledAll", "off", Some("off")),
    ] {
        let context = format!("{trust}trustStorePassword: hush, client: {{authType: {word}}}");
        let config = read(&security(&context), &Env::default()).config;
        assert_eq!(config.tls.client_auth.as_str(), with_store, "{word}");
        assert_eq!(config.tls.client_ca_password.0, "hush");
        assert_eq!(config.tls.client_ca, config.tls.trusted_ca);
        assert_eq!(config.tls.verify, word != "DisabledAll", "{word}");
        let bare = security(&format!("client: {{authType: {word}}}"));
        match without {
            Some(is) => {
                assert_eq!(read(&bare, &Env::default()).config.tls.client_auth.as_str(), is, "{word}")
            }
            None => {
                let report = wrong(&bare, &Env::default());
                assert!(
                    report.contains("config/config.yml:4:40\n") && report.contains("trustStore"),
                    "{report}"
                );
            }
        }
    }
    let warned = read(&security("client: {authType: DisabledAll}"), &Env::default()).warnings;
    assert!(warned.iter().any(|w| w.contains("not verified")), "{warned:?}");
}

#[test]
fn trust_stores_are_opened_at_the_start() {
    let stores = Stores::new("opened");
    let there = stores.file("trust.p12", &[0x30, 0x82, 0, 0]);
    for key in ["trustStore", "trueStore"] {
        let context = format!("{key}: {}, {key}Password: hush", there.display());
        let config = read(&security(&context), &Env::default()).config;
        assert_eq!(config.tls.trusted_ca.as_ref(), Some(&there), "{key}");
        assert_eq!(config.tls.trusted_ca_password.0, "hush", "{key}");
        let report = wrong(&security(&format!("{key}: /nowhere/trust.jks")), &Env::default());
        assert!(report.contains("/nowhere/trust.jks cannot be read"), "{report}");
        let rest = |file: &Path| {
            format!(
                "apiVersion: v1\nspec:\n  restService: {{{key}: {}, {key}Password: hush}}\n",
                file.display()
            )
        };
        assert!(read(&rest(&there), &Env::default()).warnings.is_empty());
        let report = wrong(&rest(Path::new("/nowhere/trust.jks")), &Env::default());
        assert!(report.contains("/nowhere/trust.jks cannot be read"), "{report}");
    }
}

#[test]
fn only_protocols_of_today_are_offered() {
    let protocols = |list: &str| security(&format!("client: {{protocols: [{list}]}}"));
    for (list, warned) in [
        ("TLSv1.2", ""),
        ("TLSv1.3, TLSv1.2", ""),
        ("TLSv1.2, TLSv1.1, TLSv1", "TLSv1.1, TLSv1 are not supported"),
        ("SSLv3, TLSv1.2", "SSLv3 are not supported"),
    ] {
        let warnings = read(&protocols(list), &Env::default()).warnings;
        let of_protocols: Vec<&String> = warnings.iter().filter(|w| w.contains("protocols")).collect();
        assert_eq!(of_protocols.len(), usize::from(!warned.is_empty()), "{list}: {warnings:?}");
        assert!(warned.is_empty() || of_protocols[0].contains(warned), "{list}: {warnings:?}");
    }
    for (list, least) in
        [("TLSv1.3", "V1_3"), ("TLSv1.2", "V1_2"), ("TLSv1.3, TLSv1.2", "V1_2"), ("TLSv1.3, TLSv1.1", "V1_2")]
    {
        let config = read(&protocols(list), &Env::default()).config;
        assert_eq!(format!("{:?}", config.tls.min_version), least, "{list}");
    }
    let report = wrong(&protocols("TLSv1.1, TLSv1"), &Env::default());
    assert!(report.contains("add TLSv1.2"), "{report}");
    let report = wrong(&protocols("TLSv2"), &Env::default());
    assert!(report.contains("`TLSv2` is unknown here"), "{report}");
}
