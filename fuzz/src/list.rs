//! All targets.

use crate::{ari, corpus, login, machines, media, registrar, rest_v1, routing, soak, targets, tokens, trace};

/// Something that inputs are thrown at.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it reads.
    pub name: &'static str,
    /// Where mutations start.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Looks at an input; panics when something that must hold does not.
    pub run: fn(&[u8]),
}

const fn t(name: &'static str, corpus: fn() -> Vec<Vec<u8>>, run: fn(&[u8])) -> Target {
    Target { name, corpus, run }
}

/// Each of them.
pub const TARGETS: &[Target] = &[
    t("message", corpus, targets::message),
    t("uri", corpus, targets::uri),
    t("via", corpus, targets::via),
    t("contact", corpus, targets::contact),
    t("digest", corpus, targets::digest),
    t("framing", corpus, targets::framing),
    t("branch", tokens::branches, tokens::branch),
    t("mark", tokens::marks, tokens::mark),
    t("sealed names", tokens::names, tokens::name),
    t("decision", routing::decisions, tokens::decision),
    t("route", routing::requests, routing::request),
    t("register", registrar::requests, registrar::request),
    t("proxy transaction", machines::scripts, machines::proxy),
    t("our registration", machines::scripts, machines::registration),
    t("traced message", corpus, trace::message),
    t("ari request", ari::requests, ari::request),
    t("ari reply", ari::replies, ari::reply),
    t("ari event", ari::events, ari::event),
    t("ari announcement", ari::events, ari::announcement),
    t("ari file", ari::files, ari::file),
    t("authorization", login::headers, login::header),
    t("sdp", media::bodies, media::body),
    t("rtpengine answer", media::answers, media::answer),
    t("Routr v1 filter", rest_v1::filters, rest_v1::filter),
    t("Routr v1 query", rest_v1::queries, rest_v1::query),
    t("Routr v1 token", rest_v1::tokens, rest_v1::token),
];

/// Runs the target of this name for `TRUNKLINE_SOAK_SECONDS`.
pub fn target(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let report = soak(name, &(target.corpus)(), crate::seconds(), target.run);
    assert!(report.inputs > 0, "{name}: nothing was thrown");
}
