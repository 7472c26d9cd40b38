//! File modes: who can read secrets, and who can change what the exchange believes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use trunkline_config::Origin;

use crate::facts::Facts;
use crate::finding::Findings;

/// Bits of a mode: others may read or write; the group may write.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let before = out.list.len();
    if let Some(file) = &facts.file {
        judge(file, holds_secrets(facts), out);
    }
    for file in secret_files(facts) {
        judge(&file, true, out);
    }
    for file in public_files(facts) {
        judge(&file, false, out);
    }
    if out.list.len() == before {
        out.ok("no file with secrets can be read, and none can be changed, by other users");
    }
}

/// Does the operator's configuration contain a secret?
fn holds_secrets(facts: &Facts) -> bool {
    let secret = |path: &str| {
        ["password", "secret", "salt"].iter().any(|word| path.to_ascii_lowercase().ends_with(word))
    };
    let written = |origin: &Origin| matches!(origin, Origin::File(_));
    facts.loaded.values.iter().any(|value| secret(&value.path) && written(&value.origin))
}

/// Files with passwords and keys.
fn secret_files(facts: &Facts) -> Vec<PathBuf> {
    let config = facts.config();
    let url = config.store_url();
    let mut files = Vec::new();
    if let Some(database) = config.database_file() {
        for suffix in ["-wal", "-shm"] {
            let mut name = database.as_os_str().to_owned();
            name.push(suffix);
            files.push(name.into());
        }
        files.extend(["secret", "key", "routr-v1"].map(|extension| database.with_extension(extension)));
        files.push(database);
    }
    let folders = ["files:", "routr-v1:", "routr-v1-rc2:"];
    if let Some(path) = folders.iter().find_map(|scheme| url.strip_prefix(scheme)) {
        files.extend(trunkline_store::resource_files(Path::new(path)).unwrap_or_default());
    }
    files.extend(url.strip_prefix("sqlite:").map(PathBuf::from));
    let tls = &config.tls;
    files.extend(tls.key.clone().into_iter().chain(tls.pkcs12.file.clone()));
    files.extend(tls.certificates.iter().map(|pair| pair.key.clone()));
    files.extend(config.events.webhook.secret_file.clone());
    files.push(config.routr_v1.salt_file.clone());
    files.push(config.control_socket());
    files.sort();
    files.dedup();
    files
}

/// Files without secrets that decide whom the exchange believes.
fn public_files(facts: &Facts) -> Vec<PathBuf> {
    let tls = &facts.config().tls;
    let mut files: Vec<PathBuf> =
        [&tls.cert, &tls.client_ca, &tls.trusted_ca].into_iter().flatten().cloned().collect();
    files.extend(tls.certificates.iter().map(|pair| pair.cert.clone()));
    files
}

fn judge(file: &Path, secret: bool, out: &mut Findings) {
    let Ok(data) = file.metadata() else { return };
    let (mode, name) = (data.permissions().mode(), file.display());
    if mode & OTHERS_WRITE != 0 {
        let means = "every user of this host can change what the exchange does";
        out.error(
            format!("{name} can be written by all users (mode {:o})", mode & 0o777),
            means,
            &fix(file, secret),
        );
    } else if secret && mode & OTHERS_READ != 0 {
        let means = "every user of this host can read passwords or keys";
        out.error(
            format!("{name} can be read by all users (mode {:o})", mode & 0o777),
            means,
            &fix(file, secret),
        );
    }
}

fn fix(file: &Path, secret: bool) -> String {
    format!("chmod {} {}", if secret { "600" } else { "644" }, file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("trunkline.db");
        std::fs::write(&file, "").expect("written");
        let found = |mode, secret| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("of our file");
            let mut out = Findings::of("modes");
            judge(&file, secret, &mut out);
            out.list.pop().map(|f| (f.what, f.fix))
        };
        assert_eq!(found(0o640, true), None);
        assert_eq!(found(0o644, false), None);
        let (what, fix) = found(0o644, true).expect("a finding");
        assert!(what.contains("mode 644") && fix.starts_with("chmod 600 "), "{what}, {fix}");
        assert!(found(0o666, false).is_some_and(|(what, _)| what.contains("can be written")));
    }
}
