//! Histories of the exchange in virtual time: the long run, and whether it would find a fault.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::install;
use crate::planted::{Copy, Planted, broken_rule, cargo, target};
use crate::suites::OPTIMISED;

/// How many histories a fault has to hide in at most.
const HISTORIES: &str = "20000";
/// Each patch plants one fault.
const BUGS: Planted = Planted { folder: "tests/simulation/bugs", most: "20000 histories", find };

/// Plays so many histories, or the one of this seed.
pub fn run(histories: &str, seed: Option<&str>) -> Result<bool> {
    let root = install::root();
    let mut command = simulation(&root, &target(&root));
    command.env("TRUNKLINE_SIM_HISTORIES", histories);
    if let Some(seed) = seed {
        command.env("TRUNKLINE_SIM_SEED", seed);
    }
    Ok(command.status().context("cargo test")?.success())
}

/// Plants one fault after the other in a copy of the source, and plays until it is found.
pub fn bugs(only: Option<&str>) -> Result<bool> {
    BUGS.replay(only)
}

/// Built beside our own builds: the dependencies are the same.
fn find(copy: &Copy) -> Result<Option<String>> {
    let target = target(&install::root());
    broken_rule(simulation(&copy.path, &target).env("TRUNKLINE_SIM_HISTORIES", HISTORIES))
}

/// Optimised, with overflow checks and debug assertions; dependencies are as in every test.
fn simulation(folder: &Path, target: &Path) -> Command {
    let mut command = cargo(folder, target);
    command.env(OPTIMISED.0, OPTIMISED.1);
    command.args([
        "test",
        "-p",
        "trunkline-simulation",
        "--test",
        "simulation",
        "the_rules",
        "--",
        "--nocapture",
    ]);
    command
}
