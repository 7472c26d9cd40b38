//! A server of one service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use trunkline_http::{Descriptors, accept};
use trunkline_transport::Certificates;

use crate::connection::{Calls, serve};
use crate::deadline::deadline;
use crate::phase::{ServerPhase, reached};

/// Bytes of a request: a SIP message has up to 64 KB here, and up to 1 MiB at an edge port of Routr.
pub const MOST_REQUEST: usize = 2 << 20;

/// A call takes at most this long, whatever the caller is ready to wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address is taken or not ours.
    #[error("cannot listen for gRPC on {address}: {source} (is another program there? {remedy})")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Where another one can be given.
        remedy: &'static str,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Server reflection cannot read what it is to tell.
    #[error("cannot set up gRPC server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server before it serves.
pub struct RpcServer {
    routes: Routes,
    name: &'static str,
    health: HealthReporter,
}

/// The services behind their deadline.
struct Bounded(Routes);

impl Calls for Bounded {
    /// An edge port has one connection for all its messages.
    const MOST: u32 = 1024;

    async fn pass(&self, _from: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let time = deadline(request.headers()).unwrap_or(DEADLINE).min(DEADLINE);
        let mut routes = self.0.clone();
        match tokio::time::timeout(time, routes.call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => Status::deadline_exceeded("the call took too long").into_http(),
        }
    }
}

impl RpcServer {
    /// The service of this full name, which `add` adds, with health (`grpc.health.v1.Health`) and reflection of these
    /// files: an encoded `FileDescriptorSet`.
    pub fn new(
        name: &'static str,
        files: &'static [u8],
        add: impl FnOnce(Routes) -> Routes,
    ) -> Result<RpcServer, RpcError> {
        let (health, service) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(files)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let routes = Routes::new(service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        Ok(RpcServer { routes: add(routes), name, health })
    }

    /// Listens and serves until `until`; then health says NOT_SERVING, no more calls are taken, and those under way get
    /// two seconds. `remedy` says where another address can be given.
    pub async fn run(
        self,
        (address, remedy): (SocketAddr, &'static str),
        tls: Option<Certificates>,
        until: impl Future<Output = ()>,
    ) -> Result<(), RpcError> {
        let bind = |source| RpcError::Bind { address, remedy, source };
        let listener = std::net::TcpListener::bind(address).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let listener = TcpListener::from_std(listener).map_err(bind)?;
        let at = listener.local_addr().map_err(bind)?;
        self.health.set_service_status(self.name, ServingStatus::Serving).await;
        tracing::info!(address = %at, service = self.name, tls = tls.is_some(), "listening for gRPC");
        if tls.is_none() && !at.ip().to_canonical().is_loopback() {
            tracing::warn!(
                "callers are not authenticated and the connection is not encrypted: keep {at} inside your network, or \
                 set TLS_ON and VERIFY_CLIENT_CERT"
            );
        }
        let calls = Arc::new(Bounded(self.routes.prepare()));
        let (phase, phases) = watch::channel(ServerPhase::Serving);
        let mut ending = phases.clone();
        let accepting = accept(
            listener,
            ("gRPC", Descriptors::Common),
            reached(&mut ending, ServerPhase::Ending),
            |stream, from| serve(stream, from, tls.clone(), calls.clone(), phases.clone()),
        );
        let end = async {
            until.await;
            for service in [self.name, ""] {
                self.health.set_service_status(service, ServingStatus::NotServing).await;
            }
            let _ = phase.send(ServerPhase::Ending);
        };
        tokio::join!(accepting, end);
        Ok(())
    }
}
