//! `restful_data_provider`: a REST service of the operator that answers like Routr's API.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hyper::{Method, Uri};
use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};

use super::http::{Http, HttpAnswer};
use super::provider::{
    Access, Failure, Last, Provider, Reading, Texts, Write, WriteError, ref_of, set_ref, text_of,
};
use crate::error::StoreError;

/// A question that only reads is asked this often.
const TRIES: u32 = 2;

/// Before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// More documents of a kind than anybody has.
const MOST: usize = 1_000_000;

/// More values in an answer than documents of that length have.
const MOST_VALUES: usize = 4_000_000;

/// Who it is asked as.
const LOGIN: &str = "user name and password are `username` and `secret` of `spec.dataSource.parameters`, or the variables \
                     TRUNKLINE_ROUTR_V1_PROVIDER_USERNAME and TRUNKLINE_ROUTR_V1_PROVIDER_SECRET";

/// A REST service.
#[derive(Debug)]
pub(crate) struct Rest {
    http: Http,
    /// The path of the base URL.
    path: String,
    name: String,
    poll: Duration,
    seen: Option<Instant>,
    last: Last,
}

impl Rest {
    /// Of its base URL; does not connect yet.
    pub fn new(base: &str, access: &Access) -> Result<Rest, StoreError> {
        // What stands before an `@` may be a password.
        let shown = match base.rsplit_once('@') {
            Some((_, rest)) => format!("…@{rest}"),
            None => base.to_owned(),
        };
        let wrong = |why: String| StoreError::BaseUrl { url: shown.clone(), why };
        let uri: Uri =
            base.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(error.to_string()))?;
        Ok(Rest {
            http: Http::new(&uri, access).map_err(wrong)?,
            path: uri.path().trim_end_matches('/').to_owned(),
            name: format!("the REST service {base}"),
            poll: access.poll,
            seen: None,
            last: Last::default(),
        })
    }

    fn unreachable(&self, why: String) -> StoreError {
        StoreError::Unreachable { what: self.name.clone(), why }
    }

    /// The documents of a collection; inside, what an answer says instead.
    fn list(&self, collection: Collection) -> Result<Result<Texts, Failure>, StoreError> {
        let name = name_of(collection);
        let path = format!("{}/{name}?filter=*", self.path);
        let mut why = Ok(Failure { collection, why: String::new(), may_be_empty: false });
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            match self.http.ask(Method::GET, &path, None).map(|answer| documents(&answer)) {
                Ok(Ok(found)) => return Ok(Ok(self.texts(collection, &found))),
                Ok(Err((error, may_be_empty))) => {
                    why = Ok(Failure { collection, why: format!("{name}: {error}"), may_be_empty });
                }
                Err(error) => why = Err(self.unreachable(format!("{name}: {error}"))),
            }
        }
        why.map(Err)
    }

    fn texts(&self, collection: Collection, found: &[Value]) -> Texts {
        let (mut refs, mut texts) = (HashSet::new(), Texts::new());
        for document in found {
            let reference = ref_of(document).unwrap_or("a document without a ref");
            // The same one twice, as on a page that moved, is one.
            if ref_of(document).is_none() || refs.insert(reference.to_owned()) {
                texts.push((collection, text_of(&self.name, reference, document)));
            }
        }
        texts
    }

    /// Does the service have what is known of a collection? It has no condition for a change: this narrows the time in which two
    /// changes could meet.
    fn has_still(&self, collection: Collection, known: &Texts) -> Result<bool, WriteError> {
        let unavailable = |error: StoreError| WriteError::Unavailable(error.to_string());
        let now = match self.list(collection).map_err(unavailable)? {
            Ok(now) => now,
            Err(failure) if failure.may_be_empty => Texts::new(),
            Err(failure) => return Err(unavailable(self.unreachable(failure.why))),
        };
        let known: Texts = known.iter().filter(|(of, _)| *of == collection).cloned().collect();
        let mut last = Last::default();
        last.differ(&known);
        Ok(!last.differ(&now))
    }

    fn change(&self, method: Method, path: String, body: String) -> Result<Value, WriteError> {
        // Asked once: the service may have done it although its answer was lost.
        let asked = self.http.ask(method, &format!("{}/{path}", self.path), Some(body));
        let unavailable = |why: String| WriteError::Unavailable(self.unreachable(why).to_string());
        let asked = asked.map_err(unavailable)?;
        let answer = read(&asked).map_err(unavailable)?;
        if asked.status >= 500 && answer.status < 300 {
            return Err(unavailable(format!("HTTP status {}", asked.status)));
        }
        match answer.status {
            200 | 201 => Ok(answer.payload),
            404 => Err(WriteError::NotFound),
            status => Err(WriteError::Refused { status, message: answer.message }),
        }
    }
}

/// The content of an answer.
struct Said {
    status: u16,
    message: String,
    payload: Value,
}

/// Reads `{status, message, result}`.
fn read(answer: &HttpAnswer) -> Result<Said, String> {
    // In memory each value takes ten times its text, if that is short.
    let values = answer.body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if values > MOST_VALUES {
        return Err(format!("an answer of {values} values, more than {MOST_VALUES}"));
    }
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("HTTP status {}, and a body that is not JSON: {error}", answer.status))?;
    // Routr itself writes some statuses as text.
    let status = match &body["status"] {
        Value::Number(n) => n.as_u64().and_then(|n| u16::try_from(n).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let status = status.ok_or("a body without `status`")?;
    let payload = ["result", "data"].into_iter().find_map(|key| body.get(key)).cloned().unwrap_or_default();
    let message = body["message"].as_str().unwrap_or("Bad request").chars().take(500).collect();
    Ok(Said { status, message, payload })
}

/// The documents of an answer; otherwise what it says instead, and whether the service may have no such collection.
fn documents(answer: &HttpAnswer) -> Result<Vec<Value>, (String, bool)> {
    let fails = |why: String| Err((why, false));
    if let 401 | 403 = answer.status {
        return fails(format!("HTTP status {}; {LOGIN}", answer.status));
    }
    let said = read(answer).map_err(|why| (why, false))?;
    match (answer.status, said.status, said.payload) {
        // Routr's own API, which such a service follows, has no endpoint for users.
        (200..=299 | 404, 404, _) => Err(("status 404".into(), true)),
        (200..=299, 200, Value::Array(items)) if items.len() > MOST => {
            fails(format!("{} documents, more than {MOST}", items.len()))
        }
        (200..=299, 200, Value::Array(items)) => Ok(items),
        (200..=299, 200, _) => fails("a `result` that is not a list".into()),
        (200..=299, status @ (401 | 403), _) => fails(format!("status {status}: {}; {LOGIN}", said.message)),
        (200..=299, status, _) => fails(format!("status {status}: {}", said.message)),
        (http, _, _) => fails(format!("HTTP status {http}")),
    }
}

/// The name of a collection in paths: that of the early editions, which alone had this provider.
fn name_of(collection: Collection) -> &'static str {
    collection.names().first().copied().unwrap_or_default()
}

/// A ref in a path.
fn escaped(reference: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    reference.bytes().fold(String::new(), |mut text, byte| {
        match kept(byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

impl Provider for Rest {
    fn read(&mut self) -> Result<Option<Reading>, StoreError> {
        if self.seen.is_some_and(|at| at.elapsed() < self.poll) {
            return Ok(None);
        }
        let mut reading = Reading::default();
        for collection in Collection::ALL {
            match self.list(collection)? {
                Ok(found) => reading.texts.extend(found),
                Err(failure) => reading.failed.push(failure),
            }
        }
        let is_none = reading.failed.len() == Collection::ALL.len();
        if let Some(failure) = reading.failed.iter().find(|failure| is_none && !failure.may_be_empty) {
            return Err(self.unreachable(failure.why.clone()));
        }
        // One that failed is asked again with the next look.
        self.seen = Some(Instant::now());
        Ok(self.last.changed(reading))
    }

    fn write(&mut self, write: &Write, known: &Texts) -> Result<String, WriteError> {
        let (Write::Insert(of, _) | Write::Update(of, ..) | Write::Remove(of, _)) = write;
        if !self.has_still(*of, known)? {
            return Err(WriteError::Changed);
        }
        match write {
            Write::Insert(collection, document) => {
                let path = name_of(*collection).to_owned();
                let payload = self.change(Method::POST, path, document.to_string())?;
                let given = payload.as_str().map(str::to_owned);
                let reference = given.or_else(|| ref_of(document).map(str::to_owned));
                reference.ok_or_else(|| WriteError::Refused {
                    status: 500,
                    message: format!("{} created it without returning its ref", self.name),
                })
            }
            Write::Update(collection, reference, document) => {
                let path = format!("{}/{}", name_of(*collection), escaped(reference));
                // A service keeps what it gets: without its ref nobody would find the document again.
                let mut document = document.clone();
                set_ref(&mut document, reference);
                self.change(Method::PUT, path, document.to_string())?;
                Ok(reference.clone())
            }
            Write::Remove(collection, reference) => {
                let path = format!("{}/{}", name_of(*collection), escaped(reference));
                // The body that Routr sends, which a service may look at.
                self.change(Method::DELETE, path, "\"noobj\"".into())?;
                Ok(reference.clone())
            }
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn has_now(&mut self, texts: &Texts) {
        self.last.differ(texts);
    }

    fn forget(&mut self) {
        (self.seen, self.last) = (None, Last::default());
    }

    fn edition(&self) -> Option<Edition> {
        Some(Edition::Rc2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<Vec<Value>, (String, bool)> {
        documents(&HttpAnswer { status: 200, body: body.to_owned().into() })
    }

    #[test]
    fn answers_good_and_bad() {
        assert_eq!(answer(r#"{"status":200,"message":"ok","result":[{"a":1}]}"#).map(|d| d.len()), Ok(1));
        assert_eq!(answer(r#"{"status":"200","data":[]}"#).map(|d| d.len()), Ok(0));
        assert_eq!(answer(r#"{"status":404,"message":"Not found"}"#), Err(("status 404".into(), true)));
        for status in [404, 500, 302] {
            let body = r#"{"status":200,"message":"ok","result":[]}"#.to_owned().into();
            assert!(documents(&HttpAnswer { status, body }).is_err_and(|(_, may_be_empty)| !may_be_empty));
        }
        for bad in [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"result":[]}"#,
            r#"{"status":99999999,"result":[]}"#,
            r#"{"status":-1,"result":[]}"#,
            r#"{"status":200,"result":{"a":[]}}"#,
            r#"{"status":500,"message":"down","result":[]}"#,
            &"[".repeat(100_000),
            &format!(r#"{{"status":200,"result":[{}{{}}]}}"#, "{},".repeat(2_000_000)),
        ] {
            assert!(answer(bad).is_err(), "{}", bad.get(..20).unwrap_or(bad));
        }
        assert_eq!(escaped("a/../b?x é"), "a%2F..%2Fb%3Fx%20%C3%A9");
    }

    #[test]
    fn bases() {
        let new = |base: &str| Rest::new(base, &Access::default()).map(|rest| rest.path);
        assert_eq!(new("http://localhost:8080/v1/ctl/").expect("good"), "/v1/ctl");
        assert_eq!(new("http://[::1]:1").expect("good"), "");
        let error = new("http://ann:hush@host/").expect_err("a password").to_string();
        assert!(error.contains("must not be in the URL") && !error.contains("hush"), "{error}");
        for bad in ["ftp://a/", "localhost:8080", "http://user:pw@host/", "", "/v1"] {
            assert!(matches!(new(bad), Err(StoreError::BaseUrl { .. })), "{bad}");
        }
    }
}
