//! The commands `ari` and `ari-proxy`.

use std::future::Future;
use std::process::ExitCode;

use trunkline_ari_proxy::cli::CliError;

use crate::complain;

/// Runs a command to its end.
pub fn finish(command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: no runtime: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_unread() => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}\n"));
            ExitCode::from(error.exit_status())
        }
    }
}
