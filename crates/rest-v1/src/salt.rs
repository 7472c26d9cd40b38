//! The salt of the tokens, kept between starts.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why there is no salt.
#[derive(Debug, thiserror::Error)]
pub enum SaltError {
    /// The file cannot be read.
    #[error("cannot read the salt in {path}: {source} (key routrV1.saltFile)")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A new one cannot be kept.
    #[error(
        "cannot write the salt to {path}: {source} (key routrV1.saltFile; or give one: SALT, ROUTR_SALT)"
    )]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// Digits of a salt made here.
const OURS: usize = 64;

/// Was this salt made here? Then no client holds a token of Routr's, and tokens may end.
pub fn is_ours(salt: &str) -> bool {
    salt.len() == OURS && salt.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The salt in a file; makes one of 64 hexadecimal digits, for its owner's eyes only, if there is none. Routr's
/// own have 32: see [`is_ours`].
pub fn salt_in(file: &Path) -> Result<String, SaltError> {
    let path = || file.to_owned();
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SaltError::Read { path: path(), source }),
    }
    let mut random = [0u8; OURS / 2];
    getrandom::fill(&mut random).map_err(SaltError::Random)?;
    let salt: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        file.write_all(salt.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| SaltError::Write { path: path(), source })?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_and_kept_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".routr.salt");
        let first = salt_in(&file).expect("made");
        assert!(is_ours(&first), "{first}");
        assert!(!is_ours("1ecdc765b27e4b80924f4c5deeccf590"));
        assert_eq!(salt_in(&file).expect("read"), first);
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "given\n").expect("written");
        assert_eq!(salt_in(&file).expect("read"), "given");
        let error = salt_in(&folder.path().join("none/salt")).expect_err("no folder").to_string();
        assert!(error.contains("routrV1.saltFile"), "{error}");
    }
}
