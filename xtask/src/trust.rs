//! Dialogs made by chance against the rules of trust: the long run, and whether it would find a rule that is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;
use crate::planted::{Copy, Planted, broken_rule, cargo, target};

/// How many dialogs a hole has to hide in at most.
const DIALOGS: &str = "20000";
/// Each patch takes one rule out of the exchange.
const HOLES: Planted = Planted { folder: "tests/trust/holes", most: "20000 dialogs", find };

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
    HOLES.replay(only)
}

/// Plays against the binary of the copy; the first broken rule, with its seed.
fn find(copy: &Copy) -> Result<Option<String>> {
    build(&copy.path, &copy.target)?;
    let mut command = trust(&install::root());
    command.env("TRUNKLINE_TRUST_DIALOGS", DIALOGS).env("TRUNKLINE_BIN", copy.target.join("debug/trunkline"));
    broken_rule(&mut command)
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
