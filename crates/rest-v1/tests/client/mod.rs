//! A site to ask: the API over documents of its own, and a small HTTP client.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use serde_json::{Value, json};
use trunkline_http::{HttpServer, RunningHttp};
use trunkline_login::Login;
use trunkline_model::dialect::v1::{self, Collection, Documents, Edition};
use trunkline_model::document::Source;
use trunkline_model::{Change, Kind, Role, User};
use trunkline_operations::{
    BanEntry, LiveCall, ManualContact, OperationError, Operations, Registration, Status, Stop,
    TrunkRegistration,
};
use trunkline_rest_v1::{Configuration, DataProvider, TokenKey, api};
use trunkline_store::{Store, Write, WriteError, hash_password};

/// The rest of the process.
pub struct Fake {
    edition: Edition,
    documents: Arc<Documents>,
    store: Arc<Store>,
    bindings: Mutex<Vec<Registration>>,
    stopped: Mutex<Option<Stop>>,
    writable: bool,
    written: Mutex<Vec<Write>>,
    calls: Mutex<Vec<LiveCall>>,
    bans: Mutex<Vec<BanEntry>>,
    drained: Mutex<bool>,
}

impl Fake {
    pub fn dismiss(&self, user: &str) {
        let gone = Change::Delete(Kind::User, format!("user-{user}").into());
        self.store.apply(vec![gone]).expect("deleted");
    }

    /// What was written since the last question.
    pub fn written(&self) -> Vec<Write> {
        std::mem::take(&mut self.written.lock().expect("unpoisoned"))
    }

    pub fn stopped(&self) -> Option<Stop> {
        *self.stopped.lock().expect("unpoisoned")
    }
}

impl Operations for Fake {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        Ok(self.store.clone())
    }

    fn status(&self) -> Status {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        let registration = TrunkRegistration {
            trunk: "gw-1".into(),
            aor: "account@sip.provider.test".into(),
            registered: true,
            until: Some(now + 540),
            answer: "200 OK".into(),
            since: 1_795_255_199,
            address: Some([192, 0, 2, 10].into()),
        };
        let refused = TrunkRegistration { registered: false, trunk: "gw-2".into(), ..registration.clone() };
        let trunk_registrations = vec![registration, refused];
        let draining = *self.drained.lock().expect("unpoisoned");
        Status { started: 1_700_000_000, trunk_registrations, draining, ..Status::default() }
    }

    fn registrations(&self, _: Option<&str>, _: usize) -> Result<Vec<Registration>, OperationError> {
        Ok(self.bindings.lock().expect("unpoisoned").clone())
    }

    fn kick(&self, aor: &str, _: Option<&str>) -> Result<usize, OperationError> {
        self.bindings.lock().expect("unpoisoned").retain(|binding| binding.aor != aor);
        Ok(1)
    }

    fn kick_all(&self) -> Result<usize, OperationError> {
        Ok(std::mem::take(&mut *self.bindings.lock().expect("unpoisoned")).len())
    }

    fn add_contact(&self, aor: &str, entry: &ManualContact) -> Result<(), OperationError> {
        let contact = format!("sip:{}@{}:{}", entry.user, entry.address, entry.port);
        let expires = entry.expires.into();
        let binding = Registration { aor: aor.into(), contact, expires, ..Registration::default() };
        self.bindings.lock().expect("unpoisoned").push(binding);
        Ok(())
    }

    fn calls(&self, _: Option<&str>, _: usize) -> Result<Vec<LiveCall>, OperationError> {
        Ok(self.calls.lock().expect("unpoisoned").clone())
    }

    fn hang_up(&self, call: &str) -> Result<LiveCall, OperationError> {
        let mut calls = self.calls.lock().expect("unpoisoned");
        let place = calls.iter().position(|one| one.call_id == call || one.id.to_string() == call);
        place.map(|place| calls.remove(place)).ok_or_else(|| OperationError::Failed("no call".into()))
    }

    fn bans(&self) -> Result<Vec<BanEntry>, OperationError> {
        Ok(self.bans.lock().expect("unpoisoned").clone())
    }

    fn unban(&self, who: &str) -> Result<Vec<BanEntry>, OperationError> {
        let mut bans = self.bans.lock().expect("unpoisoned");
        Ok(bans.extract_if(.., |ban| ban.source == who || ban.user == who).collect())
    }

    fn drain(&self, undo: bool) -> Result<(), OperationError> {
        *self.drained.lock().expect("unpoisoned") = !undo;
        Ok(())
    }

    fn recent_log(&self) -> String {
        "a line\n".into()
    }

    fn stop(&self, stop: Stop) -> Result<(), OperationError> {
        *self.stopped.lock().expect("unpoisoned") = Some(stop);
        Ok(())
    }
}

/// A configuration that is a file.
struct Fixed(Value);

impl Configuration for Fixed {
    fn shown(&self) -> Value {
        self.0.clone()
    }

    fn stored(&self) -> Option<Value> {
        None
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn change(&self, _: &Value) -> Result<(), WriteError> {
        Err(WriteError::ReadOnly)
    }
}

impl DataProvider for Fake {
    fn edition(&self) -> Edition {
        self.edition
    }

    fn documents(&self) -> Arc<Documents> {
        self.documents.clone()
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn write(&self, write: Write, _: &Arc<Documents>) -> Result<String, WriteError> {
        let gone = || WriteError::Unavailable("cannot read resources from Redis at nowhere:1".into());
        match &write {
            Write::Insert(_, document) | Write::Update(_, _, document)
                if document["metadata"]["name"] == "Unusable" =>
            {
                return Err(WriteError::Unusable("no good".into()));
            }
            Write::Insert(_, document) if document["metadata"]["name"] == "Unavailable" => return Err(gone()),
            Write::Remove(_, reference) if reference == "nobody" => return Err(WriteError::NotFound),
            Write::Insert(..) | Write::Update(..) | Write::Remove(..) => {}
        }
        let reference = match &write {
            Write::Insert(..) => "64b1f0c2a7d3e9f8b1c2d3e4".to_owned(),
            Write::Update(_, reference, _) | Write::Remove(_, reference) => reference.clone(),
        };
        self.written.lock().expect("unpoisoned").push(write);
        Ok(reference)
    }
}

fn documents(edition: Edition) -> Documents {
    let (kind, reference) = match edition {
        Edition::Rc2 => ("DID", "didRef"),
        Edition::Late => ("Number", "numberRef"),
    };
    let agent = |name: &str, user: &str, domain: &str| {
        format!(
            "- {{apiVersion: v1, kind: Agent, metadata: {{name: {name}, ref: agent-{}}}, spec: {{credentials: {{username: '{user}', secret: pw-{user}}}, domains: [{domain}]}}}}\n",
            name.to_lowercase()
        )
    };
    let files = [
        (Collection::Agents, [agent("Ann", "1001", "sip.local"), agent("Bo", "1002", "sip.local"), agent("Cy", "1003", "sip2.local")].concat()),
        (Collection::Domains, format!("- {{apiVersion: v1, kind: Domain, metadata: {{name: Office, ref: sip-local}}, spec: {{context: {{domainUri: sip.local, egressPolicy: {{rule: .*, {reference}: main-line}}}}}}}}\n- {{apiVersion: v1, kind: Domain, metadata: {{name: Branch}}, spec: {{context: {{domainUri: sip2.local}}}}}}\n")),
        (Collection::Gateways, "- {apiVersion: v1, kind: Gateway, metadata: {name: Provider, ref: provider}, spec: {host: sip.provider.net, transport: udp}}\n".into()),
        (Collection::Numbers, format!("- {{apiVersion: v1, kind: {kind}, metadata: {{name: Main line, ref: main-line, gwRef: provider}}, spec: {{location: {{telUrl: 'tel:17066041487', aorLink: 'sip:1001@sip.local'}}}}}}\n")),
    ];
    let files = files.map(|(collection, text)| (collection, Source::new("test.yml", text)));
    let loaded = v1::load(&files, edition, &mut |_, _| Err("no users".into()));
    loaded.unwrap_or_else(|report| panic!("{report}")).documents
}

/// A listener with the API, and a token for it.
pub struct Site {
    pub backend: Arc<Fake>,
    pub token: String,
    at: SocketAddr,
    _running: RunningHttp,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub json: Value,
}

impl Site {
    /// Over documents in files.
    pub fn start(edition: Edition) -> Site {
        Site::over(edition, false)
    }

    /// Over documents of a provider that takes changes.
    pub fn writable(edition: Edition) -> Site {
        Site::over(edition, true)
    }

    fn over(edition: Edition, writable: bool) -> Site {
        let store = Arc::new(Store::open("memory:").expect("a store"));
        let users = ["admin", "off"].map(|name| {
            let mut user = User::new(format!("user-{name}"), name, Role::Admin);
            user.password_hash = Some(hash_password("changeit").expect("a hash"));
            user.enabled = name == "admin";
            Change::Create(user.into())
        });
        store.apply(users.to_vec()).expect("stored");
        let binding = |user: &str, contact: &str, behind_nat: bool, expires: i64| Registration {
            aor: format!("sip:{user}@sip.local"),
            contact: contact.into(),
            behind_nat,
            expires,
            ..Registration::default()
        };
        let backend = Arc::new(Fake {
            edition,
            writable,
            documents: Arc::new(documents(edition)),
            store: store.clone(),
            bindings: Mutex::new(vec![
                binding("1002", "sip:1002@192.0.2.8", true, 60),
                binding("1001", "sip:1001@192.0.2.7:5060", false, 600),
                binding("1002", "sip:1002@192.0.2.9", false, 60),
            ]),
            stopped: Mutex::default(),
            written: Mutex::default(),
            calls: Mutex::new(vec![LiveCall {
                id: 7,
                call_id: "a84b@h".into(),
                state: "up".into(),
                ..LiveCall::default()
            }]),
            bans: Mutex::new(vec![BanEntry {
                scope: "user".into(),
                source: "192.0.2.9".into(),
                port: 5060,
                user: "1001".into(),
                since: 1,
                until: 2,
            }]),
            drained: Mutex::default(),
        });
        let key = || TokenKey::from_salt("1ecdc765b27e4b80924f4c5deeccf590").expect("a salt");
        let login = Login::new(store.live().clone()).expect("random");
        let site = trunkline_rest_v1::Site {
            provider: backend.clone(),
            login,
            tokens: key(),
            configuration: Box::new(Fixed(json!({
                "spec": {"restService": {"port": 4567, "keyStorePassword": "hush"}}, "salt": "hush", "system": {},
            }))),
            environment: vec![("SALT".into(), Some("***".into())), ("HOME".into(), None)],
        };
        let router = api(backend.clone(), site);
        let server = HttpServer::new(([127, 0, 0, 1], 0).into()).tolerant().mount(router);
        let running = server.start().expect("a free port");
        Site { backend, token: key().sign("admin", 0), at: running.address(), _running: running }
    }

    /// A request without a token.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", "")
    }

    pub fn basic(&self, path: &str, user: &str, password: &str) -> Reply {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.send("GET", path, &format!("Authorization: Basic {pair}\r\n"), "")
    }

    /// With a token; of a GET `more` is the rest of the query, of others the body.
    pub fn with_token(&self, method: &str, path: &str, more: &str) -> Reply {
        match method {
            "GET" => self.get(&format!("{path}?token={}&{more}", self.token)),
            _ => self.send(method, &format!("{path}?token={}", self.token), "", more),
        }
    }

    /// A request outside the API's own paths.
    pub fn absolute(&self, method: &str, path: &str) -> Reply {
        self.exchange(
            &format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.at),
            "",
        )
    }

    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let form =
            if headers.contains("Content-Type") { "" } else { "Content-Type: text/plain; charset=UTF-8\r\n" };
        let head = format!(
            "{method} /api/v1beta1{path} HTTP/1.1\r\nHost: {}\r\n{form}{headers}Content-Length: {}\r\n\r\n",
            self.at,
            body.len()
        );
        self.exchange(&head, body)
    }

    fn exchange(&self, head: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.at).expect("the listener");
        // What is refused for its length is not read to its end.
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Reply {
            status,
            head: head.to_owned(),
            json: serde_json::from_str(body).unwrap_or_default(),
            body: body.to_owned(),
        }
    }
}
