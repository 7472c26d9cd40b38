//! The project's own commands: `cargo xtask install` puts what the tests need on the machine, `cargo xtask test`
//! runs them and ends with a table of seconds per suite.
#![forbid(unsafe_code)]

mod base_image;
mod deny;
mod fuzz;
mod graph;
mod install;
mod mutants;
mod planted;
mod reasons;
mod runner;
mod shape;
mod simulation;
mod suites;
mod trust;

use std::process::ExitCode;

const USAGE: &str =
    "usage: cargo xtask install                      install what the tests need (apt, npm, Asterisk, cargo-deny)
       cargo xtask test [--only SUITE[,SUITE]]  run the suites, all or those named
       cargo xtask suites                       name the suites
       cargo xtask rules                        crate directions, versions and licences
       cargo xtask shape                        lines, functions and circles of files of each crate
       cargo xtask trust [DIALOGS [SEED]]       dialogs made by chance against the rules of trust (default 100000)
       cargo xtask holes [NAME]                 takes those rules out one by one: is each found missing?
       cargo xtask simulation [N [SEED]]        play N histories of the exchange in virtual time (default 1000000)
       cargo xtask bugs [NAME]                  plant faults one by one: does the simulation find each?
       cargo xtask fuzz [N [NAME [SEED]]]       throw N mutated inputs at all parsers and machines, or at those named (default 1000000)
       cargo xtask mutants [N [SEED]]           N small changes of the core: do its tests notice each? (default 320, seed 1)

environment: TRUNKLINE_SOAK_SECONDS  how long each fuzz or chaos loop runs (default 10)
             TRUNKLINE_FUZZ_SEED     a number, or `random`: other inputs for the fuzz loops
             CARGO_TARGET_DIR        where builds go";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["install"] => install::install().map(|()| true),
        ["suites"] => suites::list(),
        ["rules"] => rules(),
        ["shape"] => shape(),
        ["trust"] => trust::run("100000", None),
        ["trust", dialogs] => trust::run(dialogs, None),
        ["trust", dialogs, seed] => trust::run(dialogs, Some(seed)),
        ["holes"] => trust::holes(None),
        ["holes", name] => trust::holes(Some(name)),
        ["simulation"] => simulation::run("1000000", None),
        ["simulation", histories] => simulation::run(histories, None),
        ["simulation", histories, seed] => simulation::run(histories, Some(seed)),
        ["bugs"] => simulation::bugs(None),
        ["bugs", name] => simulation::bugs(Some(name)),
        ["fuzz"] => fuzz::run("1000000", &[]),
        ["fuzz", inputs, more @ ..] => fuzz::run(inputs, more),
        ["mutants"] => mutants::run("320", "1"),
        ["mutants", count] => mutants::run(count, "1"),
        ["mutants", count, seed] => mutants::run(count, seed),
        ["test"] => suites::test(None),
        ["test", "--only", names] => suites::test(Some(names)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures, and what is beyond a limit.
fn shape() -> anyhow::Result<bool> {
    print!("{}", shape::table()?);
    let beyond = shape::beyond()?;
    for line in &beyond {
        println!("{}{line}", if shape::is_known(line) { "(known) " } else { "" });
    }
    Ok(beyond.iter().all(|line| shape::is_known(line)))
}

fn rules() -> anyhow::Result<bool> {
    let broken = graph::Graph::load()?.broken_rules();
    for line in &broken {
        println!("{line}");
    }
    println!("{} rules broken", broken.len());
    Ok(broken.is_empty())
}
