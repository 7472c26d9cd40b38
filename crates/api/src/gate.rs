//! The checks of every call: login, rights, deadline, counters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::{HeaderMap, Request, Response, header};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::service::Routes;
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use trunkline_login::{Login, Presented, Refused};
use trunkline_rpc::{Calls, deadline};

use crate::caller::Caller;
use crate::counts::Counts;
use crate::method::ApiMethod;
use crate::server::Endpoint;

/// A call takes at most this long, whatever the caller is ready to wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// The services of one endpoint.
pub(crate) struct Gate {
    pub endpoint: Endpoint,
    pub routes: Routes,
    /// Checks logins; `None` allows every client.
    pub login: Option<Login>,
    /// Do users who may write see passwords?
    pub reveal: bool,
    pub counts: Arc<Counts>,
}

impl Calls for Gate {
    const MOST: u32 = 64;

    async fn pass(&self, from: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let method = ApiMethod::of(request.uri().path());
        let span = span(&request, method, from);
        self.pass_traced(from, method, request).instrument(span).await
    }
}

impl Gate {
    async fn pass_traced(
        &self,
        from: SocketAddr,
        method: ApiMethod,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let time = deadline(request.headers()).unwrap_or(DEADLINE).min(DEADLINE);
        // The answer's head comes at once where a stream follows, so that the same bound does.
        let response = match tokio::time::timeout(time, self.answer(from, method, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => status.into_http(),
            Err(_) => Status::deadline_exceeded("the call took too long").into_http(),
        };
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        self.counts.add(self.endpoint, method, code);
        Span::current().record("rpc.grpc.status_code", code as i32);
        if code != Code::Ok {
            Span::current().record("otlp.error", code.description());
        }
        response
    }

    async fn answer(
        &self,
        from: SocketAddr,
        method: ApiMethod,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let caller = self.admit(from, method, request.headers()).await?;
        request.extensions_mut().insert(caller);
        let mut routes = self.routes.clone();
        routes.call(request).await.map_err(|never| match never {})
    }

    /// Authenticates the caller and checks its rights.
    async fn admit(
        &self,
        from: SocketAddr,
        method: ApiMethod,
        headers: &HeaderMap,
    ) -> Result<Caller, Status> {
        let Some(login) = &self.login else {
            return Ok(Caller { name: from.to_string(), secrets: true });
        };
        let shown = match headers.get(header::AUTHORIZATION).map(|value| value.to_str()) {
            None => Err(Refused::Absent),
            Some(Err(_)) => Err(Refused::Malformed),
            Some(Ok(value)) => Presented::from_header(value),
        };
        let who = match shown {
            Ok(presented) => login.check(from.ip().to_canonical(), presented).await,
            Err(refused) => Err(refused),
        };
        let who = who.map_err(|refused| turned_away(refused, from))?;
        if method.writes() && !who.may_write() {
            let message = format!("{} may only read: changes need the role operator", who.username);
            return Err(Status::permission_denied(message));
        }
        Ok(Caller { secrets: self.reveal && who.may_write(), name: who.username })
    }
}

/// The span of a call, for a collector of OpenTelemetry.
fn span(request: &Request<Incoming>, method: ApiMethod, from: SocketAddr) -> Span {
    tracing::info_span!(
        target: "otlp",
        "gRPC",
        otlp.name = method.name,
        otlp.parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()),
        otlp.error = Empty,
        rpc.system = "grpc",
        rpc.service = method.service,
        rpc.method = method.name,
        client.address = %from.ip(),
        rpc.grpc.status_code = Empty,
    )
}

fn turned_away(refused: Refused, from: SocketAddr) -> Status {
    match refused {
        Refused::Absent | Refused::Malformed => Status::unauthenticated(refused.to_string()),
        Refused::Wrong => {
            tracing::warn!(%from, "a wrong login over gRPC");
            Status::unauthenticated(refused.to_string())
        }
        Refused::Slowed { .. } | Refused::Busy => Status::resource_exhausted(refused.to_string()),
    }
}
