//! A real Asterisk beside the exchange: as a peer that registers, and as a provider behind a trunk.

use trunkline_tests::{Asterisk, Dialog, Exchange, Resources, Ua};

const DOMAIN: &str = "sip.test";
const NUMBER: &str = "+17066041487";
/// Where Asterisk listens: SIP on port 5060.
const ADDRESS: &str = "127.0.0.9";

fn resources() -> Resources {
    Resources::new()
        .domain_with(DOMAIN, "all", &[("^\\+", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .peer("asterisk", "sip:asterisk@sip.test", "pw-asterisk", "")
        .trunk_with(
            "provider",
            "trunk.test",
            &[(&format!("{}:5060", ADDRESS), 1, "udp")],
            Some(("line", "pw-line")),
            "sendRegister: true",
        )
        .number(NUMBER, "provider", "sip:1002@sip.test")
}

fn phone(exchange: &Exchange, user: &str) -> Ua {
    let mut ua = Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200);
    ua
}

/// The phone calls; Asterisk answers; the phone hangs up.
fn calls(exchange: &Exchange, target: &str) {
    let mut caller = phone(exchange, "1001");
    let invite = caller.invite(target);
    let invite = caller.call(&invite);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    caller.status_for(&bye, 200);
}

/// Asterisk calls; the phone answers; Asterisk hangs up by itself.
fn is_called(exchange: &Exchange, asterisk: &Asterisk, target: &str) {
    let mut callee = phone(exchange, "1002");
    asterisk.cli(&format!("channel originate PJSIP/{target} application Wait 1"));
    let invite = callee.request_of("INVITE");
    callee.accept(&invite);
    callee.request_of("ACK");
    let bye = callee.request_of("BYE");
    callee.respond(&bye, 200, "OK");
}

/// One Asterisk for every direction: it takes seconds to start.
#[test]
fn peer_and_trunk_in_both_directions() {
    let exchange = Exchange::start(&resources());
    let asterisk =
        Asterisk::start(ADDRESS, &PJSIP.replace("@EXCHANGE@", &exchange.udp().to_string()), EXTENSIONS);
    trunkline_tests::wait_for("Asterisk to be registered", || {
        asterisk.cli("pjsip show registrations").contains("Registered").then_some(())
    });
    calls(&exchange, "sip:asterisk@sip.test");
    println!("agent to peer");
    is_called(&exchange, &asterisk, "exchange/sip:1002@sip.test");
    println!("peer to agent");
    calls(&exchange, "sip:+17853178070@sip.test");
    println!("agent through the trunk");
    is_called(&exchange, &asterisk, &format!("exchange/sip:{NUMBER}@trunk.test"));
    println!("trunk to number to agent");
    trunkline_tests::wait_for("the exchange to be registered at Asterisk", || {
        asterisk.cli("pjsip show aor line").contains(&exchange.udp().to_string()).then_some(())
    });
    is_called(&exchange, &asterisk, &format!("{NUMBER}@line"));
    println!("where the trunk was registered, to number to agent");
}

const PJSIP: &str = "
[udp]
type = transport
protocol = udp
bind = 127.0.0.9:5060

[exchange]
type = endpoint
context = from-exchange
disallow = all
allow = alaw,ulaw
direct_media = no
media_address = 127.0.0.9
bind_rtp_to_media_address = yes
from_user = asterisk
from_domain = sip.test
outbound_auth = exchange
outbound_proxy = sip:@EXCHANGE@\\;lr
aors = exchange,line

[line]
type = aor
max_contacts = 1

[line]
type = endpoint
context = from-exchange
disallow = all
allow = alaw,ulaw
from_user = +4930123456
aors = line

[exchange]
type = aor
contact = sip:@EXCHANGE@

[exchange]
type = auth
auth_type = userpass
username = asterisk
password = pw-asterisk

[exchange]
type = identify
endpoint = exchange
match = 127.0.0.1

[exchange]
type = registration
outbound_auth = exchange
outbound_proxy = sip:@EXCHANGE@\\;lr
server_uri = sip:sip.test
client_uri = sip:asterisk@sip.test
contact_user = asterisk
retry_interval = 2
expiration = 300
";

const EXTENSIONS: &str = "
[from-exchange]
exten => asterisk,1,Answer()
 same => n,Wait(120)
 same => n,Hangup()
exten => _[+0-9].,1,Answer()
 same => n,Wait(120)
 same => n,Hangup()
";
