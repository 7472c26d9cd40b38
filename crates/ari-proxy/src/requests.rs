//! Requests from the bus: subscriptions, order, bounds, answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunkline_ari::{CREATE_QUEUE, Class, Exchange, Outcome, Request, Step};

use crate::lanes::Turn;
use crate::proxy::{Proxy, Reach};

/// Requests that may be under way or waiting for their turn.
const PENDING: u64 = 16_384;

/// The classes that every proxy hears.
const PLAIN: [Class; 3] = [Class::Get, Class::Data, Class::Command];

/// Subscribes to everything that the state of the proxy allows, until `stop` turns true: pings and
/// the plain classes always, those of the node once it is known, the queue group only while
/// Asterisk is there.
pub(crate) async fn serve(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let app = proxy.config.application.clone();
    let mut always = Group::default();
    always.ping(&proxy).await;
    for class in PLAIN {
        always.plain(&proxy, proxy.subjects.request(class, "", "")).await;
        always.plain(&proxy, proxy.subjects.request(class, &app, "")).await;
    }
    let mut state = proxy.state.subscribe();
    let mut of_node = Group::default();
    let mut create = Group::default();
    let mut reached = Reach::default();
    while !*stop.borrow() {
        let now = state.borrow_and_update().clone();
        if now.node != reached.node {
            of_node.leave();
            if !now.node.is_empty() {
                for class in PLAIN {
                    of_node.plain(&proxy, proxy.subjects.request(class, &app, &now.node)).await;
                }
            }
        }
        if now != reached {
            create.leave();
            if now.up {
                let create_of = |app: &str, node: &str| proxy.subjects.request(Class::Create, app, node);
                for subject in [create_of("", ""), create_of(&app, ""), create_of(&app, &now.node)] {
                    create.queue(&proxy, subject).await;
                }
                // Whoever hears the announcement may send at once.
                if proxy.nats_is_up()
                    && let Err(error) = proxy.nats.flush().await
                {
                    tracing::debug!(%error, "subscriptions not flushed");
                }
                proxy.announce().await;
            } else if reached.up {
                proxy.goodbye().await;
            }
            reached = now;
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { break },
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    // What has been delivered is still answered; nothing new is taken.
    create.leave();
    of_node.leave();
    always.leave();
    create.ended().await;
    of_node.ended().await;
    always.ended().await;
}

/// Subscriptions that begin and end together.
#[derive(Default)]
struct Group {
    tasks: JoinSet<()>,
    leave: watch::Sender<bool>,
}

impl Group {
    async fn ping(&mut self, proxy: &Arc<Proxy>) {
        let subject = proxy.subjects.ping();
        let subscriber = proxy.nats.subscribe(subject.clone()).await;
        let proxy = Arc::clone(proxy);
        self.follow(subject, subscriber, move |_| {
            let proxy = Arc::clone(&proxy);
            tokio::spawn(async move { proxy.announce().await });
        });
    }

    async fn plain(&mut self, proxy: &Arc<Proxy>, subject: String) {
        let subscriber = proxy.nats.subscribe(subject.clone()).await;
        let proxy = Arc::clone(proxy);
        self.follow(subject, subscriber, move |message| accept(&proxy, message));
    }

    async fn queue(&mut self, proxy: &Arc<Proxy>, subject: String) {
        let subscriber = proxy.nats.queue_subscribe(subject.clone(), CREATE_QUEUE.to_owned()).await;
        let proxy = Arc::clone(proxy);
        self.follow(subject, subscriber, move |message| accept(&proxy, message));
    }

    fn follow<E: std::fmt::Display>(
        &mut self,
        subject: String,
        subscriber: Result<Subscriber, E>,
        take: impl Fn(Message) + Send + 'static,
    ) {
        let mut subscriber = match subscriber {
            Ok(subscriber) => subscriber,
            Err(error) => {
                tracing::error!(subject, %error, "cannot subscribe");
                return;
            }
        };
        let mut leave = self.leave.subscribe();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    message = subscriber.next() => match message {
                        Some(message) => take(message),
                        None => return,
                    },
                    _ = leave.wait_for(|leave| *leave) => break,
                }
            }
            // The server sends nothing new; what is on its way is still taken.
            if subscriber.drain().await.is_ok() {
                while let Some(message) = subscriber.next().await {
                    take(message);
                }
            }
        });
    }

    /// Ends the subscriptions; their tasks go on until the last message is taken.
    fn leave(&mut self) {
        self.leave.send_replace(true);
        self.leave = watch::Sender::new(false);
        // Tasks that ended are not kept.
        while self.tasks.try_join_next().is_some() {}
    }

    async fn ended(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Without a connection the end of a subscription is never confirmed.
        if tokio::time::timeout(std::time::Duration::from_secs(2), all).await.is_err() {
            tracing::debug!("subscriptions ended without the server");
        }
    }
}

/// A message arrived: takes its place in the order and answers when its turn comes.
fn accept(proxy: &Arc<Proxy>, message: Message) {
    let started = Instant::now();
    if proxy.pending.fetch_add(1, Ordering::AcqRel) >= PENDING {
        proxy.metrics.refused.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(refuse(Arc::clone(proxy), message));
        return;
    }
    // The order is that of arrival, so places are taken here and not in the task.
    let lanes = match Request::parse(&message.payload) {
        Ok(request) => request.lanes(),
        Err(_) => Vec::new(),
    };
    let turn = proxy.lanes.enter(lanes);
    tokio::spawn(answer(Arc::clone(proxy), message, turn, started));
}

async fn refuse(proxy: Arc<Proxy>, message: Message) {
    send(&proxy, message.reply, Outcome::error("too many requests: try again later")).await;
    proxy.finished();
}

/// Carries one request out and sends what came of it.
async fn answer(proxy: Arc<Proxy>, message: Message, mut turn: Option<Turn>, started: Instant) {
    proxy.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    let limit = proxy.config.request_timeout;
    let outcome = match Request::parse(&message.payload) {
        Err(error) => {
            proxy.metrics.unreadable.fetch_add(1, Ordering::Relaxed);
            Outcome::error(&error.to_string())
        }
        Ok(request) => {
            let work = async {
                if let Some(turn) = &mut turn {
                    turn.wait().await;
                }
                // The semaphore is never closed.
                let _room = proxy.room.acquire().await;
                carry_out(&proxy, &request).await
            };
            let outcome = tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Outcome::error(&format!("request timed out after {limit:?}")));
            if let Some(kind) = request.kind() {
                proxy.metrics.request(kind, outcome.ok, started.elapsed());
                tracing::debug!(kind = kind.name(), ok = outcome.ok, "request");
            }
            outcome
        }
    };
    // The next of the lane need not wait for the answer to be sent.
    drop(turn);
    send(&proxy, message.reply, outcome).await;
    proxy.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
    proxy.finished();
}

/// Runs the exchange with Asterisk. Things are bound before each call, so that no event of what the
/// call makes is missed, and unbound again when it fails.
async fn carry_out(proxy: &Proxy, request: &Request<'_>) -> Outcome {
    if !proxy.is_up() {
        return Outcome::error("ARI connection is down");
    }
    let site = proxy.site();
    let (mut exchange, mut step) = Exchange::start(request, &site);
    let mut bindings = Bindings { proxy, dialog: request.key().map_or("", |k| &k.dialog), fresh: Vec::new() };
    loop {
        match step {
            Step::Call(call) => {
                bindings.add(&exchange);
                step = match proxy.ari.call(call).await {
                    Ok(reply) => exchange.on_reply(&reply.as_rest()),
                    Err(error) => Step::Done(exchange.on_failure(&error.to_string())),
                };
            }
            Step::Done(outcome) => {
                if outcome.ok {
                    bindings.add(&exchange);
                    bindings.fresh.clear();
                }
                return outcome;
            }
        }
    }
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

/// Sends the answer, if anybody waits for one.
async fn send(proxy: &Proxy, reply: Option<async_nats::Subject>, outcome: Outcome) {
    let Some(subject) = reply else {
        tracing::debug!(ok = outcome.ok, "a request without reply subject was carried out");
        return;
    };
    for message in outcome.messages {
        if let Err(error) = proxy.nats.publish(subject.clone(), message.into()).await {
            tracing::warn!(%error, "answer not sent");
            return;
        }
    }
}
