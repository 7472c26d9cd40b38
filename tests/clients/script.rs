//! SIPp, which plays one script for each call: written here, since its side of a call is known before.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_tests::{Network, PATIENCE, Side, Sipp, SippRun, free_port};

use super::phone::{DOMAIN, Part, Phone, Way, password};

pub struct Script {
    network: Arc<Network>,
    side: Side,
    server: SocketAddr,
    user: String,
    way: Way,
    /// Its port over UDP, always the same: its registrations are one.
    port: u16,
    part: Option<Part>,
    run: Option<SippRun>,
}

impl Script {
    pub fn new(network: &Arc<Network>, side: Side, user: &str, server: SocketAddr, way: Way) -> Script {
        let network = Arc::clone(network);
        Script { network, side, server, user: user.to_owned(), way, port: free_port(), part: None, run: None }
    }

    fn sipp(&self, scenario: &str) -> Sipp {
        let (port, transport) = match self.way {
            Way::Tcp => (free_port(), "t1"),
            _ => (self.port, "u1"),
        };
        Sipp::of(scenario)
            .from(&Network::INSIDE.to_string())
            .to(self.server)
            .port(port)
            .transport(transport)
            .arg("-trace_logs")
            .arg("-log_file")
            .arg("log")
            .fill("USER", &self.user)
            .fill("DOMAIN", DOMAIN)
            .fill("PASSWORD", &password(&self.user))
    }

    fn start(&mut self, sipp: Sipp) {
        self.run = Some(self.network.on(self.side, || sipp.start()));
    }

    /// Waits until its script has come so far.
    fn reaches(&self, step: &str) {
        let run = self.run.as_ref().expect("started");
        let end = Instant::now() + PATIENCE;
        while !run.logged().lines().any(|line| line == step) {
            assert!(Instant::now() < end, "{} did not come to {step:?}:\n{}", self.name(), run.trace());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Phone for Script {
    fn program(&self) -> &'static str {
        "SIPp"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn way(&self) -> Way {
        self.way
    }

    /// The one that is called registers; it takes the call by the same connection.
    fn prepare(&mut self, part: Part) {
        self.part = Some(part);
        if part.calls {
            return;
        }
        let answers = answers(part.hangs_up);
        let sipp = self.sipp(REGISTERS).beside(&answers);
        self.start(sipp);
        self.reaches("registered");
    }

    fn dial(&mut self, user: &str) {
        let part = self.part.expect("prepared");
        let sipp = self.sipp(&calls(part.hangs_up)).fill("TO", user);
        self.start(sipp);
    }

    fn answer(&mut self) {}

    fn talking(&mut self) {
        self.reaches("talking");
    }

    fn hold(&mut self) {
        self.reaches("holds");
    }

    fn resume(&mut self) {
        self.reaches("resumes");
    }

    fn held(&mut self) {
        self.reaches("is held");
    }

    fn resumed(&mut self) {
        self.reaches("is resumed");
    }

    fn hang_up(&mut self) {
        self.ended();
    }

    fn ended(&mut self) {
        self.reaches("done");
        let part = self.part.take().expect("prepared");
        let run = self.run.take().expect("started");
        if part.calls {
            run.finish();
        }
    }

    fn transfer(&mut self, _user: &str) {
        unreachable!("its script has no transfer");
    }

    fn has_transferred(&mut self) {
        unreachable!("its script has no transfer");
    }

    fn transferred(&mut self) {
        unreachable!("its script has no transfer");
    }
}

/// Registers, and stays for the call that comes.
const REGISTERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="registers">
  <send retrans="500"><![CDATA[

REGISTER sip:{DOMAIN} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:{USER}@{DOMAIN}>;tag=[pid]r[call_number]
To: <sip:{USER}@{DOMAIN}>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:{USER}@[local_ip]:[local_port];transport=[transport]>
Expires: 600
Content-Length: 0

  ]]></send>
  <recv response="401" auth="true"/>
  <send retrans="500"><![CDATA[

REGISTER sip:{DOMAIN} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:{USER}@{DOMAIN}>;tag=[pid]r[call_number]
To: <sip:{USER}@{DOMAIN}>
Call-ID: [call_id]
CSeq: 2 REGISTER
Contact: <sip:{USER}@[local_ip]:[local_port];transport=[transport]>
Expires: 600
[authentication username={USER} password={PASSWORD}]
Content-Length: 0

  ]]></send>
  <recv response="200"><action><log message="registered"/></action></recv>
  <pause milliseconds="300000"/>
</scenario>
"#;

const CALLER: &str =
    "From: <sip:{USER}@{DOMAIN}>;tag=[pid]c[call_number]\nTo: <sip:{TO}@{DOMAIN}>[peer_tag_param]";
const CALLEE: &str = "From:[$callee];tag=[pid]s[call_number]\nTo:[$caller]";
const CONTACT: &str = "Contact: <sip:{USER}@[local_ip]:[local_port];transport=[transport]>";

/// A script for one side of a call in the making.
struct Writer {
    text: String,
    /// From and To of its requests inside the dialog.
    names: &'static str,
    cseq: u32,
    /// Of its session description.
    version: u32,
}

impl Writer {
    fn new(names: &'static str) -> Writer {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"call\">\n".to_owned();
        Writer { text, names, cseq: 1, version: 0 }
    }

    fn send(&mut self, message: &str, again: bool) {
        let attribute = if again { " retrans=\"500\"" } else { "" };
        let _ = write!(self.text, "<send{attribute}><![CDATA[\n\n{message}\n\n]]></send>\n");
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    /// The first INVITE, which is challenged, and its ACK.
    fn call(&mut self) {
        let first = format!(
            "INVITE sip:{{TO}}@{{DOMAIN}} SIP/2.0\n{VIA}\nMax-Forwards: 70\nFrom: <sip:{{USER}}@{{DOMAIN}}>;tag=[pid]c[call_number]\nTo: <sip:{{TO}}@{{DOMAIN}}>\nCall-ID: [call_id]\nCSeq: {{CSEQ}} INVITE\n{CONTACT}{{MORE}}\n{}",
            self.sdp("sendrecv")
        );
        self.send(&first.replace("{CSEQ}", "1"), true);
        self.line("<recv response=\"100\" optional=\"true\"/>\n<recv response=\"401\" auth=\"true\"/>");
        self.send(
            "ACK sip:{TO}@{DOMAIN} SIP/2.0\n[last_Via:]\nMax-Forwards: 70\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 ACK\nContent-Length: 0",
            false,
        );
        let login = "\n[authentication username={USER} password={PASSWORD}]";
        self.send(&first.replace("{CSEQ}", "2").replace("{MORE}", login), true);
        for provisional in [100, 180, 183] {
            self.line(&format!("<recv response=\"{provisional}\" optional=\"true\"/>"));
        }
        self.line(&format!("<recv response=\"200\" rrs=\"true\">{}</recv>", step("talking")));
        self.cseq = 2;
        self.request("ACK", None);
    }

    /// Takes the first INVITE.
    fn take(&mut self) {
        self.line(
            "<recv request=\"INVITE\" rrs=\"true\"><action>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"caller\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"callee\"/></action></recv>",
        );
        let tag = ";tag=[pid]s[call_number]";
        self.send(&response("180 Ringing", tag, "Content-Length: 0"), false);
        let sdp = self.sdp("sendrecv");
        self.send(&response("200 OK", tag, &sdp), true);
        self.line(&format!("<recv request=\"ACK\">{}</recv>", step("talking")));
        self.cseq = 100;
    }

    fn sdp(&mut self, direction: &str) -> String {
        self.version += 1;
        format!(
            "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=sipp 1 {} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 40000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na={direction}",
            self.version
        )
    }

    /// A request inside the dialog.
    fn request(&mut self, method: &str, body: Option<&str>) {
        let (names, cseq) = (self.names, self.cseq);
        let body = body.map_or_else(|| "Content-Length: 0".to_owned(), |direction| self.sdp(direction));
        let message = format!(
            "{method} [next_url] SIP/2.0\n{VIA}\n[routes]\nMax-Forwards: 70\n{names}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n{CONTACT}\n{body}"
        );
        self.send(&message, method != "ACK");
    }

    fn offers(&mut self, direction: &str, done: &str) {
        self.cseq += 1;
        self.request("INVITE", Some(direction));
        self.line("<recv response=\"100\" optional=\"true\"/>");
        self.line(&format!("<recv response=\"200\">{}</recv>", step(done)));
        self.request("ACK", None);
    }

    fn is_offered(&mut self, direction: &str, done: &str) {
        self.line("<recv request=\"INVITE\"/>");
        let sdp = self.sdp(direction);
        self.send(&response("200 OK", "", &sdp), true);
        self.line(&format!("<recv request=\"ACK\">{}</recv>", step(done)));
    }

    fn holds(&mut self) {
        for (direction, done) in [("sendonly", "holds"), ("sendrecv", "resumes")] {
            // What it sent last may be overtaken by the next request over UDP, which phones bear and SIPp does not.
            self.line("<pause milliseconds=\"100\"/>");
            self.offers(direction, done);
        }
    }

    fn is_held(&mut self) {
        self.is_offered("recvonly", "is held");
        self.is_offered("sendrecv", "is resumed");
    }

    /// Its end from one of the sides.
    fn ends(mut self, hangs_up: bool) -> String {
        let last = step("done");
        if hangs_up {
            self.line("<pause milliseconds=\"100\"/>");
            self.cseq += 1;
            self.request("BYE", None);
            self.line(&format!("<recv response=\"200\">{last}</recv>"));
        } else {
            self.line(&format!("<recv request=\"BYE\">{last}</recv>"));
            self.send(&response("200 OK", "", "Content-Length: 0"), false);
        }
        self.text + "</scenario>\n"
    }
}

const VIA: &str = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport";

/// Notes that the script has come so far.
fn step(name: &str) -> String {
    format!("<action><log message=\"{name}\"/></action>")
}

fn response(line: &str, tag: &str, body: &str) -> String {
    format!(
        "SIP/2.0 {line}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n{CONTACT}\n{body}"
    )
}

/// The caller's side: it is the first to hold.
fn calls(hangs_up: bool) -> String {
    let mut script = Writer::new(CALLER);
    script.call();
    script.holds();
    script.is_held();
    script.ends(hangs_up)
}

/// The callee's side.
fn answers(hangs_up: bool) -> String {
    let mut script = Writer::new(CALLEE);
    script.take();
    script.is_held();
    script.holds();
    script.ends(hangs_up)
}
