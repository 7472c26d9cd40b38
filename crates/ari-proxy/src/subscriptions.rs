//! The NATS subscriptions of a proxy.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunkline_ari::{CREATE_QUEUE, Class};

use crate::proxy::{Proxy, Reach};
use crate::requests::accept;

/// The classes that every proxy hears.
const PLAIN: [Class; 3] = [Class::Get, Class::Data, Class::Command];

/// Subscribes to everything that the state of the proxy allows, until `stop` turns true: pings and
/// the plain classes always, those of the node once it is known, the queue group only while
/// Asterisk is there.
pub(crate) async fn serve(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let app = proxy.application.clone();
    let mut always = Group::default();
    always.ping(&proxy).await;
    for class in PLAIN {
        always.plain(&proxy, proxy.subjects.request(class, "", ""), true).await;
        always.plain(&proxy, proxy.subjects.request(class, &app, ""), true).await;
    }
    let mut state = proxy.state.subscribe();
    let mut of_node = Group::default();
    let mut create = Group::default();
    let mut reached = Reach::default();
    while !*stop.borrow() {
        let now = state.borrow_and_update().clone();
        if now != reached {
            caught_up(&proxy).await;
        }
        if now.node != reached.node {
            of_node.leave();
            if !now.node.is_empty() {
                for class in PLAIN {
                    of_node.plain(&proxy, proxy.subjects.request(class, &app, &now.node), false).await;
                }
            }
        }
        if now != reached {
            create.leave();
            let leaving = left_creates(&proxy, std::mem::take(&mut create));
            if now.up {
                // Under a new node id at once; the old subscriptions must be gone before.
                leaving.await;
                proxy.taking_creates.send_replace(true);
                let create_of = |app: &str, node: &str| proxy.subjects.request(Class::Create, app, node);
                let subjects = [create_of("", ""), create_of(&app, &now.node), create_of(&app, "")];
                create.queue(&proxy, subjects).await;
                // Whoever hears the announcement may send at once.
                if proxy.nats_is_up()
                    && let Err(error) = proxy.nats.flush().await
                {
                    tracing::debug!(%error, "subscriptions not flushed");
                }
                proxy.announce().await;
            } else {
                leaving.await;
                if reached.up {
                    proxy.goodbye().await;
                }
            }
            reached = now;
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { break },
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    // What has been delivered is still answered; nothing new is taken.
    caught_up(&proxy).await;
    create.leave();
    of_node.leave();
    always.leave();
    create.ended().await;
    of_node.ended().await;
    always.ended().await;
}

/// Waits until everything that the server sent us so far is here: a message to ourselves comes after
/// it. The NATS library forgets a subscription at its next wake after leaving, not when the server
/// confirms, and with it what is still on its way.
async fn caught_up(proxy: &Proxy) {
    if !proxy.nats_is_up() {
        return;
    }
    let inbox = proxy.nats.new_inbox();
    let round = async {
        let mut echo = proxy.nats.subscribe(inbox.clone()).await.ok()?;
        proxy.nats.publish(inbox, bytes::Bytes::new()).await.ok()?;
        echo.next().await
    };
    // When NATS goes away meanwhile there is nothing to wait for.
    let _ = tokio::time::timeout(Duration::from_secs(1), round).await;
}

/// Waits until the queue groups of `create` are left; what was under way to us is still taken.
async fn left_creates(proxy: &Proxy, group: Group) {
    group.ended().await;
    proxy.taking_creates.send_replace(false);
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

    /// `shared`: other proxies hear the subject too.
    async fn plain(&mut self, proxy: &Arc<Proxy>, subject: String, shared: bool) {
        let subscriber = proxy.nats.subscribe(subject.clone()).await;
        let proxy = Arc::clone(proxy);
        self.follow(subject, subscriber, move |message| accept(&proxy, message, shared));
    }

    /// The queue groups of `create`, in one task, so that they are left with one write to the server:
    /// less can come after it that the library does not take any more.
    async fn queue(&mut self, proxy: &Arc<Proxy>, subjects: [String; 3]) {
        let mut all = SelectAll::new();
        for subject in subjects {
            match proxy.nats.queue_subscribe(subject.clone(), CREATE_QUEUE.to_owned()).await {
                Ok(subscriber) => all.push(subscriber),
                Err(error) => tracing::error!(subject, %error, "cannot subscribe"),
            }
        }
        let (mut leave, proxy) = (self.leave.subscribe(), Arc::clone(proxy));
        self.tasks.spawn(async move {
            // One wait for all messages.
            let leave = leave.wait_for(|leave| *leave);
            tokio::pin!(leave);
            loop {
                tokio::select! {
                    biased;
                    message = all.next() => match message {
                        Some(message) => accept(&proxy, message, false),
                        None => return,
                    },
                    _ = &mut leave => break,
                }
            }
            for subscriber in all.iter_mut() {
                // Without a connection there is nothing to leave.
                let _ = subscriber.drain().await;
            }
            while let Some(message) = all.next().await {
                accept(&proxy, message, false);
            }
        });
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
            // One wait for all messages.
            let leave = leave.wait_for(|leave| *leave);
            tokio::pin!(leave);
            loop {
                tokio::select! {
                    biased;
                    message = subscriber.next() => match message {
                        Some(message) => take(message),
                        None => return,
                    },
                    _ = &mut leave => break,
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
        if tokio::time::timeout(Duration::from_secs(2), all).await.is_err() {
            tracing::debug!("subscriptions ended without the server");
        }
    }
}
