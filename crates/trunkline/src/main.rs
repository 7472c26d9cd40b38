//! The one binary. [`serve`] composes the roles of a process; the other commands ask a running one.

use std::io::{Write, stderr, stdin, stdout};
use std::process::ExitCode;

use trunkline_cli::{Common, StoreOnly, Terminal};
use trunkline_config::{Config, Env};
use trunkline_operations::Operations;

mod args;
mod ari;
mod back_ends;
mod base;
mod descriptors;
mod edge_config;
mod failed_calls;
mod first_start;
mod follower;
mod hep;
mod known_hosts;
mod message_log;
mod offline;
mod operations;
mod otlp;
mod process;
mod procfs;
mod publishing;
mod refusal_log;
mod request_log;
mod roles;
mod routr_v1;
mod routr_v2;
mod secret;
mod serve;
mod telemetry;
mod time;
mod tls;

use args::{Args, Command};
use offline::Offline;

/// Returns memory to the system when a large file of resources has been read; see BENCHMARKS.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Args = match trunkline_cli::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match args.command {
        Command::Serve(serve) => serve::run(&args.common, &serve),
        Command::Operator(trunkline_cli::Command::Check(check)) => routr_v2::check(check, &args.common),
        Command::Operator(command) => operate(&command, &args.common),
        Command::Doctor(doctor) => examine(&doctor, &args.common),
        Command::Location => routr_v2::run(routr_v2::Service::Location, &args.common),
        Command::Dispatcher => routr_v2::run(routr_v2::Service::Dispatcher, &args.common),
        Command::Echo => routr_v2::run(routr_v2::Service::Echo, &args.common),
        Command::Simpleauth => routr_v2::run(routr_v2::Service::SimpleAuth, &args.common),
        Command::AriProxy(proxy) => ari::proxy(&proxy),
        Command::Ari(ari) => ari::finish(ari.run(args.common.json)),
    }
}

/// Runs an operator's command: through the control socket, or on the store when no exchange runs.
fn operate(command: &trunkline_cli::Command, common: &Common) -> ExitCode {
    let (mut input, mut out, mut err) = (stdin().lock(), stdout().lock(), stderr().lock());
    let mut terminal = Terminal { input: &mut input, out: &mut out, err: &mut err };
    let offline =
        |config: &Config, store: StoreOnly| -> Box<dyn Operations> { Box::new(Offline::new(config, store)) };
    let env = Env::of_process();
    ExitCode::from(trunkline_cli::run(command, common, &env, &mut terminal, &offline))
}

/// Runs `doctor`.
fn examine(arguments: &trunkline_doctor::DoctorArgs, common: &Common) -> ExitCode {
    let (mut input, mut out, mut err) = (stdin().lock(), stdout().lock(), stderr().lock());
    let mut terminal = Terminal { input: &mut input, out: &mut out, err: &mut err };
    let offline =
        |config: &Config, store: StoreOnly| -> Box<dyn Operations> { Box::new(Offline::new(config, store)) };
    let env = Env::of_process();
    ExitCode::from(trunkline_doctor::run(arguments, common, &env, &mut terminal, &offline))
}

/// Prints an error, if standard error is open.
fn complain(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

/// An error and its causes, without those that its text contains already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let told = cause.rsplit(": ").next().is_some_and(|last| text.contains(last));
        if text.is_empty() {
            text = cause;
        } else if !told {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_told_once() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = anyhow::Error::from(denied()).context("cannot make trunkline.secret");
        assert_eq!(with_causes(&error), "cannot make trunkline.secret: permission denied");
        let source = denied();
        let error = trunkline_store::StoreError::Read { path: "x.yaml".into(), source };
        assert_eq!(with_causes(&error.into()), "cannot read x.yaml: permission denied");
        let error =
            trunkline_store::Store::open("sqlite:/nowhere/x.db").context("the data").expect_err("no folder");
        assert_eq!(with_causes(&error).matches("os error 2").count(), 1, "{error:#}");
    }
}
