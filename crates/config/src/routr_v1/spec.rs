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
        self.behaviour(spec);
        self.beside(spec);
    }

    /// What changes how requests are routed.
    fn behaviour(&mut self, spec: &Fields<'_>) {
        if let (Some(false), Some(node)) = (spec.boolean("recordRoute"), spec.node("recordRoute")) {
            let why = "the exchange stays in the way of its calls, so that it can record and end them";
            self.warn("spec.recordRoute", node, why);
        }
        if let (Some(true), Some(node)) = (spec.boolean("useToAsAOR"), spec.node("useToAsAOR")) {
            self.warn("spec.useToAsAOR", node, "calls go where the Request-URI says");
        }
        // Either way a phone is reached where its REGISTER came from when its Contact does not say that.
        spec.choice("registrarIntf", &[("External", ()), ("Internal", ())]);
        if let Some(node) = spec.node("addressInfo") {
            self.warn("spec.addressInfo", node, "calls go where the Request-URI says");
        }
        if let (Some(convert), Some(node)) =
            (spec.boolean("ex_convertTelToE164"), spec.node("ex_convertTelToE164"))
        {
            self.tree.set("routing.e164", text(if convert { "on" } else { "off" }, &node.place));
        }
    }

    /// What stands beside SIP.
    fn beside(&mut self, spec: &Fields<'_>) {
        if let Some(engine) = spec.map("ex_rtpEngine") {
            let enabled = engine.boolean("enabled").unwrap_or(false);
            let host = engine.text("host").unwrap_or_default();
            for key in ["proto", "port", "bridgeParams"] {
                engine.node(key);
            }
            if let (true, Some(node)) = (enabled, spec.node("ex_rtpEngine")) {
                let why = format!(
                    "rtpengine is asked over UDP, not HTTP: give it `listen-ng` and set TRUNKLINE_RTPENGINE={host}:2223"
                );
                self.warn("spec.ex_rtpEngine", node, &why);
            }
            engine.finish();
        }
        for (key, why) in [
            ("ex_kafka", "call records stand in the database: `trunkline calls records`"),
            ("grpcService", "`trunkline status` and the REST API do what it was for"),
            ("ex_uniqueGatewayPerHostPort", "gateways are told apart by their ref"),
        ] {
            let off = |node: &Node| node.get("enabled").unwrap_or(node).as_text() == Some("false");
            if let Some(node) = spec.node(key).filter(|node| !off(node)) {
                self.warn(&format!("spec.{key}"), node, why);
            }
        }
        if let Some(logging) = spec.map("logging") {
            if let (Some(1..), Some(node)) =
                (logging.integer("traceLevel", 0..=i64::from(u32::MAX)), logging.node("traceLevel"))
            {
                self.warn("spec.logging.traceLevel", node, "set TRUNKLINE_LOG_LEVEL=debug");
            }
            logging.finish_open();
        }
    }
}
