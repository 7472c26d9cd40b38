//! Requests to one Asterisk without NATS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use trunkline_ari::{
    Dialogs, Exchange, Method, Object, Outcome, OwnedRequest, Request, RestCall, Sighting, Site, Step,
    with_dialog,
};
use trunkline_ari_rest::{Ari, AriConfig, AriError, Backoff, Download};

use crate::error::Error;
use crate::gather::NodeAnswer;

/// Events that a slow reader may be behind.
const BEHIND: usize = 16_384;

/// The longest text of a refusal.
const REFUSAL: usize = 64 << 10;

/// A frame and the dialog it is a copy for.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub dialog: Option<Arc<str>>,
    pub body: Bytes,
}

/// One Asterisk.
pub(crate) struct Direct {
    ari: Arc<Ari>,
    site: watch::Receiver<Arc<Site>>,
    up: watch::Receiver<bool>,
    dialogs: Arc<Mutex<Dialogs>>,
    frames: broadcast::Sender<Frame>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

impl Direct {
    /// Connects, waiting at most the time limit of a call for Asterisk; from then on the connection
    /// comes back by itself.
    pub(crate) async fn start(config: AriConfig, app: String) -> Result<Self, Error> {
        let timeout = config.timeout;
        let ari = Arc::new(Ari::new(config)?);
        let (set_site, site) = watch::channel(Arc::new(Site { app, node: String::new() }));
        let (set_up, mut up) = watch::channel(false);
        let (frames, _) = broadcast::channel(BEHIND);
        let stop = watch::Sender::new(false);
        let dialogs = Arc::<Mutex<Dialogs>>::default();
        let why = Arc::<Mutex<Option<AriError>>>::default();
        let keeper = Keeper {
            why: Arc::clone(&why),
            ari: Arc::clone(&ari),
            site: set_site,
            up: set_up,
            dialogs: Arc::clone(&dialogs),
            frames: frames.clone(),
        };
        let task = tokio::spawn(keeper.keep(stop.subscribe())).abort_handle();
        let reached = tokio::time::timeout(timeout, up.wait_for(|up| *up)).await.map(|up| up.is_ok());
        match reached {
            Ok(true) => {}
            Ok(false) => return Err(Error::Closed),
            Err(_) => {
                task.abort();
                return Err(why.lock().take().map_or(Error::Timeout(timeout), Error::Ari));
            }
        }
        Ok(Direct { ari, site, up, dialogs, frames, stop, task })
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.borrow())
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    pub(crate) fn frames(&self) -> broadcast::Receiver<Frame> {
        self.frames.subscribe()
    }

    /// Waits until Asterisk is there.
    pub(crate) async fn ready(&self, timeout: Duration) -> Result<(), Error> {
        let mut up = self.up.clone();
        match tokio::time::timeout(timeout, up.wait_for(|up| *up)).await.map(|up| up.is_ok()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Closed),
            Err(_) => Err(Error::Timeout(timeout)),
        }
    }

    /// Carries a request out; the answer is the one a proxy would send.
    pub(crate) async fn one(&self, request: &OwnedRequest) -> Result<NodeAnswer, Error> {
        let body = request.to_json();
        let site = self.site();
        let Ok(request) = Request::parse(&body) else {
            return Err(Error::Setting("the request cannot be read"));
        };
        let dialog = request.key().map(|k| k.dialog.clone()).unwrap_or_default();
        let (mut exchange, mut step) = Exchange::start(&request, &site);
        loop {
            for binding in exchange.bindings() {
                self.dialogs.lock().bind(&binding.kind, &binding.id, &dialog, Instant::now());
            }
            step = match step {
                Step::Call(call) => exchange.on_reply(&self.ari.call(call).await?.as_rest()),
                Step::Done(outcome) => {
                    if let Some(thing) = exchange.ended(&outcome) {
                        self.dialogs.lock().end(&thing.kind, &thing.id, Instant::now());
                    }
                    return answer(outcome);
                }
            };
        }
    }

    /// The file of a stored recording, to be read piece by piece.
    pub(crate) async fn file(&self, request: &OwnedRequest) -> Result<Download, Error> {
        let (body, site) = (request.to_json(), self.site());
        let Ok(request) = Request::parse(&body) else {
            return Err(Error::Setting("the request cannot be read"));
        };
        let (mut exchange, step) = Exchange::start(&request, &site);
        let outcome = match step {
            Step::Done(outcome) => outcome,
            Step::Call(call) => {
                let download = self.ari.open(call).await?;
                if download.is_success() {
                    return Ok(download);
                }
                match exchange.on_reply(&download.whole(REFUSAL).await?.as_rest()) {
                    Step::Done(outcome) => outcome,
                    Step::Call(_) => return Err(Error::NoData),
                }
            }
        };
        Err(Error::Refused(answer(outcome)?.refusal))
    }

    pub(crate) async fn close(&self) {
        self.stop.send_replace(true);
        let mut up = self.up.clone();
        // The socket is closed in an orderly way, which ends the application at once.
        let _ = tokio::time::timeout(Duration::from_secs(2), up.wait_for(|up| !*up)).await;
        self.task.abort();
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An outcome as a proxy would send it.
fn answer(outcome: Outcome) -> Result<NodeAnswer, Error> {
    let mut answer = NodeAnswer::read(None, &outcome.message)?;
    if let Some(said) = outcome.refusal {
        answer.refusal.status = Some(said.status);
        answer.refusal.message = said.message;
    }
    Ok(answer)
}

/// Keeps the event WebSocket open.
struct Keeper {
    ari: Arc<Ari>,
    /// Why the last attempt failed.
    why: Arc<Mutex<Option<AriError>>>,
    site: watch::Sender<Arc<Site>>,
    up: watch::Sender<bool>,
    dialogs: Arc<Mutex<Dialogs>>,
    frames: broadcast::Sender<Frame>,
}

impl Keeper {
    async fn keep(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            tokio::select! {
                ended = self.session(&mut backoff) => if let Err(error) = ended {
                    tracing::debug!(%error, "Asterisk is not there");
                    *self.why.lock() = Some(error);
                },
                _ = stop.wait_for(|stop| *stop) => {
                    self.up.send_replace(false);
                    return;
                }
            }
            self.up.send_replace(false);
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> Result<(), AriError> {
        let app = self.site.borrow().app.clone();
        let mut events = self.ari.events(&app, false).await?;
        let path = "/asterisk/info".to_owned();
        let info = RestCall { method: Method::Get, path, body: None, file: false };
        let reply = self.ari.call(info).await?;
        let system = Object::parse(&reply.body).ok().and_then(|i| i.object("system"));
        let node =
            system.and_then(|s| s.text("entity_id").ok().map(|id| id.into_owned())).unwrap_or_default();
        self.site.send_replace(Arc::new(Site { app, node }));
        self.up.send_replace(true);
        backoff.reset();
        loop {
            self.take(&events.next().await?);
        }
    }

    fn take(&self, frame: &Bytes) {
        let Ok(sighting) = Sighting::read(frame) else { return };
        // Nobody may be reading; then the frame is for nobody.
        let _ = self.frames.send(Frame { dialog: None, body: frame.clone() });
        let now = Instant::now();
        let mut dialogs = self.dialogs.lock();
        for dialog in dialogs.of_any(&sighting.things, now) {
            let body = with_dialog(frame, &dialog).into();
            let _ = self.frames.send(Frame { dialog: Some(dialog), body });
        }
        if let Some((kind, id)) = sighting.ended() {
            dialogs.end(kind, id, now);
        }
    }
}
