//! `trunkline doctor`: looks at the machine, the configuration and the resources, and says what is wrong and what to do.
//!
//! Each check is a plain function in `checks/` that reads [`Facts`] and appends [`Finding`]s. With `--attack` a copy of the
//! configuration is started on loopback and the probes of `trunkline-probes` are run against it (`attack/`).
#![forbid(unsafe_code)]

mod attack;
mod checks;
mod command;
mod facts;
mod finding;
mod report;

pub use checks::expiries;
pub use command::DoctorArgs;
pub use finding::{Finding, Severity};

use trunkline_cli::{Common, Offline, Terminal};
use trunkline_config::{EXIT_USAGE, Env, Loaded};

use crate::facts::Facts;
use crate::report::Report;

/// Runs the command; gives the exit code: 0 without errors, 1 if one was found, 64 for a configuration that cannot be read.
pub fn run(
    arguments: &DoctorArgs,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
    offline: Offline<'_>,
) -> u8 {
    if let Some(meant) = trunkline_cli::overlooked(common, env) {
        let _ = terminal.err.write_all(trunkline_cli::told(meant, "doctor").as_bytes());
        return EXIT_USAGE;
    }
    let mut warnings = Vec::new();
    let mut warn = |warning| warnings.push(warning);
    let loaded = match trunkline_cli::load_once(common.config.as_deref(), env, &mut warn) {
        Ok(loaded) => Loaded { warnings: [warnings, loaded.warnings].concat(), ..loaded },
        Err(report) => {
            let _ = writeln!(terminal.err, "{report}");
            return EXIT_USAGE;
        }
    };
    let facts = Facts::gather(loaded, common.config.as_deref(), env, offline);
    let mut report = Report { findings: checks::all(&facts), ..Report::default() };
    if arguments.attack {
        match attack::run(&facts, terminal) {
            Ok(card) => report.card = Some(card),
            Err(error) => report.findings.push(Finding {
                severity: Severity::Error,
                check: "attack",
                what: format!("the probes could not be run: {error}"),
                means: "nothing is known of how the configuration withstands attacks".into(),
                fix: "mend the errors above, then run `trunkline doctor --attack` again".into(),
            }),
        }
    }
    let text = if common.json { report.to_json() } else { report.to_text(arguments.quiet) };
    // A reader that closes the pipe early is no error.
    let _ = terminal.out.write_all(text.as_bytes()).and_then(|()| terminal.out.flush());
    u8::from(!report.is_good())
}
