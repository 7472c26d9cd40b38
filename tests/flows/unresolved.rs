//! Carriers that are configured by name, while no name server answers.

use std::time::Duration;

use trunkline_tests::{
    Exchange, Message, NameServer, Record, Resources, Ua, Wire, exchange_command, wait_for,
};

use super::trunks::NUMBER;
use super::{DOMAIN, at, registered};

const CARRIER: &str = "sip.provider.test";
const LOOK: Duration = Duration::from_millis(50);

fn resources() -> Resources {
    let trunk = format!(
        "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: {CARRIER}, port: 5060, transport: udp}}}}]}}\n"
    );
    Resources::new().domain(DOMAIN, "all").agent(DOMAIN, "1001", "pw-1001").raw("trunks.yaml", &trunk).number(
        NUMBER,
        "provider",
        &at("1001"),
    )
}

fn carrier(exchange: &Exchange, ip: [u8; 4]) -> Ua {
    Ua::new(Wire::udp_from(ip.into(), exchange.udp()), "+4930123456", "provider.test", "")
}

/// The final status of a call to the number at a host of the exchange's; one that rings is busy.
fn call(from: &mut Ua, phone: &mut Ua) -> (u16, String) {
    let invite = from.invite(&at(NUMBER));
    from.send(&invite);
    let answer = loop {
        if let Some(arrived) = phone.wait(LOOK, |m| m.method() == "INVITE") {
            phone.respond(&arrived, 486, "Busy Here");
            phone.request_of("ACK");
        }
        let end = |m: &Message| m.call_id() == invite.call_id() && m.status() >= 200;
        if let Some(answer) = from.wait(LOOK, end) {
            break answer;
        }
    };
    from.acknowledge_failure(&invite, &answer);
    (answer.status(), answer.start)
}

fn degraded(exchange: &Exchange) -> String {
    let out = exchange_command(exchange).arg("status").output().expect("the command runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// At the very first start nobody knows where the carrier is; after a restart it is where it was.
#[test]
fn a_carrier_that_no_name_server_knows_yet_is_refused_with_the_reason_and_calls_later() {
    let names = NameServer::start_silent(&[(CARRIER, Record::A([127, 0, 0, 2].into()))]);
    let config = format!("{}routing: {{qualifySeconds: 0}}\n", names.config(""));
    let mut exchange = Exchange::start_with(&resources(), &config, &[]);
    let mut phone = registered(&exchange, "1001");
    let mut provider = carrier(&exchange, [127, 0, 0, 2]);
    let (status, start) = call(&mut provider, &mut phone);
    assert_eq!(status, 503, "{start}");
    wait_for("the log to tell", || exchange.log().contains("reason=\"trunk.unresolved\"").then_some(()));
    wait_for("the status to tell", || {
        let status = degraded(&exchange);
        (status.contains("name of trunk provider") && status.contains(CARRIER)).then_some(())
    });
    assert!(exchange.log().contains("the name of a trunk is not resolved"), "{}", exchange.log());
    names.speak();
    wait_for("the carrier to be known", || (call(&mut provider, &mut phone).0 == 486).then_some(()));
    // Whoever else calls the number is asked who it is, as before.
    let mut stranger = carrier(&exchange, [127, 0, 0, 3]);
    wait_for("the others to be told apart", || (call(&mut stranger, &mut phone).0 == 401).then_some(()));
    wait_for("the status to be well", || (!degraded(&exchange).contains("name of trunk")).then_some(()));
    // Addresses of names are written every now and then.
    assert_eq!(exchange.stop(), Some(0));
    names.hush();
    exchange.restart();
    let mut phone = registered(&exchange, "1001");
    assert_eq!(call(&mut provider, &mut phone).0, 486);
}
