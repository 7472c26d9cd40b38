//! Tokens of a user: create, list, delete.

use serde_json::{Value, json};
use trunkline_model::Kind;
use trunkline_store::{generate_secret, hash_token};

use crate::change::apply;
use crate::command::TokenAction;
use crate::protocol::ApplyMode;
use crate::run::{Failure, Session, field, get, get_seen};
use crate::{show, time};

/// The prefix of tokens, by which a leaked one can be recognised.
const PREFIX: &str = "tl_";

/// Random characters after it, worth almost 200 bits: a fast hash does where it is stored.
const LENGTH: usize = 40;

impl Session<'_, '_> {
    pub(crate) fn tokens(&mut self, action: &TokenAction) -> Result<(), Failure> {
        match action {
            TokenAction::Create { user, name, expires } => self.create_token(user, name, *expires),
            TokenAction::List { user } => self.list_tokens(user),
            TokenAction::Delete { user, name } => self.delete_token(user, name),
        }
    }

    fn create_token(&mut self, user: &str, name: &str, expires: Option<i64>) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let (mut document, seen) = get_seen(&mut connection, Kind::User.plural(), user)?;
        let username = field(&document, "/spec/username").unwrap_or(user).to_owned();
        if tokens(&document).iter().any(|token| token.get("name") == Some(&json!(name))) {
            let remedy = format!("delete it with `trunkline users token delete {username} {name}`");
            return Err(Failure::Usage(format!("{username} has a token `{name}` already: {remedy}")));
        }
        let secret = generate_secret(LENGTH).map_err(|error| Failure::Failed(error.to_string()))?;
        let token = format!("{PREFIX}{secret}");
        let expires = expires.map(|span| time::now().saturating_add(span));
        let mut entry = json!({ "name": name, "hash": hash_token(&token) });
        if let Some(at) = expires {
            entry["expires"] = at.into();
        }
        let mut all = tokens(&document).to_vec();
        all.push(entry);
        document["spec"]["tokens"] = all.into();
        apply(&mut connection, ApplyMode::Update, &[document], vec![seen])?;
        let json = json!({ "user": username, "name": name, "token": token, "expires": expires });
        self.tell(&json, || {
            let end = expires.map(|at| format!("ends at {} UTC\n", time::utc(at))).unwrap_or_default();
            format!("created token {name} of {username}\ntoken: {token}\n{end}")
        })
    }

    fn list_tokens(&mut self, user: &str) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let document = get(&mut connection, Kind::User.plural(), user)?;
        let all = tokens(&document);
        self.tell(&json!(all), || {
            let now = time::now();
            let rows = all.iter().map(|token| {
                let expires = match token.get("expires").and_then(Value::as_i64) {
                    None => "never".to_owned(),
                    Some(at) if at <= now => format!("ended {} UTC", time::utc(at)),
                    Some(at) => format!("{} UTC", time::utc(at)),
                };
                vec![field(token, "/name").unwrap_or_default().to_owned(), expires]
            });
            show::table(&["name", "expires"], rows)
        })
    }

    fn delete_token(&mut self, user: &str, name: &str) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let (mut document, seen) = get_seen(&mut connection, Kind::User.plural(), user)?;
        let username = field(&document, "/spec/username").unwrap_or(user).to_owned();
        let before = tokens(&document).len();
        let mut left = tokens(&document).to_vec();
        left.retain(|token| field(token, "/name") != Some(name));
        if left.len() == before {
            let names: Vec<&str> = tokens(&document).iter().filter_map(|t| field(t, "/name")).collect();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Failure::Failed(format!("{username} has no token `{name}`, only: {has}")));
        }
        document["spec"]["tokens"] = left.into();
        apply(&mut connection, ApplyMode::Update, &[document], vec![seen])?;
        let json = json!({ "user": username, "deleted": name });
        self.tell(&json, || format!("deleted token {name} of {username}\n"))
    }
}

/// The tokens in a user's document.
fn tokens(document: &Value) -> &[Value] {
    document.pointer("/spec/tokens").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
