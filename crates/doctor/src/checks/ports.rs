//! Ports: free, bound by the exchange, or in use by whom.

use std::io::ErrorKind;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use trunkline_config::Role;

use super::sockets::{Holder, Proto, holder};
use crate::facts::Facts;
use crate::finding::Findings;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    for (key, proto, address) in wanted(facts) {
        if address.port() == 0 || (address.is_ipv6() && !has_ipv6()) {
            continue;
        }
        match facts.is_running() {
            true => bound(facts, key, proto, address, out),
            false => free(key, proto, address, out),
        }
    }
    if facts.has_role(Role::Exchange) && facts.config().listen.udp.is_empty() {
        let means = "most phones and carriers use UDP";
        out.note("there is no UDP listener", means, "set listen.udp, e.g. 0.0.0.0:5060");
    }
}

/// What the configuration wants: the key, the protocol, the address.
fn wanted(facts: &Facts) -> Vec<(&'static str, Proto, SocketAddr)> {
    let config = facts.config();
    let listen = &config.listen;
    let mut all = Vec::new();
    if facts.has_role(Role::Exchange) {
        for (key, proto, addresses) in [
            ("listen.udp", Proto::Udp, &listen.udp),
            ("listen.tcp", Proto::Tcp, &listen.tcp),
            ("listen.tls", Proto::Tcp, &listen.tls),
            ("listen.ws", Proto::Tcp, &listen.ws),
            ("listen.wss", Proto::Tcp, &listen.wss),
        ] {
            all.extend(addresses.iter().map(|address| (key, proto, *address)));
        }
    }
    for (role, key, address) in [
        (Role::Health, "http.addr", config.http.addr),
        (Role::Api, "grpc.addr", config.grpc.addr),
        (Role::Api, "grpc.externalAddr", config.grpc.external_addr),
        (Role::RestV1, "routrV1.addr", config.routr_v1.addr),
    ] {
        if let Some(address) = address.filter(|_| facts.has_role(role)) {
            all.push((key, Proto::Tcp, address));
        }
    }
    all
}

/// No exchange runs: can it be bound?
fn free(key: &str, proto: Proto, address: SocketAddr, out: &mut Findings) {
    let what = format!("{key}: {} {address}", proto.word());
    match bind(proto, address) {
        Ok(()) => out.ok(format!("{what} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let by = holder(proto, address).map_or_else(|| "another program".into(), |by| by.to_string());
            let fix = format!("stop that program, or set {key} to another address");
            out.error(format!("{what} is in use by {by}"), "the exchange cannot start", &fix);
        }
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            let fix = format!("set {key} to an address of this host (`ip address` lists them)");
            out.error(format!("{what} is not an address of this host"), "the exchange cannot start", &fix);
        }
        Err(error) => {
            let fix = format!("set {key} to a port above 1023, or give the service CAP_NET_BIND_SERVICE");
            out.error(format!("{what} cannot be bound: {error}"), "the exchange cannot start", &fix);
        }
    }
}

/// An exchange runs: does it listen there?
fn bound(facts: &Facts, key: &str, proto: Proto, address: SocketAddr, out: &mut Findings) {
    let what = format!("{key}: {} {address}", proto.word());
    let restart = "restart the exchange with this configuration";
    match holder(proto, address) {
        Some(Holder { pid, .. }) if Some(pid) == facts.process() => {
            out.ok(format!("{what} is bound by the exchange (process {pid})"));
        }
        // The sockets of processes of other users cannot be seen.
        Some(Holder { pid: 0, .. }) => out.ok(format!("{what} is bound")),
        Some(by) => {
            let means = "the running exchange does not listen there";
            out.error(format!("{what} is in use by {by}"), means, restart);
        }
        None => {
            let means = "the running exchange was started with another configuration";
            out.error(format!("{what} is not bound"), means, restart);
        }
    }
}

fn bind(proto: Proto, address: SocketAddr) -> std::io::Result<()> {
    let kind = if proto == Proto::Udp { Type::DGRAM } else { Type::STREAM };
    let protocol = if proto == Proto::Udp { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run may still be winding down; a listener is what counts.
    socket.set_reuse_address(proto == Proto::Tcp)?;
    socket.bind(&address.into())?;
    if proto == Proto::Tcp { socket.listen(1) } else { Ok(()) }
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::]:0").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_the_program() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut out = Findings::of("ports");
        free("http.addr", Proto::Tcp, address, &mut out);
        let me = format!("process {}", std::process::id());
        assert!(out.list[0].what.contains(&me), "{}", out.list[0].what);
        drop(listener);
        free("http.addr", Proto::Tcp, address, &mut out);
        assert!(out.list[1].what.ends_with("is free"), "{}", out.list[1].what);
    }
}
