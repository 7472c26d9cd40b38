//! The users of `trunkline simpleauth` (`PATH_TO_AUTH`): a list of `username` and `secret`.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_model::document::{Reading, Report, Source, entries};

/// Reads the file; YAML or JSON.
pub fn read_users(source: &Arc<Source>) -> Result<HashMap<String, String>, Report> {
    let reading = Reading::default();
    let mut users = HashMap::new();
    for entry in entries(source, &reading) {
        let Some(fields) = reading.fields("the user", &entry) else { continue };
        let required = |key: &'static str| {
            let text = fields.text(key).filter(|text| !text.is_empty());
            if text.is_none() {
                fields.error(key, format!("the {key} is required"), None);
            }
            text
        };
        let (name, secret) = (required("username"), required("secret"));
        if let (Some(name), Some(secret)) = (name, secret)
            && users.insert(name.clone(), secret).is_some()
        {
            fields.error("username", format!("the user `{name}` stands twice"), None);
        }
        fields.finish_open();
    }
    reading.into_report().unless(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_languages() {
        let read =
            |text: &str| read_users(&Source::new("auth.json", text)).map_err(|report| report.to_string());
        let two =
            HashMap::from([("1001".to_owned(), "a b".to_owned()), ("1002".to_owned(), "0123".to_owned())]);
        let json =
            r#"[{"username": "1001", "secret": "a b"}, {"username": "1002", "secret": "0123", "more": 1}]"#;
        assert_eq!(read(json), Ok(two.clone()));
        assert_eq!(read("- username: 1001\n  secret: a b\n- {username: 1002, secret: 0123}\n"), Ok(two));
        for (text, expected) in [
            ("- username: a\n  secret: ''\n", "auth.json:2:11"),
            ("- {username: a}\n", "the secret is required"),
            ("- {username: a, secret: x}\n- {username: a, secret: y}\n", "stands twice"),
            ("[1]\n", "expected a map"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(expected), "{said}");
        }
    }
}
