//! Dialogs made by chance against the rules of trust: the long run, and whether it would find a rule that is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;

/// Where each patch that takes one rule out of the exchange lies.
const HOLES: &str = "tests/trust/holes";
/// How many dialogs a hole has to hide in at most.
const DIALOGS: &str = "20000";

/// Plays so many dialogs, or the history of one seed.
pub fn run(dialogs: &str, seed: Option<&str>) -> Result<bool> {
    let root = install::root();
    build(&root, &target(&root))?;
    let mut command = trust(&root);
    command.env("TRUNKLINE_TRUST_DIALOGS", dialogs);
    if let Some(seed) = seed {
        command.env("TRUNKLINE_TRUST_SEED", seed);
    }
    Ok(command.status().context("cargo test")?.success())
}

/// Takes one rule after the other out of a copy of the source, and plays until that is found.
pub fn holes(only: Option<&str>) -> Result<bool> {
    let root = install::root();
    let mut patches: Vec<PathBuf> = std::fs::read_dir(root.join(HOLES))
        .context(HOLES)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "patch"))
        .filter(|path| only.is_none_or(|only| path.to_string_lossy().contains(only)))
        .collect();
    patches.sort();
    if patches.is_empty() {
        bail!("no patch in {HOLES}");
    }
    let copy = Copy::make(&root)?;
    let mut rows = Vec::new();
    for patch in &patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!("\n== {name}: {}", rule(patch)?);
        let found = copy.hole(patch).and_then(|()| find(&root, &copy.target.join("debug/trunkline")));
        rows.push((name, found));
        copy.restore()?;
    }
    println!("\n{:<24} found", "hole");
    for (name, found) in &rows {
        match found {
            Ok(Some(line)) => println!("{name:<24} {line}"),
            Ok(None) => println!("{name:<24} NOT FOUND within {DIALOGS} dialogs"),
            Err(error) => println!("{name:<24} {error:#}"),
        }
    }
    Ok(rows.iter().all(|(_, found)| matches!(found, Ok(Some(_)))))
}

/// The rule a patch takes out: its first line.
fn rule(patch: &Path) -> Result<String> {
    let text = std::fs::read_to_string(patch)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Plays against this binary; the first broken rule, with its seed.
fn find(root: &Path, binary: &Path) -> Result<Option<String>> {
    let out = trust(root)
        .env("TRUNKLINE_TRUST_DIALOGS", DIALOGS)
        .env("TRUNKLINE_BIN", binary)
        .env("RUST_BACKTRACE", "0")
        .output()
        .context("cargo test")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    if !out.status.success() && !text.contains("\nseed ") {
        bail!("the run itself failed:\n{text}");
    }
    Ok(text.lines().find(|line| line.starts_with("seed ") && !out.status.success()).map(str::to_owned))
}

fn trust(root: &Path) -> Command {
    let mut command = cargo(root, &target(root));
    command.args(["test", "-p", "trunkline-tests", "--test", "trust", "--", "--nocapture"]);
    command
}

fn build(root: &Path, target: &Path) -> Result<()> {
    let status = cargo(root, target).args(["build", "-p", "trunkline"]).status().context("cargo build")?;
    if !status.success() {
        bail!("cargo build ended with {status}");
    }
    Ok(())
}

fn cargo(folder: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    command
}

/// Where builds go.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// A work tree of the last commit, beside the builds, removed again at the end.
struct Copy {
    root: PathBuf,
    path: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make(root: &Path) -> Result<Copy> {
        let target = target(root).join("holes");
        let path = target.join("source");
        std::fs::create_dir_all(&target)?;
        let copy = Copy { root: root.to_path_buf(), path, target };
        let _ = copy.git_at_root(&["worktree", "remove", "--force"], Some(&copy.path));
        copy.git_at_root(&["worktree", "add", "--detach"], Some(&copy.path))?;
        Ok(copy)
    }

    fn hole(&self, patch: &Path) -> Result<()> {
        git(&self.path, &["apply", "--recount"], Some(patch))?;
        build(&self.path, &self.target)
    }

    fn restore(&self) -> Result<()> {
        git(&self.path, &["checkout", "--quiet", "--", "."], None)
    }

    fn git_at_root(&self, words: &[&str], path: Option<&Path>) -> Result<()> {
        git(&self.root, words, path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = self.git_at_root(&["worktree", "remove", "--force"], Some(&self.path));
    }
}

fn git(folder: &Path, words: &[&str], path: Option<&Path>) -> Result<()> {
    let out = Command::new("git").current_dir(folder).args(words).args(path).output().context("git")?;
    if !out.status.success() {
        bail!("git {}: {}", words.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}
