//! Weak secrets. They are never printed.

use std::collections::HashMap;

use trunkline_cli::quoted;
use trunkline_model::{Ref, SHORT_PASSWORD, Tables, is_common_password};
use trunkline_store::common_user_passwords;

use super::trust::is_v1;
use crate::facts::Facts;
use crate::finding::Findings;

/// Digits alone are found by trying, up to this length.
const DIGITS: usize = 12;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let Some(tables) = facts.tables() else { return };
    let mut used: HashMap<&str, Vec<String>> = HashMap::new();
    let before = out.list.len();
    for credentials in tables.all_credentials() {
        let (owners, is_carriers) = owners(tables, &credentials.reference);
        // What a carrier gave us is not ours to choose.
        if is_carriers && owners.is_empty() {
            continue;
        }
        used.entry(&credentials.password).or_default().push(credentials.username.clone());
        let Some(why) = weakness(&credentials.username, &credentials.password) else { continue };
        let whose = if owners.is_empty() { "nobody's".into() } else { owners.join(", ") };
        out.error(
            format!("credentials {} ({whose}): the password {why}", credentials.reference),
            "it is found by guessing, or from one digest that is overheard; then strangers call at your expense",
            &match is_v1(facts.config()) {
                true => "change `spec.credentials.secret` of the document that has it".to_owned(),
                false => format!(
                    "trunkline credentials update {} --generate-password",
                    quoted(credentials.reference.as_str())
                ),
            },
        );
    }
    for users in used.into_values().filter(|users| users.len() > 1) {
        let few: Vec<_> = users.iter().take(5).map(String::as_str).collect();
        out.warning(
            format!("{} accounts have the same password ({})", users.len(), few.join(", ")),
            "who knows one knows all",
            match is_v1(facts.config()) {
                true => "change `spec.credentials.secret` of the documents that have it",
                false => "trunkline credentials update NAME --generate-password",
            },
        );
    }
    for found in common_user_passwords(tables) {
        out.error(
            format!("user {}: the password {}", found.username, found.why),
            "anyone who reaches the API or the console can log in with it and change everything",
            match is_v1(facts.config()) {
                true => "change `spec.credentials.secret` of the User",
                false => "trunkline users update NAME --prompt-password",
            },
        );
    }
    if out.list.len() == before {
        out.ok("no password is short, common, or the user name");
    }
}

/// Who has these credentials; and are they a trunk's own at its carrier?
fn owners(tables: &Tables, reference: &Ref) -> (Vec<String>, bool) {
    let has = |credentials: &Option<Ref>| credentials.as_ref() == Some(reference);
    let agents = tables.agents().filter(|a| has(&a.credentials)).map(|a| format!("agent {}", a.username));
    let peers = tables.peers().filter(|p| has(&p.credentials)).map(|p| format!("peer {}", p.username));
    let inbound =
        tables.trunks().filter(|t| has(&t.inbound_credentials)).map(|t| format!("trunk {}", t.name));
    let is_carriers = tables.trunks().any(|t| has(&t.outbound_credentials));
    (agents.chain(peers).chain(inbound).collect(), is_carriers)
}

/// Why a password is weak.
fn weakness(user: &str, password: &str) -> Option<String> {
    let (user, password) = (user.to_lowercase(), password.to_lowercase());
    let length = password.chars().count();
    let reversed: String = user.chars().rev().collect();
    if password == user || password == reversed {
        return Some("is the user name".into());
    }
    if is_common_password(&password) {
        return Some("is one of the most common ones".into());
    }
    if length < SHORT_PASSWORD {
        return Some(format!("has {length} characters"));
    }
    let rest = password.strip_prefix(&user).or_else(|| password.strip_suffix(&user)).unwrap_or(&password);
    if !user.is_empty() && rest.len() < password.len() && rest.chars().count() < 6 {
        return Some("is the user name with a few characters more".into());
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return Some("repeats one character".into());
    }
    let digits = password.chars().all(|c| c.is_ascii_digit()) && length < DIGITS;
    digits.then(|| format!("consists of {length} digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(user: &str, password: &str) -> bool {
        weakness(user, password).is_some()
    }

    #[test]
    fn weak_ones_are_found() {
        for password in [
            "1001",
            "short",
            "Password123",
            "1001abc",
            "abc1001",
            "aaaaaaaaaaaa",
            "123409873",
            "operator",
            "1001!!!!",
        ] {
            assert!(weak("1001", password), "{password}");
        }
        assert!(weak("telefon-one", "eno-nofelet"));
        for password in ["kT7-mq2VxPz9", "correct horse battery", "981273645091", "1001-kT7mq2Vx"] {
            assert!(!weak("1001", password), "{password}");
        }
    }
}
