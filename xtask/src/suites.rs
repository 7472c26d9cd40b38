//! The suites of `cargo xtask test`, in the order in which they run: the cheap ones that fail most often first.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::graph::Graph;
use crate::install;
use crate::runner::{self, Count};

const SOAK: &str = "TRUNKLINE_SOAK_SECONDS";
const FUZZ: &str = "trunkline-fuzz";
const DENY: &str = "deny";
/// How cargo is told to optimise our own crates.
pub const OPTIMISED: (&str, &str) = ("CARGO_PROFILE_DEV_OPT_LEVEL", "3");

/// A name and the cargo commands behind it.
struct Suite {
    name: String,
    commands: Vec<Vec<String>>,
    /// Whether it starts other programs than our own.
    outside: bool,
    /// Whether our own crates are optimised. Overflow checks and debug assertions stay on, dependencies are as in every test.
    optimised: bool,
}

impl Suite {
    fn new(name: &str, outside: bool, commands: &[&[&str]]) -> Suite {
        let commands = commands.iter().map(|c| c.iter().map(|w| (*w).to_owned()).collect()).collect();
        Suite { name: name.to_owned(), commands, outside, optimised: false }
    }
}

/// Every suite the workspace has now.
///
/// All commands name the whole workspace, so that cargo resolves one set of features and builds each
/// dependency once.
fn all() -> Result<Vec<Suite>> {
    let graph = Graph::load()?;
    let fuzz = graph.has_member(FUZZ);
    let mut unit = match install::find("cargo-nextest") {
        Some(_) => vec!["nextest", "run", "--workspace"],
        None => vec!["test", "--no-fail-fast", "--all-targets", "--workspace"],
    };
    unit.extend(graph.systems().flat_map(|(package, _)| ["--exclude", package]));
    if fuzz {
        unit.extend(["--exclude", FUZZ]);
    }
    let mut suites = vec![
        Suite::new("fmt", false, &[&["fmt", "--all", "--check"]]),
        Suite::new(DENY, false, &[crate::deny::CHECK]),
        Suite::new("clippy", false, &[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]]),
        Suite::new("build", false, &[&["build", "--workspace", "--bins"]]),
        Suite::new("unit", false, &[&unit, &["test", "--workspace", "--doc"]]),
    ];
    for target in graph.systems().flat_map(|(_, targets)| targets) {
        suites.push(Suite::new(target, true, &[&["test", "--workspace", "--test", target]]));
    }
    if fuzz {
        let commands: &[&[&str]] = &[&["test", "--workspace", "--test", "parsers", "--", "--nocapture"]];
        suites.push(Suite { optimised: true, ..Suite::new("fuzz", false, commands) });
    }
    Ok(suites)
}

/// Prints the names.
pub fn list() -> Result<bool> {
    for suite in all()? {
        println!("{}", suite.name);
    }
    Ok(true)
}

/// Runs all suites, or those in `only` (comma separated); true when nothing failed.
pub fn test(only: Option<&str>) -> Result<bool> {
    let mut suites = all()?;
    if let Some(only) = only {
        let names: Vec<&str> = only.split(',').collect();
        if let Some(unknown) = names.iter().find(|name| suites.iter().all(|suite| suite.name != **name)) {
            let known: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
            bail!("no suite `{unknown}`; there are {}", known.join(", "));
        }
        suites.retain(|suite| names.contains(&suite.name.as_str()));
    }
    let mut rows = Vec::new();
    if suites.iter().any(|suite| suite.outside) {
        let start = Instant::now();
        install::install()?;
        rows.push(("install".to_owned(), Count::default(), start.elapsed()));
    } else if suites.iter().any(|suite| suite.name == DENY) {
        crate::deny::install()?;
    }
    let soak = std::env::var(SOAK).unwrap_or_else(|_| "10".to_owned());
    for suite in suites {
        let start = Instant::now();
        let mut total = Count::default();
        for words in &suite.commands {
            let mut command = cargo(words)?;
            if suite.optimised {
                command.env(OPTIMISED.0, OPTIMISED.1);
            }
            let outcome = runner::run(command.env(SOAK, &soak))?;
            total.passed += outcome.count.passed;
            total.failed += outcome.count.failed;
            println!("{} took {:.1} s", words.first().map_or("", String::as_str), outcome.took.as_secs_f64());
        }
        rows.push((suite.name, total, start.elapsed()));
    }
    println!("\n{:<12} {:>8} {:>7} {:>7}", "suite", "seconds", "passed", "failed");
    let (mut passed, mut failed) = (0, 0);
    for (name, count, took) in rows {
        println!("{name:<12} {:>8.1} {:>7} {:>7}", took.as_secs_f64(), count.passed, count.failed);
        passed += count.passed;
        failed += count.failed;
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn cargo(words: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(install::root());
    // What `cargo run` set for us would make cargo think the children belong to this package.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    // Where cargo finds what it calls for a command that is not its own.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(crate::deny::bin()?).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders)?);
    Ok(command)
}
