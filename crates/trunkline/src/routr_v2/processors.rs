//! `trunkline echo`, `trunkline simpleauth` and `trunkline dispatcher`: programs that say what becomes of a message.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tonic::server::NamedService;
use trunkline_config::{DispatcherRole, RoleEnv, Source, read_users};
use trunkline_model::document::{Place, Report};
use trunkline_rpc::{MOST_REQUEST, RpcAddress, RpcChannel};
use trunkline_services::{
    DispatcherRules, DispatcherService, EchoService, Middleware, ProcessorRule, SimpleAuthRules,
    SimpleAuthService, check_match_func,
};
use trunkline_transport::{Certificates, SelfSigned, TlsSettings};
use trunkline_wire::processor::processor_server::{Processor, ProcessorServer};

use super::{ReadyService, sound};

fn ready<P: Processor>(service: P, address: SocketAddr, remedy: &'static str) -> ReadyService {
    let service = ProcessorServer::new(service)
        .max_decoding_message_size(MOST_REQUEST)
        .max_encoding_message_size(MOST_REQUEST);
    ReadyService {
        name: <ProcessorServer<P> as NamedService>::NAME,
        add: Box::new(move |routes| routes.add_service(service)),
        address,
        remedy,
    }
}

/// The echo processor.
pub fn echo(mut env: RoleEnv) -> Result<ReadyService, String> {
    let address = env.bind(SocketAddr::from(([0, 0, 0, 0], 51904)));
    sound(env)?;
    Ok(ready(EchoService, address, "or set BIND_ADDR"))
}

/// The middleware with its users.
pub fn simpleauth(mut env: RoleEnv) -> Result<ReadyService, String> {
    let address = env.bind(SocketAddr::from(([0, 0, 0, 0], 51903)));
    let methods: HashSet<String> =
        env.list("METHODS").into_iter().map(|name| name.to_ascii_uppercase()).collect();
    if methods.is_empty() {
        env.wrong(
            "METHODS",
            "it is required: the methods that need credentials",
            Some("e.g. REGISTER,INVITE"),
        );
    }
    let allowed = env.list("ALLOWLIST").into_iter().collect();
    let path = env.get("PATH_TO_AUTH").map(PathBuf::from).unwrap_or_default();
    if path.as_os_str().is_empty() {
        env.wrong("PATH_TO_AUTH", "it is required: the file of users", Some("e.g. /etc/routr/auth.json"));
    }
    sound(env)?;
    let source =
        Source::read(&path).map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))?;
    let users = read_users(&source).map_err(|report| report.to_string())?;
    let service = SimpleAuthService::new(SimpleAuthRules { methods, allowed, users });
    Ok(ready(service, address, "or set BIND_ADDR"))
}

/// Checks what a dispatcher's file says of others: addresses and functions.
pub fn check_dispatcher(role: &DispatcherRole) -> Result<(), Report> {
    let mut report = Report::default();
    let mut wrong = |message: String, place: &Place| report.push(message, Some(place.clone()), None);
    let addresses = role.middlewares.iter().map(|one| (&one.addr, &one.place));
    for (addr, place) in addresses.chain(role.processors.iter().map(|one| (&one.addr, &one.places.0))) {
        if let Err(why) = addr.parse::<RpcAddress>() {
            wrong(format!("`{addr}`: {why}"), place);
        }
    }
    for processor in &role.processors {
        if let Err(why) = check_match_func(&processor.match_func) {
            wrong(format!("matchFunc of processor {}: {why}", processor.name), &processor.places.1);
        }
    }
    report.unless(())
}

/// The dispatcher with its connections.
pub fn dispatcher(role: DispatcherRole, mut env: RoleEnv) -> Result<ReadyService, String> {
    check_dispatcher(&role).map_err(|report| report.to_string())?;
    let certificates = client_certificates(&role, &mut env)?;
    sound(env)?;
    let channel = |addr: &str| {
        let address: RpcAddress = addr.parse().map_err(|why| format!("error: `{addr}`: {why}\n"))?;
        Ok::<_, String>(RpcChannel::new(address, certificates.clone()))
    };
    let mut rules = DispatcherRules {
        middlewares: Vec::new(),
        processors: Vec::new(),
        patience: Duration::from_millis(role.deadline_ms),
    };
    for one in role.middlewares {
        rules.middlewares.push(Middleware { name: one.name, channel: channel(&one.addr)?, after: one.after });
    }
    for one in role.processors {
        let channel = channel(&one.addr)?;
        rules.processors.push(ProcessorRule {
            name: one.name,
            channel,
            methods: one.methods,
            match_func: one.match_func,
        });
    }
    let service = DispatcherService::new(rules).map_err(|why| format!("error: {why}\n"))?;
    Ok(ready(service, role.bind, "or set spec.bindAddr"))
}

/// What is trusted and shown where a processor or middleware is reached over TLS.
fn client_certificates(role: &DispatcherRole, env: &mut RoleEnv) -> Result<Option<Certificates>, String> {
    let addresses =
        role.middlewares.iter().map(|one| &one.addr).chain(role.processors.iter().map(|one| &one.addr));
    if !addresses.into_iter().any(|addr| addr.starts_with("https://")) {
        return Ok(None);
    }
    let file = |name: &str| env.get(name).map(PathBuf::from);
    let (cert, key, trusted_ca) = (file("CLIENT_CERT"), file("CLIENT_KEY"), file("CLIENT_CACERT"));
    if cert.is_some() != key.is_some() {
        env.wrong(
            "CLIENT_CERT",
            "a certificate needs its key",
            Some("set CLIENT_CERT and CLIENT_KEY, or none"),
        );
    }
    // As a client it shows no certificate of its own making.
    let self_signed = SelfSigned { names: vec!["localhost".into()], ..SelfSigned::default() };
    let settings = TlsSettings { pair: cert.zip(key), trusted_ca, self_signed, ..TlsSettings::default() };
    let loaded = Certificates::load(settings);
    loaded.map(Some).map_err(|error| format!("error: CLIENT_CACERT, CLIENT_CERT, CLIENT_KEY: {error}\n"))
}
