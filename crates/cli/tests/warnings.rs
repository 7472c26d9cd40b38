//! What a command warns of: it is done, and does nothing or opens more than may be meant.

mod place;

use place::Place;

/// What is warned of, when all goes well otherwise.
fn warned(place: &Place, line: &str, input: &str) -> String {
    let said = place.said(line, input);
    assert_eq!(said.code, 0, "{line}: {}{}", said.out, said.err);
    assert!(said.err.lines().all(|line| line.starts_with("warning: ")), "{}", said.err);
    said.err
}

#[test]
fn a_trunk_that_anybody_may_call() {
    let place = Place::new();
    place.set("routing: {passChallenges: none}");
    place.ok("domains create sip.local");
    let open = "trunks create carrier --host sip.carrier.example --inbound sip.carrier.example";
    let said = warned(&place, open, "");
    let expected =
        "warning: trunk carrier: anyone may call its numbers by sip.carrier.example; give it --acl";
    assert!(said.starts_with(expected), "{said}");
    assert!(warned(&place, "check", "").starts_with(expected));
    assert!(place.ok("check --json").contains("anyone may call its numbers"));

    assert_eq!(warned(&place, "acl create Carrier --allow 198.51.100.0/24", ""), "");
    let listed = "trunks update carrier --set inbound.accessControlListRef=acl-carrier";
    assert_eq!(warned(&place, listed, ""), "");
    assert_eq!(warned(&place, "check", ""), "");
    let create = "trunks create other --host sip.other.example --inbound sip.other.example --acl Carrier";
    assert_eq!(warned(&place, create, ""), "");
    let error = place.wrong("trunks update other --set accessControlListRef=acl-carrier", 64);
    assert!(error.contains("did you mean `inbound.accessControlListRef`?"), "{error}");
}

#[test]
fn what_leads_nowhere() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("agents create 1001");
    assert_eq!(warned(&place, "numbers create +17066041487 --to sip:1001@sip.local", ""), "");
    let said = warned(&place, "numbers create +17066041488 --to sip:1009@sip.local", "");
    assert!(said.contains("sip:1009@sip.local is not an agent or peer"), "{said}");
    let said = warned(&place, "agents update 1001 --set fallback.busy=sip:vm@elsewhere.example", "");
    assert!(said.contains("agent 1001@sip.local: fallback.busy"), "{said}");
    let said = warned(&place, "peers create asterisk --aor sip:ivr@pbx.example", "");
    assert!(said.contains("pbx.example, the host of its AOR, is not one of our domains"), "{said}");
    let said = warned(&place, "domains update sip.local --set authenticate=never", "");
    assert!(said.contains("domain sip.local: authenticate: never"), "{said}");
    // A number loses whom it leads to.
    let said = warned(&place, "agents delete 1001 --with-credentials", "");
    assert!(said.contains("number +17066041487: location.aorLink (--to) sip:1001@sip.local"), "{said}");
    assert!(!said.contains("+17066041488"), "that was known: {said}");
    assert_eq!(warned(&place, "check", "").lines().count(), 4);
}

#[test]
fn short_passwords_and_settings() {
    let place = Place::new();
    place.ok("domains create sip.local");
    let said = warned(&place, "agents create 1001 --password-stdin", "1234\n");
    assert!(said.contains("its password has 4 characters") && !said.contains("1234"), "{said}");
    assert_eq!(warned(&place, "agents update 1001 --generate-password", ""), "");
    let said = warned(&place, "users create ann --role operator --password-stdin", "short\n");
    assert!(said.contains("the password has fewer than 8 characters"), "{said}");
    assert_eq!(
        warned(&place, "trunks create carrier --host a.example --user x --password-stdin", "1234\n"),
        ""
    );

    place.set("digestUri: off\ntls: {verify: off}\nstateless: on");
    let said = warned(&place, "check", "");
    for key in ["`digestUri: off`", "`tls.verify: off`", "`stateless: on`"] {
        assert!(said.contains(key), "no {key} in {said}");
    }
    assert_eq!(warned(&place, "agents list", ""), "", "only where it is asked for");
}

/// A program that checks looks at the exit status.
#[test]
fn a_strict_check_fails_by_warnings() {
    let place = Place::new();
    place.ok("domains create sip.local");
    assert_eq!(place.said("check --strict", "").code, 0);
    place.ok("domains update sip.local --set authenticate=register");
    assert_eq!(place.said("check", "").code, 0);
    let said = place.said("check --strict", "");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("warning: domain sip.local: authenticate: register"), "{}", said.err);
    assert!(said.err.ends_with("error: 1 warning\n"), "{}", said.err);
    assert_eq!(place.said("check --strict --json", "").code, 1);
    let export = place.path("export.yaml");
    place.ok(&format!("export --output {}", export.display()));
    assert_eq!(place.said(&format!("check --strict {}", export.display()), "").code, 1);
    assert_eq!(place.said("check --strict no-such-file.yaml", "").code, 64, "an error");
}

/// What costs money is not behind what does not.
#[test]
fn what_others_call_at_your_expense_is_first() {
    let place = Place::new();
    place.set("digestUri: off");
    place.ok("domains create sip.local");
    place.ok("trunks create carrier --host sip.carrier.example");
    place.ok("numbers create +4922812345 --trunk carrier");
    let policies = "[{rule:␣'^\\+4930[0-9]{4,8}$',␣numberRef:␣number-4922812345}]";
    place.ok(&format!("domains update sip.local --set context.egressPolicies={policies}"));
    let said = warned(&place, "domains update sip.local --set authenticate=register", "");
    let first = "warning: domain sip.local: authenticate: register: anyone who writes an agent's name into From \
                 calls out through carrier at your expense, and calls as that agent";
    assert!(said.starts_with(first), "{said}");
    let check = warned(&place, "check", "");
    assert!(check.starts_with(first) && check.contains("digestUri: off"), "{check}");
}

/// A carrier may ask a phone for a hash of its password, through a trunk that has none.
#[test]
fn a_trunk_without_credentials() {
    let place = Place::new();
    place.ok("domains create sip.local");
    // The command says what `check` says.
    let said = warned(&place, "trunks create carrier --host sip.carrier.example", "");
    assert!(said.starts_with("warning: trunk carrier: without outbound.credentialsRef"), "{said}");
    assert_eq!(warned(&place, "check", ""), said);
    let login = "trunks create other --host sip.other.example --user account --generate-password";
    assert_eq!(warned(&place, login, ""), "", "it has credentials");
    place.set("routing: {passChallenges: none}");
    assert_eq!(warned(&place, "check", ""), "");
    place.set("routing: {passChallenges: all}");
    assert!(warned(&place, "check", "").contains("trunk carrier: without"));
}

/// Files of a resource may be mended while the exchange runs, so they are no error.
#[test]
fn a_certificate_for_a_carrier_that_cannot_be_used() {
    let place = Place::new();
    place.set("routing: {passChallenges: none}");
    place.ok("domains create sip.local");
    place.ok("trunks create carrier --host sip.carrier.example");
    let files = "--set outbound.clientCertificate.certificate=/no/chain.pem --set outbound.clientCertificate.key=/no/key.pem";
    assert_eq!(warned(&place, &format!("trunks update carrier {files}"), ""), "");
    let said = warned(&place, "check", "");
    for part in ["outbound.clientCertificate: cannot read /no/chain.pem", "no connection to the carrier"] {
        assert!(said.starts_with("warning: trunk carrier: ") && said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_there_is_updated() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("domains create branch.example");
    place.ok("agents create 1001");
    place.ok("numbers create +17066041487");
    place.ok("trunks create Carrier --host sip.carrier.example");
    place.ok("acl create Office --allow 192.0.2.0/24");
    for (line, said) in [
        ("agents create 1001", "agent 1001 exists: use `agents update`"),
        ("agents create 1001 --ref other", "agent 1001 exists: use `agents update`"),
        ("domains create sip.local", "domain sip.local exists: use `domains update`"),
        ("numbers create +17066041487", "number +17066041487 exists: use `numbers update`"),
        ("trunks create Carrier --host x.example", "trunk Carrier exists: use `trunks update`"),
        ("acl create Office --deny 192.0.2.1", "access control list Office exists: use `acl update`"),
        ("credentials create 1001", "credentials 1001 exist: use `credentials update`"),
    ] {
        assert_eq!(place.wrong(line, 64).trim_end(), format!("error: {said}"));
    }
    place.ok("agents create 1001 --domain branch.example");
    place.ok("agents create 1002 --ref front-desk");
    let error = place.wrong("agents create 1002", 64);
    assert!(error.contains("agent 1002 exists (ref front-desk): use `agents update`"), "{error}");
}

#[test]
fn what_holds_for_a_domain_is_shown() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("domains create tenant.example --inter-domain isolated");
    place.ok("domains update tenant.example --set authenticate=register");
    let expected = "\
REF                    HOST            ACL  AUTHENTICATE  INTERDOMAIN    EGRESS  NAME
domain-sip.local       sip.local            all           authenticated          sip.local
domain-tenant.example  tenant.example       register      isolated               tenant.example
";
    assert_eq!(place.ok("domains list"), expected);
    let shown = place.ok("domains get sip.local");
    for line in
        ["  authenticate: all\n", "  interDomain: authenticated\n", "  algorithms: [\"MD5\",\"SHA-256\"]\n"]
    {
        assert!(shown.contains(line), "no {line} in {shown}");
    }
    // What is shown is not set by it.
    place.ok("domains update sip.local --set metadata.name=Main");
    assert!(!place.ok("export").contains("authenticate: all"));
}

/// What security.md says that it opens something is warned of: by the command that sets it, and by `check`.
#[test]
fn what_opens_something() {
    let place = Place::new();
    place.set("routing: {passChallenges: none}");
    place.ok("domains create sip.local");
    place.ok("acl create Carrier --allow 198.51.100.0/24");
    place.ok("trunks create carrier --host sip.carrier.example --inbound sip.carrier.example --acl Carrier");
    place.ok("numbers create +4922812345 --trunk carrier");
    assert_eq!(warned(&place, "check", ""), "");
    let rule = |rule: &str| {
        let policies = format!("[{{rule:␣'{rule}',␣numberRef:␣number-4922812345}}]");
        let said =
            warned(&place, &format!("domains update sip.local --set context.egressPolicies={policies}"), "");
        let check = warned(&place, "check", "");
        assert!(said.lines().all(|line| check.contains(line)), "{check}");
        said
    };
    assert!(rule(".*").contains("the egress rule `.*` lets out calls to every number in the world"));
    assert!(rule(r"^\+?[0-9]+$").contains("every number in the world"));
    assert!(rule("49[2-9]").contains("matches anywhere in a number"));
    assert!(rule(r"^\+49[2-9]").contains("lets anything follow"));
    assert!(rule(r"^\+49[2-9][0-9]{4,12}$").contains("premium-rate or satellite numbers: +49900…"));
    assert_eq!(rule(r"^\+49(1[5-7]|[2-8][0-9]|9[1-9]|90[1-9])[0-9]{3,10}$"), "");
    let said = warned(&place, "trunks update carrier --set outbound.allowedParameters=[rn]", "");
    assert!(said.contains("outbound.allowedParameters: callers tell the carrier rn"), "{said}");
    place.ok("trunks update carrier --unset outbound.allowedParameters");
    for wide in ["[0.0.0.0/0]", "[0.0.0.0/1,128.0.0.0/1]"] {
        let said = warned(&place, &format!("acl update Carrier --set accessControlList.allow={wide}"), "");
        assert!(said.contains("trunk carrier: anyone may call its numbers"), "{wide}: {said}");
    }
    let said = warned(&place, "acl update Carrier --set accessControlList.allow=[10.0.0.0/8]", "");
    assert!(said.contains("very wide"), "{said}");
    assert!(warned(&place, "check", "").contains("very wide"));
}

#[test]
fn a_peer_that_its_list_alone_shows() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("acl create PBX --allow 192.0.2.20");
    let create =
        "peers create asterisk --aor sip:ivr@sip.local --contact 192.0.2.20:5060 --acl PBX --no-credentials";
    assert_eq!(warned(&place, create, ""), "");
    assert!(!place.ok("peers get asterisk").contains("credentialsRef"));
    assert_eq!(place.ok("credentials list").lines().count(), 1, "none was made");
    assert!(place.ok("peers list").contains("acl-pbx"));
    let said = warned(&place, "peers update asterisk --unset accessControlListRef", "");
    assert!(said.contains("neither credentials nor an access list"), "{said}");
}

/// One host for a carrier and a domain: nobody could tell whose calls are whose.
#[test]
fn a_carriers_host_is_no_domain() {
    let place = Place::new();
    place.ok("domains create sip.local");
    let error = place.wrong("trunks create carrier --host a.example --inbound SIP.local", 64);
    assert!(error.contains("spec.inbound.uri") && error.contains("domain-sip.local"), "{error}");
    place.ok("trunks create carrier --host a.example --inbound in.example");
    let error = place.wrong("domains create in.example", 64);
    assert!(error.contains("spec.context.domainUri") && error.contains("trunk-carrier"), "{error}");
    let file = place.path("both.yaml");
    let text = "- {apiVersion: v2, kind: Domain, ref: d, metadata: {name: d}, spec: {context: {domainUri: b.example}}}\n\
                - apiVersion: v2\n  kind: Trunk\n  ref: t\n  metadata: {name: t}\n  spec: {inbound: {uri: b.example}}\n";
    std::fs::write(&file, text).expect("written");
    let error = place.wrong(&format!("check {}", file.display()), 64);
    assert!(error.contains("both.yaml:6:25") && error.contains("already used by d"), "{error}");
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    let place = Place::new();
    place.ok("domains create sip.local");
    place.ok("agents create 1001");
    for (edit, path) in [
        ("enabled=maybe", "spec.enabled: "),
        ("fallback.noAnswerSeconds=x", "spec.fallback.noAnswerSeconds: "),
    ] {
        let error = place.wrong(&format!("agents update 1001 --set {edit}"), 64);
        assert!(error.contains(path), "{error}");
    }
}

#[test]
fn a_transport_without_a_listener() {
    let place = Place::new();
    let more = "listen: {tls: [], ws: [], wss: []}\nrouting: {passChallenges: none}";
    let config = format!("data: {}\n{more}\n", place.path("").display());
    std::fs::write(place.path("trunkline.yaml"), config).expect("written");
    place.ok("domains create sip.local");
    let said = warned(&place, "trunks create carrier --host sip.carrier.example --transport tls", "");
    let expected = "trunk carrier: its destination tls sip.carrier.example uses tls, and no listener has it";
    assert!(said.contains(expected) && said.contains("set listen.tls"), "{said}");
    assert!(warned(&place, "check", "").contains(expected));
    assert_eq!(warned(&place, "trunks create other --host sip.other.example --transport tcp", ""), "");
    let peer =
        "peers create pbx --aor sip:pbx@sip.local --contact 192.0.2.7:5061;transport=tls --generate-password";
    let said = place.said(peer, "");
    assert!(said.code != 0 || said.err.contains("set listen.tls"), "{}{}", said.out, said.err);
}
