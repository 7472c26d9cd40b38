//! New resources from arguments.

use serde_json::{Map, Value, json};

use crate::command::{
    CreateAcl, CreateAgent, CreateCredentials, CreateDomain, CreateNumber, CreatePeer, CreateTrunk,
    CreateUser, New, NewPassword, UserRole,
};

/// The existing resources that a `create` looks up.
pub(crate) trait Lookup {
    /// The ref of a resource that is named by its ref or otherwise.
    fn reference(&mut self, kind: &str, name: &str) -> Result<String, String>;
    /// A password, as the operator wants it given.
    fn password(&mut self, whose: &str) -> Result<String, String>;
    /// The domain of the configuration.
    fn default_domain(&self) -> String;
}

/// A kind's arguments.
pub(crate) trait Create: clap::Args {
    /// Where the password is to come from, if there is one.
    fn password(&self) -> Option<&NewPassword> {
        None
    }
    /// Is the password one that others made, so that it must be asked for if nothing is said?
    fn asks(&self) -> bool {
        false
    }
    /// The documents to create, the one that was asked for last.
    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String>;
}

/// A document, with the name, ref and edits that were given.
fn document(kind: &str, new: &New, title: &str, spec: Value) -> Result<Value, String> {
    let reference = new.reference.clone().unwrap_or_else(|| derived_ref(kind, title));
    let mut document = json!({
        "apiVersion": "v2",
        "kind": kind,
        "ref": reference,
        "metadata": {"name": new.name.as_deref().unwrap_or(title)},
        "spec": spec,
    });
    for edit in &new.edits.set {
        crate::edit::set(&mut document, edit)?;
    }
    Ok(document)
}

/// The ref that `create` makes of a kind and a name: `agent-1003`, `trunk-my-provider`.
pub fn derived_ref(kind: &str, title: &str) -> String {
    let kind = if kind == "AccessControlList" { "acl".to_owned() } else { kind.to_lowercase() };
    let title: String =
        title.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    format!("{kind}-{}", title.trim_matches('-').to_lowercase())
}

fn credentials(username: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v2",
        "kind": "Credentials",
        "ref": derived_ref("Credentials", username),
        "metadata": {"name": username},
        "spec": {"credentials": {"username": username, "password": password}},
    })
}

/// The ref of credentials that are there, or of new ones, which come with it.
fn own_credentials(
    lookup: &mut dyn Lookup,
    given: Option<&str>,
    username: &str,
    unique: &str,
) -> Result<(String, Option<Value>), String> {
    if let Some(name) = given {
        return Ok((lookup.reference("credentials", name)?, None));
    }
    let mut made = credentials(username, &lookup.password(username)?);
    let reference = derived_ref("Credentials", unique);
    made["ref"] = reference.as_str().into();
    Ok((reference, Some(made)))
}

fn required<'a>(value: Option<&'a String>, what: &str) -> Result<&'a str, String> {
    value.map(String::as_str).ok_or_else(|| format!("{what} is missing"))
}

/// An object of what is there.
fn object(entries: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn text(value: &Option<String>) -> Option<Value> {
    value.as_deref().map(Value::from)
}

impl Create for CreateAgent {
    fn password(&self) -> Option<&NewPassword> {
        Some(&self.password)
    }

    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let username = required(self.username.as_ref(), "the user name")?;
        let host = self.domain.clone().unwrap_or_else(|| lookup.default_domain());
        let domain = lookup.reference("domains", &host)?;
        // Two domains may have the same user; the first one's refs stay short.
        let unique = match &self.domain {
            Some(other) if *other != lookup.default_domain() => format!("{username}-{other}"),
            _ => username.to_owned(),
        };
        let (reference, made) = own_credentials(lookup, self.credentials.as_deref(), username, &unique)?;
        let spec = json!({"username": username, "domainRef": domain, "credentialsRef": reference});
        let mut agent = document("Agent", new, username, spec)?;
        if new.reference.is_none() {
            agent["ref"] = derived_ref("Agent", &unique).into();
        }
        Ok(made.into_iter().chain([agent]).collect())
    }
}

impl Create for CreateDomain {
    fn documents(&self, new: &New, _: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let host = required(self.host.as_ref(), "the host")?;
        let spec = object([
            ("context", Some(json!({"domainUri": host}))),
            ("interDomain", text(&self.inter_domain)),
        ]);
        Ok(vec![document("Domain", new, host, spec)?])
    }
}

impl Create for CreatePeer {
    fn password(&self) -> Option<&NewPassword> {
        Some(&self.password).filter(|_| !self.no_credentials)
    }

    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let username = required(self.username.as_ref(), "the user name")?;
        let acl = self.acl.as_ref().map(|name| lookup.reference("acl", name)).transpose()?;
        let (reference, made) = match self.no_credentials {
            true => (None, None),
            false => {
                let (reference, made) =
                    own_credentials(lookup, self.credentials.as_deref(), username, username)?;
                (Some(reference), made)
            }
        };
        let spec = object([
            ("username", Some(username.into())),
            ("aor", text(&self.aor)),
            ("contactAddr", text(&self.contact)),
            ("credentialsRef", reference.map(Value::from)),
            ("accessControlListRef", acl.map(Value::from)),
        ]);
        let peer = document("Peer", new, username, spec)?;
        Ok(made.into_iter().chain([peer]).collect())
    }
}

impl Create for CreateTrunk {
    fn asks(&self) -> bool {
        true
    }

    fn password(&self) -> Option<&NewPassword> {
        Some(&self.password)
    }

    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let title = required(self.title.as_ref(), "the name")?;
        let acl = self.acl.as_ref().map(|name| lookup.reference("acl", name)).transpose()?;
        let (reference, made) = match (&self.user, &self.credentials) {
            (Some(user), _) => {
                let (reference, made) = own_credentials(lookup, None, user, &format!("trunk-{title}"))?;
                (Some(reference), made)
            }
            (None, Some(name)) => (Some(lookup.reference("credentials", name)?), None),
            (None, None) => (None, None),
        };
        let uri = self.host.as_ref().map(|host| {
            object([
                ("host", Some(host.as_str().into())),
                ("port", self.port.map(Value::from)),
                ("transport", text(&self.transport)),
                ("user", text(&self.user)),
            ])
        });
        let inbound = object([("uri", text(&self.inbound)), ("accessControlListRef", acl.map(Value::from))]);
        let outbound = object([
            ("sendRegister", Some(self.register.into())),
            ("credentialsRef", reference.map(Value::from)),
            ("uris", uri.map(|uri| json!([{"uri": uri}]))),
        ]);
        let trunk = document("Trunk", new, title, json!({"inbound": inbound, "outbound": outbound}))?;
        Ok(made.into_iter().chain([trunk]).collect())
    }
}

impl Create for CreateNumber {
    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let number = required(self.number.as_ref(), "the number")?;
        let number = number.strip_prefix("tel:").unwrap_or(number);
        let trunk = self.trunk.as_ref().map(|name| lookup.reference("trunks", name)).transpose()?;
        let location =
            object([("telUrl", Some(format!("tel:{number}").into())), ("aorLink", text(&self.to))]);
        let spec = object([("trunkRef", trunk.map(Value::from)), ("location", Some(location))]);
        Ok(vec![document("Number", new, number, spec)?])
    }
}

impl Create for CreateCredentials {
    fn password(&self) -> Option<&NewPassword> {
        Some(&self.password)
    }

    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let username = required(self.username.as_ref(), "the user name")?;
        let password = lookup.password(username)?;
        let spec = json!({"credentials": {"username": username, "password": password}});
        Ok(vec![document("Credentials", new, username, spec)?])
    }
}

impl Create for CreateAcl {
    fn documents(&self, new: &New, _: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let title = required(self.title.as_ref(), "the name")?;
        let spec = json!({"accessControlList": {"allow": self.allow, "deny": self.deny}});
        Ok(vec![document("AccessControlList", new, title, spec)?])
    }
}

impl Create for CreateUser {
    fn password(&self) -> Option<&NewPassword> {
        Some(&self.password)
    }

    fn documents(&self, new: &New, lookup: &mut dyn Lookup) -> Result<Vec<Value>, String> {
        let username = required(self.username.as_ref(), "the user name")?;
        let password = lookup.password(username)?;
        let hash = trunkline_store::hash_password(&password).map_err(|error| error.to_string())?;
        let role = match self.role {
            UserRole::Viewer => "viewer",
            UserRole::Operator => "operator",
            UserRole::Admin => "admin",
        };
        let spec = json!({"username": username, "role": role, "passwordHash": hash});
        Ok(vec![document("User", new, username, spec)?])
    }
}
