//! `trunkline check` of the files of services.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use trunkline_cli::{Check, Common};
use trunkline_config::{EXIT_USAGE, Report, RoleFile, Source, is_role_file};

use super::processors::check_dispatcher;
use crate::{complain, operate};

/// Runs `check`: files of services here, what else is named as ever.
pub fn check(mut asked: Check, common: &Common) -> ExitCode {
    let named = asked.paths.len();
    let (said, others) = match files(&asked.paths) {
        Ok(found) => found,
        Err(report) => {
            complain(&report);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let (only, some) = (others.is_empty() && named > 0, others.len() < named);
    // Beside others their result is one line more; the object of --json is that of the others.
    if some && (only || !common.json) {
        let json = serde_json::json!({ "good": true, "said": said.trim_end(), "warnings": [] });
        let text = if common.json { format!("{json:#}\n") } else { said };
        let _ = stdout().write_all(text.as_bytes());
    }
    asked.paths = others;
    if only { ExitCode::SUCCESS } else { operate(&trunkline_cli::Command::Check(asked), common) }
}

/// Checks the files of services among these paths; the text of what is good of each, and the other paths.
fn files(paths: &[PathBuf]) -> Result<(String, Vec<PathBuf>), String> {
    let (services, others): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.iter().cloned().partition(|path| path.is_file() && is_role_file(path));
    let (mut said, mut wrong) = (String::new(), String::new());
    for path in services {
        let read = Source::read(&path)
            .map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))?;
        match RoleFile::read(&read).and_then(checked) {
            Ok(file) => said += &format!("{} is good: trunkline {}\n", path.display(), file.role()),
            Err(report) => wrong += &report.to_string(),
        }
    }
    if wrong.is_empty() { Ok((said, others)) } else { Err(wrong) }
}

/// The file, with what it says of others checked, too.
fn checked(file: RoleFile) -> Result<RoleFile, Report> {
    match &file {
        RoleFile::Dispatcher(role) => check_dispatcher(role)?,
        RoleFile::Location(_) => {}
    }
    Ok(file)
}
