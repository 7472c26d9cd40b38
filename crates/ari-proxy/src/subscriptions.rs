//! The NATS subscriptions of a proxy.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
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
    always.ping(&proxy);
    for class in PLAIN {
        always.plain(&proxy, proxy.subjects.request(class, "", ""), true);
        always.plain(&proxy, proxy.subjects.request(class, &app, ""), true);
    }
    let mut state = proxy.state.subscribe();
    let mut of_node = Group::default();
    let mut create = Group::default();
    let mut reached = Reach::default();
    while !*stop.borrow() {
        let now = state.borrow_and_update().clone();
        if now.node != reached.node {
            // What is under way to us is still taken.
            drop(of_node.left(&proxy));
            if !now.node.is_empty() {
                for class in PLAIN {
                    of_node.plain(&proxy, proxy.subjects.request(class, &app, &now.node), false);
                }
            }
        }
        if now != reached {
            // Under a new node id at once; the old subscriptions must be gone before.
            within(create.left(&proxy)).await;
            proxy.taking_creates.send_replace(false);
            if now.up {
                let create_of = |app: &str, node: &str| proxy.subjects.request(Class::Create, app, node);
                for subject in [create_of("", ""), create_of(&app, &now.node), create_of(&app, "")] {
                    create.queue(&proxy, subject);
                }
                // Whoever hears the announcement may send at once.
                within(proxy.bus.flush()).await;
                proxy.taking_creates.send_replace(true);
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
    for group in [&mut create, &mut of_node, &mut always] {
        within(group.left(&proxy)).await;
    }
}

/// Waits for the server, but not for one that says nothing any more.
async fn within(answer: impl Future<Output = ()>) {
    if tokio::time::timeout(Duration::from_secs(2), answer).await.is_err() {
        tracing::debug!("subscriptions changed without an answer of the server");
    }
}

/// Subscriptions that begin and end together.
#[derive(Default)]
struct Group(Vec<u64>);

impl Group {
    fn ping(&mut self, proxy: &Arc<Proxy>) {
        let who = Arc::clone(proxy);
        let take = move |_| {
            let proxy = Arc::clone(&who);
            tokio::spawn(async move { proxy.announce().await });
        };
        self.0.push(proxy.bus.subscribe(proxy.subjects.ping(), None, take));
    }

    /// `shared`: other proxies hear the subject too.
    fn plain(&mut self, proxy: &Arc<Proxy>, subject: String, shared: bool) {
        let who = Arc::clone(proxy);
        let take = move |message| accept(&who, message, shared);
        self.0.push(proxy.bus.subscribe(subject, None, take));
    }

    /// One of the queue groups of `create`.
    fn queue(&mut self, proxy: &Arc<Proxy>, subject: String) {
        let who = Arc::clone(proxy);
        let take = move |message| accept(&who, message, false);
        self.0.push(proxy.bus.subscribe(subject, Some(CREATE_QUEUE), take));
    }

    /// Ends the subscriptions; ready when what the server had sent is taken.
    fn left(&mut self, proxy: &Proxy) -> impl Future<Output = ()> + use<> {
        proxy.bus.leave(std::mem::take(&mut self.0))
    }
}
