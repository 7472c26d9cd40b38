//! Numbers in every spelling: the rule that judges one sees what the carrier gets.

use crate::common::{World, register, request};
use trunkline_model::{Domain, EgressPolicy, Ref, Rule, Trunk};

/// Calls to `+1900…` and `0900…` leave by trunk-02, whose carrier is another; all others by trunk-01.
fn world() -> World {
    let mut world = World::authenticated();
    let mut domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
    let policy = |rule: &str, n: &str| EgressPolicy { rule: Rule::new(rule).unwrap(), number: Ref::new(n) };
    domain.egress_policies = vec![policy(r"^(\+1|0)900", "number-03"), policy(".*", "number-01")];
    world.tables.put(domain);
    let mut trunk = Trunk::clone(world.tables.trunk_by_ref("trunk-02").unwrap());
    trunk.uris = vec![crate::common::uri("premium.example", 5060, 1)];
    world.tables.put(trunk);
    world.register("sip:1001@sip.local", "sip:1001@10.0.0.51", 1000);
    world
}

fn allow(world: &mut World, trunk: &str, names: &[&str]) {
    let mut trunk = Trunk::clone(world.tables.trunk_by_ref(trunk).unwrap());
    trunk.allowed_parameters = names.iter().map(|n| (*n).to_owned()).collect();
    world.tables.put(trunk);
}

#[test]
fn no_spelling_passes_a_rule() {
    let world = world();
    for (spelling, judged) in [
        ("sip:+19005551234@sip.local", "+19005551234"),
        ("sip:+1%39005551234@sip.local", "+19005551234"),
        ("sip:%2b19005551234@sip.local", "+19005551234"),
        ("sip:%2B1%2D900%2D555%2D1234@sip.local", "+19005551234"),
        ("tel:+1-900-555-1234", "+19005551234"),
        ("tel:+1(900)555.1234;npdi", "+19005551234"),
        ("TEL:+1900-5551234", "+19005551234"),
        ("tel:%2B1%39005551234", "+19005551234"),
        ("sip:+1(900)5551234;npdi@sip.local", "+19005551234"),
        ("sip:+1.900.5551234@sip.local;user=phone", "+19005551234"),
        ("sip:+1-900-555-1234@192.0.2.1;user=PHONE", "+19005551234"),
        ("sip:(+1)9005551234@sip.local", "+19005551234"),
        ("sip:++19005551234@sip.local", "+19005551234"),
        ("sip:+%319005551234@sip.local", "+19005551234"),
        ("sip:+1%20900%20555%201234@sip.local", "+19005551234"),
        ("sip:+1/900/5551234@sip.local", "+19005551234"),
        ("sip:+19005551234%3Bnpdi@sip.local", "+19005551234"),
        ("sip:+19005551234;rn=+15550001111;npdi@sip.local", "+19005551234"),
        ("sip:+19005551234;phone-context=+44@sip.local", "+19005551234"),
        ("sip:+1900555:1234@sip.local", "+1900555"),
        ("sips:+1-900-5551234@sip.local", "+19005551234"),
        ("sip:0(900)123@sip.local", "0900123"),
        ("tel:0-900-123;phone-context=+1", "0900123"),
    ] {
        let got = world.invite("1001@sip.local", spelling);
        let phone = if spelling.to_lowercase().contains("user=phone") { ";user=phone" } else { "" };
        let want = format!("agent-to-pstn: sip:{judged}@premium.example:5060{phone}");
        let all = got.short();
        // The second rule takes over where the first way fails; the number is the same.
        assert_eq!(all.split(" | ").next(), Some(&*want), "{spelling}\n{}", got.story);
        for target in got.decision.targets.as_slice() {
            let uri = String::from_utf8(got.decision.targets.text(target.uri).to_vec()).unwrap();
            assert!(uri.starts_with(&format!("sip:{judged}@")), "{spelling}: {uri}");
        }
    }
}

/// What is no number is sent as the rule saw it, too.
#[test]
fn names_leave_as_they_were_judged() {
    let world = world();
    for (spelling, sent) in [
        ("sip:%61lice@sip.local", "alice"),
        ("sip:alice;x=y@sip.local", "alice"),
        ("sip:alice%3Bnpdi@sip.local", "alice"),
        ("sip:a%40b@sip.local", "a%40b"),
        ("sip:1900x5;rn=+1@sip.local", "1900x5"),
        ("sip:1%2539005551234@sip.local", "1%2539005551234"),
        ("sip:*31%2317@sip.local", "*31%2317"),
    ] {
        let got = world.invite("1001@sip.local", spelling).sent;
        assert!(got[0].starts_with(&format!("INVITE sip:{sent}@")), "{spelling}: {}", got[0]);
    }
    for nothing in ["sip:;npdi@sip.local", "sip:%3Bnpdi@sip.local"] {
        assert_eq!(world.invite("1001@sip.local", nothing).short(), "404", "{nothing}");
    }
}

/// A number of ours is found however it is written, and so is an agent whose name is one.
#[test]
fn numbers_of_ours() {
    let mut world = world();
    let agent = "agent-to-agent: sip:1001@10.0.0.51";
    for spelling in [
        "sip:+1-910-343-4434@sip.local",
        "sip:+1%39103434434@sip.local",
        "tel:+1(910)3434434;npdi;rn=+15550001",
        "sip:+19103434434;cic=+1-6789@sip.local;user=phone",
        "sip:10-01@sip.local",
        "sip:1001;npdi@sip.local",
        "sip:1001;x@sip.local;user=phone",
    ] {
        assert_eq!(world.invite("1002@sip.local", spelling).short(), agent, "{spelling}");
    }
    let carrier = "sip:+19103434434;npdi;rn=+15550001111;cic=+1-6789@trunk01.acme.com;user=phone";
    assert_eq!(world.invite("+1777@c.example", carrier).short(), "from-pstn: sip:1001@10.0.0.51");
    // A server's dial plan knows the number, not what stands behind it.
    world.register("sip:conference@sip.local", "sip:asterisk@10.0.0.60", 1000);
    let got = world.invite("+1777@c.example", "sip:+1-706-604-1487;npdi@trunk01.acme.com");
    assert_eq!(got.short(), "from-pstn: sip:+17066041487@10.0.0.60");
    // A name with a hyphen between digits is a name first.
    let mut named = trunkline_model::Agent::new("agent-07", "100-1", Some(Ref::new("domain-01")));
    named.credentials = Some(Ref::new("credentials-01"));
    world.tables.put(named);
    world.register("sip:100-1@sip.local", "sip:100-1@10.0.0.57", 1000);
    assert_eq!(
        world.invite("1002@sip.local", "100-1@sip.local").short(),
        "agent-to-agent: sip:100-1@10.0.0.57"
    );
    let both = "100-1@sip.local";
    assert_eq!(world.ask(&register("sip.local", both, both)).short(), "register sip:100-1@sip.local");
}

#[test]
fn parameters_stay_here_unless_the_trunk_takes_them() {
    let mut world = world();
    let full = "sip:+15551234;npdi;rn=+15550001111;cic=+1-6789;tgrp=x;trunk-context=y;isub=2;oli=62;custom=1@sip.local\
                ;npdi=yes;dtg=z;user=phone;transport=tcp;maddr=192.0.2.9;custom=1";
    let sent = |world: &World, to: &str| {
        let short = world.invite("1001@sip.local", to).short();
        short.split(": ").nth(1).unwrap_or(&short).to_owned()
    };
    assert_eq!(sent(&world, full), "sip:+15551234@sip.provider.net:7060;user=phone");
    let tel = "tel:+15551234;npdi;rn=+15550001111;isub=2";
    assert_eq!(sent(&world, tel), "sip:+15551234@sip.provider.net:7060");
    allow(&mut world, "trunk-01", &["npdi", "rn"]);
    let want = "sip:+15551234;npdi;rn=+15550001111@sip.provider.net:7060;user=phone;npdi=yes";
    assert_eq!(sent(&world, full), want);
    assert_eq!(sent(&world, tel), "sip:+15551234;npdi;rn=+15550001111@sip.provider.net:7060");
    assert_eq!(sent(&world, "sip:+15551234;NPDI@sip.local"), "sip:+15551234;NPDI@sip.provider.net:7060");
}

/// The URIs of other headers say no more than the Request-URI.
#[test]
fn headers_say_no_more() {
    let mut world = world();
    let headers = "Diversion: <sip:+1666;rn=+1555@sip.local>;reason=user-busy\r\n\
        Referred-By: <sip:+1666;rn=+1555@sip.local>;x=1\r\n\
        P-Called-Party-ID: <tel:+15551234;cic=+1-6789>\r\n\
        P-Charge-Info: <sip:+1victim@carrier.example;npi=1>\r\n\
        Contact: <sip:1001;tgrp=mine@10.0.0.50;ob>\r\n";
    let text = request(
        "INVITE",
        "1001@sip.local;cpc=operator",
        "sip:+15551234;npdi;rn=+1555@sip.local;oli=62",
        headers,
    );
    let got = world.ask(&text);
    assert_eq!(got.header("To"), ["<sip:+15551234@sip.local>"]);
    assert_eq!(got.header("From"), ["<sip:1001@sip.local>;tag=ft"]);
    assert_eq!(got.header("Diversion"), [""; 0], "nor which number diverted the call");
    assert_eq!(got.header("Referred-By"), ["<sip:+1666@sip.local>;x=1"]);
    assert_eq!(got.header("P-Called-Party-ID"), [""; 0], "nor whom it was for");
    assert_eq!(got.header("P-Charge-Info"), [""; 0], "a phone does not say who pays");
    let contact = "<sip:1001;tgrp=mine@10.0.0.50;ob>";
    assert!(got.header("Contact").contains(&contact.to_owned()), "the dialog's target stays");
    // What every trunk on the way takes goes on.
    allow(&mut world, "trunk-01", &["npdi", "oli"]);
    assert_eq!(world.ask(&text).header("To"), ["<sip:+15551234;npdi@sip.local;oli=62>"]);
    let premium = request("INVITE", "1001@sip.local", "sip:+1900;npdi@sip.local", "");
    assert_eq!(world.ask(&premium).header("To"), ["<sip:+1900@sip.local>"], "the first trunk takes none");
    // Inside nothing changes.
    let inside = request("INVITE", "1002@sip.local", "sip:1001;npdi@sip.local", headers);
    let got = world.ask(&inside);
    assert_eq!(got.header("To"), ["<sip:1001;npdi@sip.local>"]);
    assert_eq!(got.header("P-Charge-Info"), [""; 0], "nor does it tell that to another");
}

/// A carrier may dial on behind a character that no rule looks for.
#[test]
fn what_begins_as_a_number_and_is_none_goes_to_no_carrier() {
    let world = world();
    for user in
        ["+4921,,,1900", "+4921%20+1900", "+4921*1900%23", "4921,1900", "+1900x5;rn=+1", "+1%2539005551234"]
    {
        let got = world.invite("1001@sip.local", &format!("sip:{user}@sip.local"));
        assert_eq!(got.short(), "404", "{user}: {}", got.story);
        assert!(got.story.contains("begins as a telephone number does and is none"), "{}", got.story);
    }
    let got = world.invite("1001@sip.local", "sip:*31%23@sip.local").short();
    assert!(got.starts_with("agent-to-pstn: sip:*31%23@"), "{got}");
}

#[test]
fn e164_and_spellings() {
    let mut world = world();
    world.options.enforce_e164 = true;
    for spelling in
        ["sip:1-785-317-8070@sip.local", "tel:1(785)3178070;npdi", "sip:178%35317-8070;rn=1@sip.local"]
    {
        let got = world.ask(&request("INVITE", "1001@sip.local", spelling, ""));
        assert_eq!(got.short(), "agent-to-pstn: sip:+17853178070@sip.provider.net:7060", "{spelling}");
        assert!(got.header("To")[0].contains(":+17853178070"), "{spelling}: {:?}", got.header("To"));
        assert!(!got.header("To")[0].contains(";rn"), "{spelling}: {:?}", got.header("To"));
    }
}
