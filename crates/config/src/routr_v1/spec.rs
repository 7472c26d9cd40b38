//! `spec`, key by key.

use trunkline_model::document::{Fields, Node};

use super::Conversion;
use super::nodes::text;

impl Conversion<'_> {
    pub(super) fn spec(&mut self, spec: &Fields<'_>) {
        self.data_source(spec);
        self.transports(spec);
        self.advertised(spec);
        self.access(spec);
        self.security_context(spec);
        self.rest_service(spec);
        // A peer's calls out leave by the policy of the domain it calls, as an agent's do.
        self.tree.set("routing.peersUsePolicies", text("on", spec.place()));
        // No registration is too short for Routr.
        self.tree.set("registrar.minExpires", text("1", spec.place()));
        // Routr v1 has no such services: nothing is to listen that its configuration does not name.
        for key in ["grpc.addr", "grpc.externalAddr"] {
            self.tree.set(key, text("off", spec.place()));
        }
        self.auth(spec);
        self.behaviour(spec);
        self.beside(spec);
    }

    /// `auth.calls`, a key of ours: Routr authenticates no calls, so that anybody who names an agent in From calls out at
    /// the owner's cost.
    fn auth(&mut self, spec: &Fields<'_>) {
        let (mut word, mut place) = ("egress", spec.place().clone());
        if let Some(auth) = spec.map("auth") {
            if let (Some(chosen), Some(node)) = (auth.choice("calls", &CALLS), auth.node("calls")) {
                (word, place) = (chosen, node.place.clone());
            }
            auth.finish();
        }
        self.tree.set("routing.authenticate", text(word, &place));
        if word == "domain" {
            self.warnings.push(format!(
                "{place}: `spec.auth.calls: never`: anybody who reaches the exchange calls out through its gateways by \
                 naming an agent in From; `egress` asks who calls out"
            ));
        }
    }

    /// The keys of routing.
    fn behaviour(&mut self, spec: &Fields<'_>) {
        if let (Some(false), Some(node)) = (spec.boolean("recordRoute"), spec.node("recordRoute")) {
            self.tree.set("routing.recordRoute", text("off", &node.place));
            self.warnings.push(format!(
                "{}: `spec.recordRoute: false`: the exchange leaves calls whose sides reach each other over UDP without it, and \
                 knows no end of them; behind a NAT, on connections, by a gateway's credentials, with `externAddr` or \
                 `ex_rtpEngine` it stays in the way",
                node.place
            ));
        }
        if let (Some(to), Some(node)) = (spec.boolean("useToAsAOR"), spec.node("useToAsAOR")) {
            self.tree.set("routing.toAsAor", text(if to { "on" } else { "off" }, &node.place));
        }
        // Routr writes where a REGISTER came from in the place of its Contact's host and port: External (the default) over
        // UDP, Internal over every transport.
        let place = spec.node("registrarIntf").map_or(spec.place(), |node| &node.place);
        let by_source = spec.choice("registrarIntf", &REGISTRAR_INTF).unwrap_or("udp");
        self.tree.set("registrar.reachBySource", text(by_source, place));
        if let Some(node) = spec.node("addressInfo") {
            self.tree.set("routing.addressInfo", node.clone());
        }
        if let (Some(convert), Some(node)) =
            (spec.boolean("ex_convertTelToE164"), spec.node("ex_convertTelToE164"))
        {
            self.tree.set("routing.e164", text(if convert { "on" } else { "off" }, &node.place));
        }
    }

    /// The keys of other services than SIP.
    fn beside(&mut self, spec: &Fields<'_>) {
        if let Some(engine) = spec.map("ex_rtpEngine") {
            self.rtpengine(&engine, spec.node("ex_rtpEngine"));
            engine.finish();
        }
        for key in ["ex_kafka", "grpcService", "ex_uniqueGatewayPerHostPort"] {
            let off = |node: &Node| node.get("enabled").unwrap_or(node).as_text() == Some("false");
            if spec.node(key).is_some_and(|node| !off(node)) {
                self.no_equal.push(format!("spec.{key}"));
            }
        }
        if let Some(logging) = spec.map("logging") {
            if let (Some(1..), Some(node)) =
                (logging.integer("traceLevel", 0..=i64::from(u32::MAX)), logging.node("traceLevel"))
            {
                self.log("trunkline_edge=debug,trunkline_transport=debug,sip=trace", &node.place);
            }
            logging.finish_open();
        }
    }

    /// Routr posts to rtpengine's HTTP port; it is asked over UDP here, where it listens for NG by default.
    fn rtpengine(&mut self, engine: &Fields<'_>, whole: Option<&Node>) {
        let enabled = engine.boolean("enabled").unwrap_or(false);
        let host = engine.node("host");
        let port = engine.integer("port", 1..=65_535);
        for key in ["proto", "bridgeParams"] {
            engine.node(key);
        }
        let (true, Some(whole)) = (enabled, whole) else { return };
        let Some(host) = host else {
            engine.error("host", "the host of rtpengine is required", None);
            return;
        };
        let Some(ip) = self.address(host) else { return };
        let port = port.filter(|port| *port != HTTP_PORT).unwrap_or(NG_PORT);
        let at = std::net::SocketAddr::new(ip, u16::try_from(port).unwrap_or_default());
        self.tree.set("rtpengine", text(at.to_string(), &host.place));
        self.warnings.push(format!(
            "{}: `spec.ex_rtpEngine`: commands go to rtpengine over UDP at {at}, not over HTTP: configure rtpengine with `listen-ng = {port}`",
            whole.place
        ));
    }
}

/// The words of `auth.calls`, and of our own key.
const CALLS: [(&str, &str); 3] = [("never", "domain"), ("egress", "egress"), ("always", "all")];

/// The words of `registrarIntf`, and of our own key.
const REGISTRAR_INTF: [(&str, &str); 2] = [("External", "udp"), ("Internal", "all")];

/// Where Routr finds rtpengine's HTTP where nothing is said.
const HTTP_PORT: i64 = 8080;

/// Where Debian's rtpengine listens for NG.
const NG_PORT: i64 = 2223;
