//! Inputs thrown at parsers and machines: the long run.

use std::process::Command;

use anyhow::{Context, Result};

use crate::install;
use crate::planted::{cargo, target};
use crate::suites::OPTIMISED;

/// Throws so many inputs; `more` is a part of the targets' names, a seed, and how many threads throw.
pub fn run(inputs: &str, more: &[&str]) -> Result<bool> {
    let root = install::root();
    let target = target(&root);
    // The whole workspace, as in every suite, so that dependencies have one set of features and are built once.
    let mut build = cargo(&root, &target);
    build.args(["build", "--workspace", "--bin", "trunkline-fuzz"]).env(OPTIMISED.0, OPTIMISED.1);
    if !build.status().context("cargo build")?.success() {
        return Ok(false);
    }
    let mut fuzz = Command::new(target.join("debug/trunkline-fuzz"));
    Ok(fuzz.arg(inputs).args(more).status().context("trunkline-fuzz")?.success())
}
