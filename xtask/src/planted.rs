//! Faults that are planted one by one in a copy of the source: does a run find each of them?

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;

/// A folder of patches, and how a run against one is made.
pub struct Planted {
    /// Where the patches lie.
    pub folder: &'static str,
    /// How much a run may play before the fault has to be found.
    pub most: &'static str,
    /// Plays in the copy, or against what was built there; gives the line that names the broken rule.
    pub find: fn(&Copy) -> Result<Option<String>>,
}

impl Planted {
    /// Plants one after the other, all or those whose name has this in it; true when all were found.
    pub fn replay(&self, only: Option<&str>) -> Result<bool> {
        let root = install::root();
        let mut patches: Vec<PathBuf> = std::fs::read_dir(root.join(self.folder))
            .context(self.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "patch"))
            .filter(|path| only.is_none_or(|only| path.to_string_lossy().contains(only)))
            .collect();
        patches.sort();
        if patches.is_empty() {
            bail!("no patch in {}", self.folder);
        }
        let copy = Copy::make(&root, "holes")?;
        let mut rows = Vec::new();
        for patch in &patches {
            let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            println!("\n== {name}: {}", first_line(patch)?);
            let found = copy.plant(patch).and_then(|()| (self.find)(&copy));
            rows.push((name, found));
            copy.restore()?;
        }
        println!("\n{:<24} found", "planted");
        for (name, found) in &rows {
            match found {
                Ok(Some(line)) => println!("{name:<24} {line}"),
                Ok(None) => println!("{name:<24} NOT FOUND within {}", self.most),
                Err(error) => println!("{name:<24} {error:#}"),
            }
        }
        Ok(rows.iter().all(|(_, found)| matches!(found, Ok(Some(_)))))
    }
}

/// What a patch does: its first line.
fn first_line(patch: &Path) -> Result<String> {
    let text = std::fs::read_to_string(patch)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Runs a test that says `seed N: …` of the first rule that it sees broken; that line, if it fails.
pub fn broken_rule(command: &mut Command) -> Result<Option<String>> {
    let out = command.env("RUST_BACKTRACE", "0").output().context("cargo test")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    if !out.status.success() && !text.contains("\nseed ") {
        bail!("the run itself failed:\n{text}");
    }
    Ok(text.lines().find(|line| line.starts_with("seed ") && !out.status.success()).map(str::to_owned))
}

/// Cargo in this folder, with its builds there.
pub fn cargo(folder: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    command
}

/// Where builds go.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// A work tree of the last commit, beside the builds, removed again at the end.
pub struct Copy {
    root: PathBuf,
    /// The source.
    pub path: PathBuf,
    /// Its builds.
    pub target: PathBuf,
}

impl Copy {
    /// Makes it, in a folder of this name.
    pub fn make(root: &Path, folder: &str) -> Result<Copy> {
        let target = target(root).join(folder);
        let path = target.join("source");
        std::fs::create_dir_all(&target)?;
        let copy = Copy { root: root.to_path_buf(), path, target };
        let _ = copy.git_at_root(&["worktree", "remove", "--force"], Some(&copy.path));
        copy.git_at_root(&["worktree", "add", "--detach"], Some(&copy.path))?;
        Ok(copy)
    }

    fn plant(&self, patch: &Path) -> Result<()> {
        git(&self.path, &["apply", "--recount"], Some(patch))
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
