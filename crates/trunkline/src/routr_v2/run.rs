//! A service at work.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use trunkline_config::RoleTls;
use trunkline_rpc::RpcServer;
use trunkline_transport::{Certificates, ClientAuth, TlsSettings};
use trunkline_wire::DESCRIPTORS;

use super::{ReadyService, Surroundings};
use crate::{complain, descriptors, telemetry, with_causes};

/// Threads of a service, at most: its work is small, and the machine has other services.
const MOST_THREADS: usize = 4;

/// Serves until SIGTERM or SIGINT, or until its terminal is closed; calls under way are answered.
pub fn run(ready: ReadyService, around: Surroundings) -> ExitCode {
    telemetry::init(&around.log);
    descriptors::raise_limit();
    match serve(ready, around.tls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}\n", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

fn serve(ready: ReadyService, tls: Option<RoleTls>) -> Result<()> {
    let certificates = tls.map(certificates).transpose()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let until = stop()?;
        let server = RpcServer::new(ready.name, DESCRIPTORS, ready.add)?;
        server.run((ready.address, ready.remedy), certificates, until).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

fn certificates(tls: RoleTls) -> Result<Certificates> {
    let client_auth = if tls.client_ca.is_some() { ClientAuth::Required } else { ClientAuth::Off };
    let settings = TlsSettings {
        pair: Some((tls.cert, tls.key)),
        client_ca: tls.client_ca,
        client_auth,
        ..TlsSettings::default()
    };
    Certificates::load(settings).context("TLS_ON is set (SERVER_CERT, SERVER_KEY, CACERT)")
}

/// Waits for SIGTERM or SIGINT, or for the end of the terminal.
fn stop() -> Result<impl Future<Output = ()>> {
    let [term, int, hangup] =
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let (mut term, mut int, mut hangup) = (term?, int?, hangup?);
    let at_a_terminal = std::io::stdin().is_terminal();
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => return,
                _ = int.recv() => return,
                // To a service it commonly means "read the configuration", which is read at the start only.
                _ = hangup.recv() => if at_a_terminal { return },
            }
        }
    })
}
