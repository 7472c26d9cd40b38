//! The secret that signs dialogs. It is stored next to the database, so that dialogs survive a restart.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Reads the secret, or makes one; without a file it lives as long as the process.
pub fn load(file: Option<&Path>) -> Result<[u8; 16]> {
    let mut secret = [0u8; 16];
    let Some(file) = file else {
        getrandom::fill(&mut secret).context("no random numbers from the system")?;
        return Ok(secret);
    };
    match OpenOptions::new().read(true).open(file) {
        Ok(mut f) => {
            let mut bytes = Vec::new();
            f.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", file.display()))?;
            match bytes.try_into() {
                Ok(secret) => Ok(secret),
                Err(_) => {
                    bail!("{} is not 16 bytes long: remove it, and calls under way end", file.display())
                }
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            getrandom::fill(&mut secret).context("no random numbers from the system")?;
            let mut f = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .with_context(|| format!("cannot make {}", file.display()))?;
            f.write_all(&secret).with_context(|| format!("cannot write {}", file.display()))?;
            Ok(secret)
        }
        Err(e) => Err(e).with_context(|| format!("cannot open {}", file.display())),
    }
}
