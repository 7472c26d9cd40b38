//! The environment variables of Routr v1. They override the file; ours override them.

use trunkline_model::dialect::v1::Edition;
use trunkline_model::document::{Content, Node, Place, Source};

use super::nodes::{Tree, set, text};
use crate::keys::Env;

/// How a variable's text is read.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    /// With commas between.
    List,
}

/// The name in late editions, that of the early ones without `ROUTR_` (if there was one), the key, the form.
const KEYS: &[(&str, &str, &str, Form)] = &[
    ("EXTERN_ADDR", "EXTERN_ADDR", "spec.externAddr", Form::Text),
    ("LOCALNETS", "LOCALNETS", "spec.localnets", Form::List),
    ("DATA_SOURCE_PROVIDER", "DS_PROVIDER", "spec.dataSource.provider", Form::Text),
    ("DATA_SOURCE_PARAMETERS", "DS_PARAMETERS", "spec.dataSource.parameters", Form::Text),
    ("REGISTRAR_INTF", "REGISTRAR_INTF", "spec.registrarIntf", Form::Text),
    ("USER_AGENT", "", "metadata.userAgent", Form::Text),
    ("BIND_ADDR", "", "spec.bindAddr", Form::Text),
    ("RECORD_ROUTE", "", "spec.recordRoute", Form::Text),
    ("USE_TO_AS_AOR", "", "spec.useToAsAOR", Form::Text),
    ("ACCESS_CONTROL_LIST_ALLOW", "", "spec.accessControlList.allow", Form::List),
    ("ACCESS_CONTROL_LIST_DENY", "", "spec.accessControlList.deny", Form::List),
    ("REST_SERVICE_BIND_ADDR", "", "spec.restService.bindAddr", Form::Text),
    ("REST_SERVICE_PORT", "", "spec.restService.port", Form::Text),
    ("REST_SERVICE_UNSECURED", "", "spec.restService.unsecured", Form::Text),
    ("REST_SERVICE_MIN_THREADS", "", "spec.restService.minThreads", Form::Text),
    ("REST_SERVICE_MAX_THREADS", "", "spec.restService.maxThreads", Form::Text),
    ("REST_SERVICE_TIMEOUT_MILLIS", "", "spec.restService.timeoutMillis", Form::Text),
    ("REST_SERVICE_KEY_STORE", "", "spec.restService.keyStore", Form::Text),
    ("REST_SERVICE_KEY_STORE_PASSWORD", "", "spec.restService.keyStorePassword", Form::Text),
    ("REST_SERVICE_TRUST_STORE", "", "spec.restService.trustStore", Form::Text),
    ("REST_SERVICE_TRUST_STORE_PASSWORD", "", "spec.restService.trustStorePassword", Form::Text),
    ("SECURITY_CONTEXT_KEY_STORE", "", "spec.securityContext.keyStore", Form::Text),
    ("SECURITY_CONTEXT_KEY_STORE_PASSWORD", "", "spec.securityContext.keyStorePassword", Form::Text),
    ("SECURITY_CONTEXT_TRUST_STORE", "", "spec.securityContext.trustStore", Form::Text),
    ("SECURITY_CONTEXT_KEY_STORE_TYPE", "", "spec.securityContext.keyStoreType", Form::Text),
    ("SECURITY_CONTEXT_CLIENT_AUTH_TYPE", "", "spec.securityContext.client.authType", Form::Text),
    ("SECURITY_CONTEXT_CLIENT_PROTOCOLS", "", "spec.securityContext.client.protocols", Form::List),
    ("SECURITY_CONTEXT_DEBUGGING", "", "spec.securityContext.debugging", Form::Text),
    ("EX_RTP_ENGINE_ENABLED", "", "spec.ex_rtpEngine.enabled", Form::Text),
    ("EX_RTP_ENGINE_PROTO", "", "spec.ex_rtpEngine.proto", Form::Text),
    ("EX_RTP_ENGINE_HOST", "", "spec.ex_rtpEngine.host", Form::Text),
    ("EX_RTP_ENGINE_PORT", "", "spec.ex_rtpEngine.port", Form::Text),
    ("EX_CONVERT_TEL_TO_E164", "", "spec.ex_convertTelToE164", Form::Text),
    ("EX_UNIQUE_GATEWAY_PER_HOST_PORT", "", "spec.ex_uniqueGatewayPerHostPort", Form::Text),
    ("EX_KAFKA_ENABLED", "", "spec.ex_kafka.enabled", Form::Text),
];

/// Variables that are no keys.
const OTHERS: [&str; 8] = [
    "CONFIG_FILE",
    "ROUTR_CONFIG_FILE",
    "SALT",
    "ROUTR_SALT",
    "SALT_FILE",
    "HOME",
    "INITIAL_API_SECRET",
    DEFAULT_PROVIDER,
];

/// The data provider of a configuration that names none. A variable of ours, for images.
pub(super) const DEFAULT_PROVIDER: &str = "ROUTR_DEFAULT_DS_PROVIDER";

/// Does this name mean something where a configuration of Routr v1 runs?
pub(crate) fn is_variable(name: &str) -> bool {
    let early = name.strip_prefix("ROUTR_");
    OTHERS.contains(&name)
        || KEYS.iter().any(|(late, other, ..)| {
            *late == name || !other.is_empty() && early.is_some_and(|early| early == *other)
        })
}

/// The variable for a key, and its text. Names without `ROUTR_` are common words, which count in late editions alone;
/// an empty one counts as unset.
fn find<'e>(env: &'e Env, late: &str, early: &str, edition: Edition) -> Option<(String, &'e str)> {
    let prefixed = (!early.is_empty()).then(|| format!("ROUTR_{early}"));
    let plain = (edition == Edition::Late).then(|| late.to_owned());
    [prefixed, plain].into_iter().flatten().find_map(|name| {
        env.get(&name).filter(|text| !text.trim().is_empty()).map(|text| (name.clone(), text))
    })
}

pub(super) fn place(name: &str) -> Place {
    Place::whole(Source::new(format!("environment variable {name}"), ""))
}

/// The document with the variables in it.
pub(super) fn overlay(root: &Node, env: &Env, edition: Edition) -> Node {
    let mut root = root.clone();
    for (late, early, path, form) in KEYS {
        let Some((name, value)) = find(env, late, early, edition) else { continue };
        let place = place(&name);
        let node = match form {
            Form::Text => text(value.trim(), &place),
            Form::List => {
                let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
                Node { content: Content::List(items.map(|item| text(item, &place)).collect()), place }
            }
        };
        set(&mut root, path, node);
    }
    root
}

/// The text of a variable that stands for `path`, in whatever edition.
pub(super) fn of_path<'e>(env: &'e Env, path: &str) -> Option<&'e str> {
    let (late, early, ..) = KEYS.iter().find(|(_, _, of, _)| *of == path)?;
    find(env, late, early, Edition::Late).map(|(_, text)| text)
}

/// The salt of the REST API's tokens: given, or the file it is kept in; the secret of its first user.
pub(super) fn secrets(env: &Env, edition: Edition, tree: &mut Tree) {
    if let Some((name, value)) = find(env, "SALT", "SALT", edition) {
        tree.set("routrV1.salt", text(value.trim(), &place(&name)));
    }
    // Late releases have it; in early ones it does no harm, as the name says what it is.
    if let Some(value) = env.get("INITIAL_API_SECRET").filter(|value| !value.is_empty()) {
        tree.set("routrV1.initialSecret", text(value, &place("INITIAL_API_SECRET")));
    }
    match (edition, env.get("SALT_FILE"), env.get("HOME")) {
        (Edition::Late, Some(file), _) if !file.is_empty() => {
            tree.set("routrV1.saltFile", text(file, &place("SALT_FILE")));
        }
        (Edition::Rc2, _, Some(home)) if !home.is_empty() => {
            let file = std::path::Path::new(home).join(".routr.salt");
            tree.set("routrV1.saltFile", text(file.display().to_string(), &place("HOME")));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_are_read() {
        for name in ["EXTERN_ADDR", "ROUTR_DS_PROVIDER", "ROUTR_SALT", "REST_SERVICE_PORT", "CONFIG_FILE"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["PATH", "ROUTR_", "ROUTR_REST_SERVICE_PORT", "DS_PROVIDER", ""] {
            assert!(!is_variable(name), "{name}");
        }
    }

    #[test]
    fn common_words_count_in_late_editions_alone() {
        let env = Env::from([
            ("BIND_ADDR", "192.0.2.1"),
            ("ROUTR_EXTERN_ADDR", "192.0.2.2"),
            ("EXTERN_ADDR", "192.0.2.3"),
        ]);
        let found = |late, early, edition| find(&env, late, early, edition).map(|(name, _)| name);
        assert_eq!(found("BIND_ADDR", "", Edition::Rc2), None);
        assert_eq!(found("BIND_ADDR", "", Edition::Late).as_deref(), Some("BIND_ADDR"));
        for edition in [Edition::Rc2, Edition::Late] {
            let name = found("EXTERN_ADDR", "EXTERN_ADDR", edition);
            assert_eq!(name.as_deref(), Some("ROUTR_EXTERN_ADDR"));
        }
    }
}
