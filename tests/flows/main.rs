//! Calls and registrations through a running exchange, with SIPp and with phones of our own.

mod access_lists;
mod acks;
mod amplification;
mod answers;
mod api;
mod autopsies;
mod behind_proxies;
mod borrowed;
mod byes;
mod calls;
mod calls_up;
mod cancels;
mod carrier;
mod certificate_files;
mod claims;
mod commands;
mod contacts;
mod descriptors;
mod destinations;
mod dialogs;
mod digest;
mod doctor;
mod durability;
mod events;
mod events_nats;
mod events_webhook;
mod explain;
mod fallback;
mod filter;
mod first_start;
mod forged;
mod forged_icmp;
mod forged_sources;
mod forking;
mod goes_on;
mod gruu;
mod guard;
mod guarded;
mod guesses;
mod handover;
mod hang_up;
mod inside;
mod late;
mod legs;
mod limits;
mod live;
mod lockout;
mod made_connections;
mod marks;
mod meant;
mod media;
mod media_forks;
mod media_glare;
mod media_names;
mod media_parts;
mod media_silence;
mod media_talk;
mod metrics;
mod names;
mod nat;
mod no_route;
mod open_numbers;
mod operator;
mod otlp;
mod outbound;
mod overload;
mod own_host;
mod peers;
mod peers_word;
mod postgres;
mod private_networks;
mod process;
mod reach;
mod reached;
mod reading;
mod records;
mod redirects;
mod referrals;
mod refusal_log;
mod refusals;
mod refused_calls;
mod registration;
mod relayed;
mod roles;
mod routr_v1;
mod routr_v1_api;
mod routr_v1_bounds;
mod routr_v1_container;
mod routr_v1_examples;
mod routr_v1_gateways;
mod routr_v1_image;
mod routr_v1_keys;
mod routr_v1_losses;
mod routr_v1_migrate;
mod routr_v1_operating;
mod routr_v1_overlooked;
mod routr_v1_page;
mod routr_v1_providers;
mod routr_v1_rest;
mod routr_v1_schemathesis;
mod routr_v1_stored;
mod routr_v1_taken_over;
mod same_names;
mod secure_trunks;
mod shown;
mod signalling;
mod smuggling;
mod softphones;
mod store;
mod strangers;
mod svcrack;
mod tenants;
mod tenants_commands;
mod tenants_phones;
mod trace;
mod trace_hep;
mod transfers;
mod transports;
mod trunk_dialogs;
mod trunk_nat;
mod trunk_registration;
mod trunks;
mod unproven;
mod unreachable;
mod unresolved;
mod vanished;
mod waits;
mod web_pages;
mod withheld;
mod work;

use trunkline_tests::{Exchange, Resources, Ua};

const DOMAIN: &str = "sip.test";

/// A domain with three agents whose secrets are `pw-` and their name.
fn agents() -> Resources {
    let users = ["1001", "1002", "1003"];
    users.iter().fold(Resources::new().domain(DOMAIN, "all"), |all, user| {
        all.agent(DOMAIN, user, &format!("pw-{user}"))
    })
}

/// The same; calls of 1002 go to 1003 when it is busy.
fn with_fallback() -> Resources {
    let fallback = format!(", fallback: {{busy: \"{}\"}}", at("1003"));
    Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", &fallback)
        .agent(DOMAIN, "1003", "pw-1003")
}

/// An agent's phone on UDP, not registered.
fn phone(exchange: &Exchange, user: &str) -> Ua {
    Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"))
}

/// The same, registered.
fn registered(exchange: &Exchange, user: &str) -> Ua {
    let mut ua = phone(exchange, user);
    let answer = ua.register(600);
    assert_eq!(answer.status(), 200, "{user}: {}", answer.start);
    ua
}

/// Another user of the domain.
fn at(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}
