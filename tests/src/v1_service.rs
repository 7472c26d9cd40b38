//! A REST service that keeps the resources of a Routr v1, and that can fail, hang and answer nonsense.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use crate::routr_v1::V1Document;
use crate::stream::Stream;
use crate::tls::Authority;

/// How the service behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    /// As it should.
    Good,
    /// It answers status 500.
    Fails,
    /// It takes the request and says nothing.
    Hangs,
    /// It answers, and never comes to an end.
    Endless,
    /// It answers what is no JSON.
    Nonsense,
    /// It answers JSON of another shape.
    OtherShape,
    /// It ends the connection.
    Leaves,
    /// For one collection it answers this status of HTTP and this body; otherwise as it should.
    Says(&'static str, u16, &'static str),
}

/// A running service on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct V1Service {
    at: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    documents: Vec<V1Document>,
    /// Request lines with the Authorization behind them.
    heard: Vec<String>,
    ended: bool,
}

impl V1Service {
    /// Starts one with these documents.
    pub fn start(documents: Vec<V1Document>) -> V1Service {
        V1Service::run("http", documents, |listener| listener.accept().map(|(stream, _)| Stream::Tcp(stream)))
    }

    /// Starts one over TLS, with a certificate of this authority for its address.
    pub fn start_over_tls(documents: Vec<V1Document>, authority: &Arc<Authority>) -> V1Service {
        let (authority, certificate) = (authority.clone(), authority.sign(&["127.0.0.1"]));
        V1Service::run("https", documents, move |listener| authority.accept_as(listener, certificate.clone()))
    }

    fn run(
        scheme: &'static str,
        documents: Vec<V1Document>,
        accept: impl Fn(&TcpListener) -> std::io::Result<Stream> + Send + 'static,
    ) -> V1Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("bound");
        let state = State { mood: Mood::Good, documents, heard: Vec::new(), ended: false };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            // What goes wrong with a connection is the client's affair.
            while shared.lock().is_ok_and(|state| !state.ended) {
                let (Ok(stream), state) = (accept(&listener), shared.clone()) else { continue };
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        V1Service { at, scheme, state }
    }

    /// Its base URL.
    pub fn base(&self) -> String {
        format!("{}://{}/v1/ctl", self.scheme, self.at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// From now on it behaves so.
    pub fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Its documents.
    pub fn documents(&self) -> Vec<V1Document> {
        self.state().documents.clone()
    }

    /// Changes its documents behind everybody's back.
    pub fn change(&self, change: impl FnOnce(&mut Vec<V1Document>)) {
        change(&mut self.state().documents);
    }

    /// What it was asked since the last question.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.state().heard)
    }
}

impl Drop for V1Service {
    fn drop(&mut self) {
        self.state().ended = true;
        let _ = TcpStream::connect(self.at);
    }
}

fn serve(stream: Stream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (mut length, mut authorization) = (0usize, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let first = first.trim_end();
    let stream = reader.get_mut();
    let (mood, answer) = {
        let mut state = state.lock().ok()?;
        state.heard.push(format!("{first} {authorization}"));
        let mood = state.mood;
        let answers = matches!(mood, Mood::Good | Mood::Says(..));
        (mood, if answers { state.answer(first, &body) } else { Value::Null })
    };
    let mut status = 200;
    let text = match mood {
        Mood::Says(collection, http, said) if first.contains(&format!("/{collection}")) => {
            status = http;
            said.to_owned()
        }
        Mood::Good | Mood::Says(..) => answer.to_string(),
        Mood::Fails => json!({"status": 500, "message": "The database is on fire", "result": []}).to_string(),
        Mood::Nonsense => "<html><body>It works!</body></html>".into(),
        Mood::OtherShape => json!([{"status": 200}, "agents"]).to_string(),
        Mood::Leaves => return None,
        Mood::Hangs => {
            // Until the client has had enough.
            stream.wait(Duration::from_secs(30));
            let _ = stream.read(&mut [0]);
            return None;
        }
        Mood::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
            loop {
                stream.write_all(b"1\r\n[\r\n").ok()?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(text.as_bytes()).ok()
}

impl State {
    fn answer(&mut self, first: &str, body: &[u8]) -> Value {
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/v1/ctl/").unwrap_or_default();
        let (kind, reference) = path.split_once('/').unwrap_or((path, ""));
        let mut document: Value = serde_json::from_slice(body).unwrap_or_default();
        let at = self.documents.iter().position(|(of, own, _)| of == kind && own == reference);
        match (method, at) {
            ("GET", _) => {
                let all = self.documents.iter().filter(|(of, _, _)| of == kind);
                let all: Vec<&Value> = all.map(|(_, _, document)| document).collect();
                json!({"status": 200, "message": "Successful request", "result": all})
            }
            ("POST", _) => {
                let own = document["metadata"]["ref"].as_str().unwrap_or("made-by-the-service").to_owned();
                document["metadata"]["ref"] = own.as_str().into();
                self.documents.push((kind.to_owned(), own.clone(), document));
                json!({"status": 201, "message": "Created", "result": own})
            }
            ("PUT", Some(at)) => {
                self.documents[at].2 = document;
                json!({"status": 200, "message": "Successful request", "result": reference})
            }
            ("DELETE", Some(at)) => {
                self.documents.remove(at);
                json!({"status": 200, "message": "Successful request"})
            }
            _ => json!({"status": 404, "message": "Not found"}),
        }
    }
}
