//! One Asterisk with an account for each transport, driven over its REST interface.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trunkline_tests::{
    Asterisk, Network, PATIENCE, Rest, RestReply, Side, Stream, WebSocket, base64, free_port, wait_for_every,
};

use super::phone::{DOMAIN, Phone, Role, Way, password};

const LOGIN: &str = "tests:secret";

/// A running Asterisk.
pub struct Pbx {
    asterisk: Asterisk,
    network: Arc<Network>,
    side: Side,
    rest: Rest,
}

impl Pbx {
    /// Starts one that registers these users.
    pub fn start(
        network: &Arc<Network>,
        side: Side,
        at: SocketAddr,
        tls: SocketAddr,
        users: &[(&str, Way)],
    ) -> Arc<Pbx> {
        network.on(side, || {
            let ari = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let server = |way| if way == Way::Tls { tls } else { at };
            let pjsip: String = users.iter().map(|(user, way)| account(user, *way, server(*way))).collect();
            let extensions =
                users.iter().fold(String::new(), |text, (user, _)| text + &extension(user));
            let (name, secret) = LOGIN.split_once(':').expect("a login");
            let files = [
                ("pjsip", pjsip),
                ("extensions", extensions),
                ("http", format!("[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {}\n", ari.port())),
                ("ari", format!("[general]\nenabled = yes\n\n[{name}]\ntype = user\nread_only = no\npassword = {secret}\n")),
            ];
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let asterisk = Asterisk::start_with(&Network::INSIDE.to_string(), &files);
            wait_for_every(Duration::from_millis(200), "Asterisk to be registered", || {
                let shown = asterisk.cli("pjsip show registrations");
                (shown.matches("Registered").count() == users.len()).then_some(())
            });
            let rest = Rest::http(ari, "/ari");
            Arc::new(Pbx { asterisk, network: Arc::clone(network), side, rest })
        })
    }

    /// One of its accounts.
    pub fn line(self: &Arc<Pbx>, user: &str, way: Way) -> Line {
        let events = self.network.on(self.side, || {
            let path = format!("/ari/events?app=app{user}&api_key={LOGIN}");
            WebSocket::open(Stream::tcp(self.rest.address()), &path, "ari", "")
        });
        let [channel, first] = [const { String::new() }; 2];
        Line { pbx: Arc::clone(self), events, user: user.to_owned(), way, channel, enters: false, first }
    }

    fn ask(&self, method: &str, path: &str) -> RestReply {
        let login = format!("Authorization: Basic {}\r\n", base64(LOGIN));
        self.network.on(self.side, || self.rest.send(method, path, &login, ""))
    }
}

/// An account of Asterisk.
pub struct Line {
    pbx: Arc<Pbx>,
    events: WebSocket,
    user: String,
    way: Way,
    channel: String,
    /// Is its channel still to come to the application? One that calls does when it is answered; before, nothing can be done with it.
    enters: bool,
    /// While it has a second call, the channel of the first.
    first: String,
}

impl Line {
    /// Does something with its call.
    fn order(&self, method: &str, rest: &str) {
        let reply = self.pbx.ask(method, &format!("/channels/{}{rest}", self.channel));
        assert!(reply.status < 300, "{} {method} {rest}: {} {}", self.name(), reply.status, reply.body);
    }

    /// A word of its channel's dialog.
    fn dialog(&self, name: &str) -> String {
        let path = format!("/channels/{}/variable?variable=CHANNEL(pjsip,{name})", self.channel);
        let reply = self.pbx.ask("GET", &path);
        assert_eq!(reply.status, 200, "{}: {}", self.name(), reply.body);
        reply.json["value"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for an event of its call; those before it are forgotten.
    fn event(&mut self, is: impl Fn(&Value) -> bool, what: &str) -> Value {
        let mut seen = Vec::new();
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            let bytes = self.events.recv(Duration::from_millis(200)).expect("Asterisk lives");
            let Some(event) = bytes.and_then(|b| serde_json::from_slice::<Value>(&b).ok()) else { continue };
            if is(&event) {
                return event;
            }
            seen.push(event["type"].as_str().unwrap_or_default().to_owned());
        }
        panic!("{} waited for {what}, saw {seen:?}\n{}", self.name(), self.pbx.asterisk.console());
    }

    fn kind(&mut self, kind: &str) -> Value {
        let channel = self.channel.clone();
        self.event(|e| e["type"] == kind && (channel.is_empty() || e["channel"]["id"] == channel), kind)
    }
}

impl Phone for Line {
    fn program(&self) -> &'static str {
        "Asterisk"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn way(&self) -> Way {
        self.way
    }

    fn dial(&mut self, user: &str) {
        let path = format!(
            "/channels?endpoint=PJSIP%2F{me}%2Fsip%3A{user}%40{DOMAIN}&app=app{me}&callerId={me}",
            me = self.user
        );
        let reply = self.pbx.ask("POST", &path);
        assert_eq!(reply.status, 200, "{}", reply.body);
        self.channel = reply.json["id"].as_str().expect("a channel").to_owned();
        self.enters = true;
    }

    fn answer(&mut self) {
        self.channel.clear();
        self.enters = false;
        let event = self.kind("StasisStart");
        self.channel = event["channel"]["id"].as_str().expect("a channel").to_owned();
        self.order("POST", "/answer");
    }

    fn talking(&mut self) {
        if std::mem::take(&mut self.enters) {
            self.kind("StasisStart");
        }
        wait_for_every(Duration::from_millis(20), "Asterisk's channel to be up", || {
            let reply = self.pbx.ask("GET", &format!("/channels/{}", self.channel));
            assert_eq!(reply.status, 200, "{}: {}", self.name(), reply.body);
            (reply.json["state"] == "Up").then_some(())
        });
    }

    fn hold(&mut self) {
        self.order("POST", "/hold");
    }

    fn resume(&mut self) {
        self.order("DELETE", "/hold");
    }

    fn held(&mut self) {
        self.kind("ChannelHold");
    }

    fn resumed(&mut self) {
        self.kind("ChannelUnhold");
    }

    fn hang_up(&mut self) {
        self.order("DELETE", "");
        self.kind("StasisEnd");
    }

    fn ended(&mut self) {
        self.kind("StasisEnd");
    }

    fn transfer(&mut self, user: &str) {
        self.order("POST", &format!("/redirect?endpoint=PJSIP%2Fsip%3A{user}%40{DOMAIN}"));
    }

    /// Its application has to hang up.
    fn has_transferred(&mut self) {
        self.hang_up();
    }

    fn transferred(&mut self) {
        unreachable!("a call of its REST interface cannot be sent elsewhere");
    }

    fn can(&self, role: Role) -> bool {
        role != Role::IsSent
    }

    fn consult(&mut self, user: &str) {
        self.first = std::mem::take(&mut self.channel);
        self.dial(user);
    }

    fn consulting(&mut self) {
        self.talking();
    }

    fn connect(&mut self) {
        let [call_id, local, remote] = ["call-id", "local_tag", "remote_tag"].map(|name| self.dialog(name));
        let remote_uri = self.dialog("remote_uri");
        let to = remote_uri.trim_matches(['<', '>']);
        // The URI of Refer-To, and that as a part of a URL.
        let uri =
            format!("<{to}?Replaces={}>", escaped(&format!("{call_id};to-tag={remote};from-tag={local}")));
        let second = std::mem::replace(&mut self.channel, std::mem::take(&mut self.first));
        self.order("POST", &format!("/redirect?endpoint=PJSIP%2F{}", escaped(&uri)));
        self.first = second;
    }

    /// Its application has to hang up the call that it has sent elsewhere.
    fn has_connected(&mut self) {
        let (sent, second) = (self.channel.clone(), std::mem::take(&mut self.first));
        self.event(
            |e| e["type"] == "StasisEnd" && e["channel"]["id"] == second,
            "the end of its second call",
        );
        self.channel = sent;
        self.hang_up();
    }

    /// Another channel takes the place of its own.
    fn replaced(&mut self) {
        let old = std::mem::take(&mut self.channel);
        let event = self.event(
            |e| e["type"] == "StasisStart" && e["replace_channel"]["id"] == old,
            "a channel in the place of its own",
        );
        self.channel = event["channel"]["id"].as_str().expect("a channel").to_owned();
        self.talking();
    }
}

/// Escapes all but letters and digits.
fn escaped(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn account(user: &str, way: Way, server: SocketAddr) -> String {
    let (transport, password) = (way.word(), password(user));
    let proxy = format!("sip:{server}\\;transport={transport}\\;lr");
    // Its default is TLS 1.0.
    let method = if way == Way::Tls { "method = tlsv1_2\n" } else { "" };
    let mut text = String::new();
    let _ = write!(
        text,
        "[t-{transport}]\ntype = transport\nprotocol = {transport}\nbind = {}:0\n{method}\n",
        Network::INSIDE
    );
    let _ = write!(
        text,
        "[{user}]\ntype = auth\nauth_type = userpass\nusername = {user}\npassword = {password}\n\n\
         [{user}]\ntype = endpoint\ntransport = t-{transport}\ncontext = in-{user}\ndisallow = all\nallow = ulaw\n\
         direct_media = no\nfrom_user = {user}\nfrom_domain = {DOMAIN}\noutbound_auth = {user}\n\
         outbound_proxy = {proxy}\nmoh_passthrough = yes\nrtp_symmetric = yes\nsend_connected_line = no\n\n\
         [{user}]\ntype = registration\ntransport = t-{transport}\noutbound_auth = {user}\noutbound_proxy = {proxy}\n\
         server_uri = sip:{DOMAIN}\nclient_uri = sip:{user}@{DOMAIN}\ncontact_user = {user}\nline = yes\n\
         endpoint = {user}\nretry_interval = 2\nexpiration = 300\n\n"
    );
    text
}

/// Every call to a user goes to the application of that name.
fn extension(user: &str) -> String {
    format!("[in-{user}]\nexten => _X.,1,Stasis(app{user})\n same => n,Hangup()\n\n")
}
