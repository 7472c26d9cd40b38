//! Requests from the bus: order, bounds, answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use trunkline_ari::{Exchange, Outcome, Request, RestCall, Step};
use trunkline_ari_rest::AriError;

use crate::bus::Message;
use crate::files::{self, Opened, Passing};
use crate::handover::{hand_over, is_shared};
use crate::proxy::Proxy;
use crate::send::send;

/// Requests that may be under way or waiting for their turn.
const PENDING: u64 = 16_384;

/// A message arrived: takes its place in the order and answers when its turn comes. `shared`: other
/// proxies got it too, so the answer says whose it is.
pub(crate) fn accept(proxy: &Arc<Proxy>, message: Message, shared: bool) {
    let started = Instant::now();
    if proxy.pending.fetch_add(1, Ordering::AcqRel) >= PENDING {
        proxy.metrics.refused.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(refuse(Arc::clone(proxy), message, shared));
        return;
    }
    // Its first steps are taken here and now: it takes its place in the order of arrival, and what
    // waits for nothing is at Asterisk already when a task takes over.
    let span = tracing::info_span!(
        target: "otlp",
        "ARI",
        otlp.name = Empty,
        otlp.parent = message.trace_parent.as_deref(),
        otlp.error = Empty,
        ari.ok = Empty
    );
    let mut work = Box::pin(answer(Arc::clone(proxy), message, started, shared).instrument(span));
    let first = || work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    // A fault in one request must not end the subscription that brought it.
    match catch_unwind(AssertUnwindSafe(first)) {
        Ok(Poll::Ready(())) => {}
        Ok(Poll::Pending) => drop(tokio::spawn(work)),
        Err(_) => proxy.finished(),
    }
}

/// How a request ended.
enum Ended {
    Answered(Outcome),
    /// The answer is a file that is still to be passed on.
    File(Box<Passing>),
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Ended::Answered(outcome)
    }
}

async fn refuse(proxy: Arc<Proxy>, message: Message, shared: bool) {
    send(&proxy, &message, Outcome::error("too many requests: try again later"), shared).await;
    proxy.finished();
}

/// Carries one request out and sends what came of it.
async fn answer(proxy: Arc<Proxy>, message: Message, started: Instant, shared: bool) {
    proxy.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    match Request::parse(message.payload()) {
        Err(error) => {
            proxy.metrics.unreadable.fetch_add(1, Ordering::Relaxed);
            send(&proxy, &message, Outcome::error(&error.to_string()), shared).await;
        }
        Ok(request) => {
            let note = |ok: bool| {
                if let Some(kind) = request.kind() {
                    proxy.metrics.request(kind, ok, started.elapsed());
                    tracing::debug!(kind = kind.name(), ok, "request");
                    let span = Span::current();
                    span.record("otlp.name", kind.name()).record("ari.ok", ok);
                    if !ok {
                        span.record("otlp.error", "the request failed");
                    }
                }
            };
            // The next of its lanes need not wait for the answer to be sent.
            match in_turn(&proxy, &message, &request).await {
                Ended::Answered(outcome) => {
                    note(outcome.ok);
                    send(&proxy, &message, outcome, shared).await;
                }
                Ended::File(file) => note(Box::pin(file.send(&proxy, &message, shared)).await),
            }
        }
    }
    proxy.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
    proxy.finished();
}

/// Carries a request out when its turn has come, within its time limit.
async fn in_turn(proxy: &Arc<Proxy>, message: &Message, request: &Request<'_>) -> Ended {
    let limit = proxy.config.request_timeout;
    let mut turn = proxy.lanes.enter(request.lanes());
    let work = async {
        if let Some(turn) = &mut turn {
            turn.wait().await;
        }
        // The semaphore is never closed.
        let room = proxy.room.acquire().await;
        let failed = match carry_out(proxy, request).await {
            Ok(ended) => return ended,
            Err(failed) => failed,
        };
        drop(room);
        if is_shared(proxy, message.subject())
            && let Some(outcome) = Box::pin(hand_over(proxy, message)).await
        {
            return outcome.into();
        }
        failed.into()
    };
    let timed_out = || Outcome::error(&format!("request timed out after {limit:?}"));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| timed_out().into())
}

/// Runs the exchange with Asterisk. Things are bound before each call, so that no event of what the
/// call makes is missed, and unbound again when it fails. The error is the answer when Asterisk
/// could not be reached.
async fn carry_out(proxy: &Proxy, request: &Request<'_>) -> Result<Ended, Outcome> {
    if !proxy.is_up() {
        return Err(Outcome::error("ARI connection is down"));
    }
    let site = proxy.site();
    let (mut exchange, mut step) = Exchange::start(request, &site);
    let mut bindings = Bindings { proxy, dialog: request.key().map_or("", |k| &k.dialog), fresh: Vec::new() };
    loop {
        match step {
            Step::Call(call) => {
                bindings.add(&exchange);
                step = match ask(proxy, &mut exchange, call).await {
                    Ok(Opened::File(file)) => return Ok(Ended::File(file)),
                    Ok(Opened::Reply(reply)) => exchange.on_reply(&reply.as_rest()),
                    Err(error @ (AriError::Io(..) | AriError::Http(..) | AriError::Body(..))) => {
                        return Err(exchange.on_failure(&error.to_string()));
                    }
                    Err(error) => Step::Done(exchange.on_failure(&error.to_string())),
                };
            }
            Step::Done(outcome) => {
                if outcome.ok {
                    bindings.add(&exchange);
                    bindings.fresh.clear();
                }
                if let Some(thing) = exchange.ended(&outcome) {
                    proxy.dialogs.lock().end(&thing.kind, &thing.id, Instant::now());
                }
                return Ok(outcome.into());
            }
        }
    }
}

async fn ask(proxy: &Proxy, exchange: &mut Exchange<'_>, call: RestCall) -> Result<Opened, AriError> {
    if call.file {
        // Boxed, here and where else the way is a rare one: every request carries the largest.
        return Box::pin(async { files::open(proxy, exchange, proxy.ari.open(call).await?).await }).await;
    }
    // The request as a whole has a time limit already.
    proxy.ari.call_within(call, proxy.config.request_timeout).await.map(Opened::Reply)
}

/// The bindings one request made. Those still listed when it ends are taken back: the request
/// failed or ran out of time.
struct Bindings<'p> {
    proxy: &'p Proxy,
    dialog: &'p str,
    fresh: Vec<(String, String)>,
}

impl Bindings<'_> {
    fn add(&mut self, exchange: &Exchange<'_>) {
        if exchange.bindings().is_empty() {
            return;
        }
        let now = Instant::now();
        let mut dialogs = self.proxy.dialogs.lock();
        for binding in exchange.bindings() {
            if dialogs.bind(&binding.kind, &binding.id, self.dialog, now) {
                self.fresh.push((binding.kind.to_string(), binding.id.to_string()));
            }
        }
    }
}

impl Drop for Bindings<'_> {
    fn drop(&mut self) {
        if !self.fresh.is_empty() {
            let mut dialogs = self.proxy.dialogs.lock();
            for (kind, id) in &self.fresh {
                dialogs.unbind(kind, id, self.dialog);
            }
        }
    }
}
