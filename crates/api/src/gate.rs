//! The checks of every call: login, rights, deadline, counters.

use std::convert::Infallible;
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

impl Gate {
    /// One call, from its head to the head of its answer.
    pub(crate) async fn pass(
        &self,
        from: SocketAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let method = ApiMethod::of(request.uri().path());
        let span = span(&request, method, from);
        self.pass_traced(from, method, request).instrument(span).await
    }

    async fn pass_traced(
        &self,
        from: SocketAddr,
        method: ApiMethod,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let time = deadline(request.headers()).min(DEADLINE);
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
        Ok(response)
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

/// How long the caller waits, from the header `grpc-timeout`: up to eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Duration {
    let read = || {
        let text = headers.get("grpc-timeout")?.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.len() > 8 || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let count: u64 = digits.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    };
    read().unwrap_or(DEADLINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a value"));
            deadline(&headers)
        };
        assert_eq!(of("250m"), Duration::from_millis(250));
        assert_eq!(of("3S"), Duration::from_secs(3));
        assert_eq!(of("99999999H"), Duration::from_secs(99_999_999 * 3600));
        for odd in ["", "m", "1", "-1S", "123456789S", "1x", "é"] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = hyper::http::HeaderValue::from_bytes(odd.as_bytes()) {
                headers.insert("grpc-timeout", value);
            }
            assert_eq!(deadline(&headers), DEADLINE, "{odd}");
        }
    }
}
