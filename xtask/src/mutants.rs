//! Mutants: small changes of the code, made one by one in a copy of the source. Do the tests notice each of them?
//!
//! `cargo-mutants` makes the changes. A seed chooses a sample of all of them. The tests of the mutant's own crate run
//! first; what they do not notice has to be noticed by the simulation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::install;
use crate::planted::{Copy, cargo};

/// The crates that hold the rules of the protocol.
const CRATES: [&str; 4] =
    ["trunkline-proxy", "trunkline-transaction", "trunkline-routing", "trunkline-registrar"];
/// How many histories of the simulation a mutant has to hide in.
const HISTORIES: &str = "4000";
/// Of the mutants that can be built, so many percent must be noticed.
const ENOUGH: f64 = 90.0;

/// Tests a sample of this size, chosen by this seed; prints what nothing noticed. True when enough were noticed.
pub fn run(count: &str, seed: &str) -> Result<bool> {
    let count: usize = count.parse().context("the number of mutants")?;
    let seed: u64 = seed.parse().context("the seed")?;
    let out = cargo(&install::root(), Path::new("unused")).args(["mutants", "--version"]).output();
    if !out.is_ok_and(|out| out.status.success()) {
        bail!("cargo-mutants is missing; install it: cargo install --locked cargo-mutants");
    }
    let copy = Copy::make(&install::root(), "mutants")?;
    let all = list(&copy)?;
    let found = all.len();
    let sample = sample(all, count, seed);
    println!("{} mutants of {found}, seed {seed}", sample.len());

    let own = test(&copy, "own", &sample, &["-C", "--lib", "-C", "--tests", "--minimum-test-timeout", "60"])?;
    let mut rest = own.clone();
    if !own.missed.is_empty() {
        println!("\n{} mutants are left for the simulation", own.missed.len());
        let simulation = ["--test-package", "trunkline-simulation", "--baseline", "skip", "--timeout", "600"];
        let only = ["-C", "--test", "-C", "simulation", "--", "the_rules"];
        let arguments: Vec<&str> = simulation.into_iter().chain(only).collect();
        rest = test(&copy, "simulation", &own.missed, &arguments)?;
    }
    Ok(report(&own, &rest))
}

/// The names of all mutants of the crates, in the order of the source.
fn list(copy: &Copy) -> Result<Vec<String>> {
    let mut command = mutants(copy);
    command.args(["--list", "--json"]).args(CRATES.iter().flat_map(|name| ["-p", name]));
    let out = command.output().context("cargo mutants --list")?;
    if !out.status.success() {
        bail!("cargo mutants --list: {}", String::from_utf8_lossy(&out.stderr));
    }
    let list: Value = serde_json::from_slice(&out.stdout).context("cargo mutants --list")?;
    let names = list.as_array().into_iter().flatten().filter_map(|mutant| mutant["name"].as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    // Two at one place, e.g. of an arm and of its guard, may have one name: both belong to a sample then.
    names.dedup();
    Ok(names)
}

/// So many of them, chosen by the seed (SplitMix64).
fn sample(mut all: Vec<String>, count: usize, seed: u64) -> Vec<String> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let count = count.min(all.len());
    for at in 0..count {
        let left = (all.len() - at) as u64;
        all.swap(at, at + (draw() % left) as usize);
    }
    all.truncate(count);
    all.sort();
    all
}

/// What became of the mutants of one run.
#[derive(Clone, Default)]
struct Outcome {
    /// Tests fail, or do not end.
    noticed: Vec<String>,
    /// They do not build.
    unviable: Vec<String>,
    /// Nothing noticed them.
    missed: Vec<String>,
}

/// Runs tests against each of these mutants.
fn test(copy: &Copy, name: &str, mutants_: &[String], arguments: &[&str]) -> Result<Outcome> {
    let folder = copy.target.join(name);
    std::fs::create_dir_all(&folder)?;
    let config = folder.join("sample.toml");
    std::fs::write(&config, chosen(mutants_))?;
    let mut command = mutants(copy);
    command.args(["--in-place", "--no-shuffle", "--config"]).arg(&config).arg("--output").arg(&folder);
    command.args(CRATES.iter().flat_map(|name| ["-p", name])).args(arguments);
    command.env("TRUNKLINE_SIM_HISTORIES", HISTORIES);
    let status = command.status().context("cargo mutants")?;
    // 2: some were missed, 3: some ran out of time. All else says that it did not do what it should.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("cargo mutants ended with {status}");
    }
    let lines = |file: &str| -> Result<Vec<String>> {
        let path: PathBuf = folder.join("mutants.out").join(file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    let noticed = [lines("caught.txt")?, lines("timeout.txt")?].concat();
    Ok(Outcome { noticed, unviable: lines("unviable.txt")?, missed: lines("missed.txt")? })
}

/// Nothing else than the tests is built often: no debug information, and what an interrupted run left is used again.
fn mutants(copy: &Copy) -> Command {
    let mut command = cargo(&copy.path, &copy.target);
    command.arg("mutants").current_dir(&copy.path);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "1");
    command
}

/// The configuration of cargo-mutants that names exactly these.
fn chosen(names: &[String]) -> String {
    let mut text = String::from("examine_re = [\n");
    for name in names {
        let escaped: String = name.chars().flat_map(escaped).collect();
        text.push_str(&format!("  '''^{escaped}$''',\n"));
    }
    text.push_str("]\n");
    text
}

/// A character as a regular expression has it.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let special =
        !c.is_alphanumeric() && !matches!(c, ' ' | '_' | '/' | '\'' | '"' | '<' | '>' | ':' | ',' | '=');
    special.then_some('\\').into_iter().chain([c])
}

/// One line for each crate, then what was missed; whether enough was noticed.
fn report(own: &Outcome, rest: &Outcome) -> bool {
    let crate_of = |name: &String| name.split('/').nth(1).unwrap_or_default().to_owned();
    let later: &[String] = if own.missed.is_empty() { &[] } else { &rest.noticed };
    let mut rows: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    for (column, names) in [&own.unviable, &own.noticed, later, &rest.missed].into_iter().enumerate() {
        for name in names {
            for row in [crate_of(name), "~ all".to_owned()] {
                rows.entry(row).or_default()[column] += 1;
            }
        }
    }
    println!(
        "\n{:<12} {:>8} {:>7} {:>10} {:>11} {:>7} {:>8}",
        "crate", "unviable", "viable", "own tests", "simulation", "missed", "noticed"
    );
    let mut share = 0.0;
    for (name, [unviable, by_own, by_simulation, missed]) in &rows {
        let viable = by_own + by_simulation + missed;
        share = 100.0 * (viable - missed) as f64 / viable.max(1) as f64;
        println!(
            "{:<12} {unviable:>8} {viable:>7} {by_own:>10} {by_simulation:>11} {missed:>7} {share:>7.1}%",
            name.trim_start_matches("~ "),
        );
    }
    for name in &rest.missed {
        println!("missed: {name}");
    }
    share >= ENOUGH
}

#[cfg(test)]
mod tests {
    use super::{chosen, sample};

    #[test]
    fn a_seed_chooses_the_same_mutants_again_and_another_chooses_others() {
        let all: Vec<String> = (0..1000).map(|n| format!("{n:04}")).collect();
        let one = sample(all.clone(), 300, 1);
        assert_eq!(one, sample(all.clone(), 300, 1));
        assert_ne!(one, sample(all.clone(), 300, 2));
        assert_eq!(
            (one.len(), one.windows(2).all(|pair| pair[0] < pair[1])),
            (300, true),
            "none of them twice"
        );
        assert_eq!(sample(all.clone(), 2000, 1), all);
    }

    #[test]
    fn the_names_are_escaped_as_regular_expressions() {
        let name = "crates/x/src/a.rs:1:2: replace f -> Option<(&[u8], u8)> with None".to_owned();
        let text = "examine_re = [\n  '''^crates/x/src/a\\.rs:1:2: replace f \\-> Option<\\(\\&\\[u8\\], u8\\)> with None$''',\n]\n";
        assert_eq!(chosen(&[name]), text);
    }
}
