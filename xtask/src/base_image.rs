//! The base of the container images, made from Debian's packages: registries of images may be out of reach, where packages
//! are not. It is kept in a cache outside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::install::{find, run};

/// The release that the images are based on, and what is installed in them.
const RELEASE: &str = "trixie";
const PACKAGES: &str = "ca-certificates,redis-server";

/// Makes the folder with the base's files, unless it is there.
pub fn install() -> Result<()> {
    let folder = folder()?;
    if folder.is_dir() {
        println!("install: {} is there", folder.display());
        return Ok(());
    }
    let program = find("debootstrap").context("debootstrap is missing")?;
    let part = folder.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    std::fs::create_dir_all(&part)?;
    let mut command = Command::new(program);
    command.args(["--variant=minbase", &format!("--include={PACKAGES}"), RELEASE]).arg(&part);
    command.args(mirror());
    run(&mut command)?;
    Ok(std::fs::rename(part, folder)?)
}

/// Where it is kept; `tests/flows/routr_v1_container.rs` reads it there.
fn folder() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    Ok(cache.context("no cache folder: set HOME")?.join("trunkline").join(format!("debian-{RELEASE}")))
}

/// The mirror that this machine has its packages from; `None` for debootstrap's own choice.
fn mirror() -> Option<String> {
    let lists = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let files = [PathBuf::from("/etc/apt/sources.list")].into_iter().chain(lists.map(|file| file.path()));
    files.filter_map(|file| std::fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

/// The first mirror of Debian itself, not of its security updates.
fn mirror_in(text: &str) -> Option<String> {
    let addresses = text.lines().filter(|line| line.starts_with("URIs:") || line.starts_with("deb "));
    let mut addresses =
        addresses.filter_map(|line| line.split_whitespace().find(|word| word.contains("://")));
    addresses.find(|url| Path::new(url.trim_end_matches('/')).ends_with("debian")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn mirrors() {
        for (text, found) in [
            (
                "Types: deb\nURIs: http://a.example/debian-security\n\nURIs: http://b.example/debian\n",
                Some("http://b.example/debian"),
            ),
            (
                "# deb http://a.example/debian x main\ndeb [signed-by=/k] https://c.example/debian/ trixie main\n",
                Some("https://c.example/debian/"),
            ),
            ("deb http://a.example/ubuntu noble main\n", None),
            ("", None),
        ] {
            assert_eq!(mirror_in(text).as_deref(), found, "{text}");
        }
    }
}
