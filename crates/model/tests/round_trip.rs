//! Whatever a resource holds, written and read it is the same.

use proptest::prelude::*;
use trunkline_model::dialect::v2;
use trunkline_model::document::{Node, Reading, Source};
use trunkline_model::{
    Agent, ClientCertificate, Credentials, Number, Privacy, Ref, Resource, ShownAs, Trunk, TrunkUri,
};
use trunkline_sip::Transport;

/// Any text that is not empty: an empty one counts as absent.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,20}", "\\PC{1,20}", "[0-9.eE+-]{1,6}", "(true|null|~|- x|#|a: b|'|\"|yes|\\n |<<)"]
}

fn agent() -> impl Strategy<Value = Resource> {
    let numbers = (prop::option::of(1..u32::MAX / 2), prop::option::of(1..u32::MAX / 2));
    (text(), text(), prop::option::of(text()), any::<(bool, bool)>(), numbers, text()).prop_map(
        |(reference, username, domain, (private, enabled), (max_contacts, expires), name)| {
            let mut agent = Agent::new(reference, username, domain.map(Ref::from));
            agent.name = name.clone();
            agent.privacy = if private { Privacy::Private } else { Privacy::None };
            agent.enabled = enabled;
            agent.max_contacts = max_contacts;
            agent.expires = expires;
            agent.extended.insert(name.clone(), serde_json::json!({ "deep": [name, null, 1.5, -7, {}] }));
            agent.into()
        },
    )
}

fn number() -> impl Strategy<Value = Resource> {
    (text(), text(), prop::collection::vec((text(), text()), 0..3), prop::option::of(text())).prop_map(
        |(reference, tel, headers, city)| {
            let mut number = Number::new(reference, &tel, None);
            number.extra_headers = headers;
            number.geo.city = city;
            number.into()
        },
    )
}

fn credentials() -> impl Strategy<Value = Resource> {
    (text(), text(), text()).prop_map(|(r, u, p)| Credentials::new(r, u, p).into())
}

/// Destinations with and without port and transport: what the file leaves out stays out.
fn trunk() -> impl Strategy<Value = Resource> {
    let transport =
        prop::option::of(prop::sample::select(&[Transport::Udp, Transport::Tcp, Transport::Tls][..]));
    let uri =
        (prop::option::of(1..u16::MAX), transport, prop::option::of("[a-z]{1,8}"), any::<(u16, bool)>());
    let uri = uri.prop_map(|(port, transport, user, (priority, enabled))| TrunkUri {
        user,
        host: "sip.provider.test".into(),
        port,
        transport,
        weight: 1,
        priority,
        enabled,
    });
    let parameters = prop::collection::vec("[a-z-]{1,8}", 0..3);
    let shown = prop::sample::select(&[ShownAs::Caller, ShownAs::Number, ShownAs::Account][..]);
    let all = (text(), prop::collection::vec(uri, 0..3), parameters, shown, any::<bool>());
    all.prop_map(|(reference, uris, parameters, shown, asserts)| {
        let mut trunk = Trunk::new(reference, "trunk");
        trunk.uris = uris;
        trunk.allowed_parameters = parameters;
        (trunk.shown_as, trunk.asserts_identity) = (shown, asserts);
        trunk.limits.at_once = asserts.then_some(7);
        let files = ClientCertificate { certificate: "a.crt".into(), key: "a b.key".into() };
        trunk.client_certificate = (!asserts).then_some(files);
        trunk.into()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn by_json_and_by_yaml(resource in prop_oneof![agent(), number(), credentials(), trunk()]) {
        let reading = Reading::default();
        let node = Node::from_json(&v2::to_json(&resource), &Source::new("json", ""));
        let read = v2::resource(&node, &reading);
        prop_assert_eq!(read.as_ref(), Some(&resource), "{}", reading.into_report());

        let reading = Reading::default();
        let yaml = v2::to_yaml([&resource]);
        let read = v2::documents(&Source::new("yaml", yaml.clone()), &reading);
        let read = read.into_iter().next().and_then(|document| document.resource);
        prop_assert_eq!(read.as_ref(), Some(&resource), "{}\n{}", yaml, reading.into_report());
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,40}|[ \\n\\t:{}\\[\\],&*!|>'\"%@`#-]{0,60}") {
        let reading = Reading::default();
        v2::documents(&Source::new("any", text), &reading);
        let _ = reading.into_report().to_string();
    }
}
