//! The variables of the process that Routr v1 reads, for its API.

use trunkline_config::Env;
use trunkline_model::dialect::v1::Edition;
use trunkline_rest_v1::{is_secret, without_secret_parameters};

/// The variables that early editions list, set or not.
const EARLY: [&str; 8] = [
    "ROUTR_JAVA_OPTS",
    "ROUTR_DS_PROVIDER",
    "ROUTR_DS_PARAMETERS",
    "ROUTR_CONFIG_PATH",
    "ROUTR_SALT",
    "ROUTR_EXTERN_ADDR",
    "ROUTR_LOCALNETS",
    "ROUTR_REGISTRAR_INTF",
];

/// The variables and their values, secrets masked.
pub fn environment(edition: Edition, env: &Env) -> Vec<(String, Option<String>)> {
    match edition {
        Edition::Rc2 => EARLY
            .map(|name| {
                let value = std::env::var(name).ok();
                (name.to_owned(), value.map(|value| masked(name, &value)))
            })
            .to_vec(),
        Edition::Late => {
            let set = env.of_routr_v1();
            set.map(|(name, value)| (name.to_owned(), Some(masked(name, value)))).collect()
        }
    }
}

/// Values that nobody who may look is to see.
fn masked(name: &str, value: &str) -> String {
    if is_secret(name) { "***".to_owned() } else { without_secret_parameters(value).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_masked() {
        for (name, value, shown) in [
            ("SALT", "abc", "***"),
            ("ROUTR_SALT", "abc", "***"),
            ("SALT_FILE", "/etc/salt", "/etc/salt"),
            ("REST_SERVICE_KEY_STORE_PASSWORD", "abc", "***"),
            ("INITIAL_API_SECRET", "abc", "***"),
            ("DATA_SOURCE_PARAMETERS", "host=a,secret = b", "host=a"),
            ("EXTERN_ADDR", "192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(masked(name, value), shown, "{name}");
        }
    }
}
