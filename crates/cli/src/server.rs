//! The Unix socket of a running server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trunkline_descriptors::Spare;
use trunkline_operations::Operations;

use crate::backend::answer;
use crate::protocol::{MAX_LINE, Request, Response};

/// More connections are refused: the socket is for people.
const MAX_CONNECTIONS: usize = 64;

/// A connection that asks nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(300);

/// Descriptors kept for clients, so that operators are answered when the process has no others.
const OWN_DESCRIPTORS: usize = 4;

/// Out of descriptors: no use in asking again at once, nor in saying so each time.
const PAUSE: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_secs(60);

/// Answers on a Unix socket until it is dropped, which also removes the socket.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Starts answering. The socket is for the owner alone. One that a dead process left is taken over; one that
    /// another process answers on is an error.
    pub fn start(path: &Path, backend: Arc<dyn Operations>) -> io::Result<ControlServer> {
        let named = |error: io::Error| {
            // The system's bound of a socket's path is 107 bytes, wherever it is.
            let short = if error.kind() == io::ErrorKind::InvalidInput { "; use a shorter path" } else { "" };
            let message = format!("the control socket {} (`control.socket`): {error}{short}", path.display());
            io::Error::new(error.kind(), message)
        };
        if UnixStream::connect(path).is_ok() {
            let message = format!("another exchange answers on {} (`control.socket`)", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        // Made elsewhere and moved, so that it is never there with the rights of the umask.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let _ = std::fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(named)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(named)?;
        std::fs::rename(&fresh, path).map_err(named)?;

        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            accept(&listener, &backend, &stopped);
        })?;
        Ok(ControlServer { path: path.to_owned(), stop, thread: Some(thread) })
    }

    /// Where it answers.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread from its accept.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _ = std::fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &UnixListener, backend: &Arc<dyn Operations>, stop: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    let spare = Arc::new(Mutex::new(Spare::new(OWN_DESCRIPTORS)));
    let mut said = None;
    for stream in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let stream = match stream {
            Ok(stream) => stream,
            // Most errors are want of descriptors: the waiting client gets one of those that were kept.
            Err(_) if spare.lock().unwrap_or_else(PoisonError::into_inner).release() => continue,
            Err(error) => {
                if said.is_none_or(|at: Instant| at.elapsed() >= SILENCE) {
                    tracing::warn!(%error, "cannot accept a connection of the control socket");
                    said = Some(Instant::now());
                }
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        if open.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (backend, counted, spare) = (backend.clone(), open.clone(), spare.clone());
        let thread = std::thread::Builder::new().name("control-client".into());
        let spawned = thread.spawn(move || {
            // Ends when the other side hangs up or breaks off: no news.
            let _ = converse(&stream, &*backend);
            drop(stream);
            spare.lock().unwrap_or_else(PoisonError::into_inner).refill();
            counted.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = spawned {
            open.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%error, "control socket");
        }
    }
}

fn converse(stream: &UnixStream, backend: &dyn Operations) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(Request::Follow(query)) => {
                let mut tell = |happened| write_line(stream, &Response::Happened(Box::new(happened)));
                match backend.follow(&query, &mut tell) {
                    Ok(()) => return Ok(()),
                    Err(error) => Response::failed(error.to_string()),
                }
            }
            Ok(Request::Trace(query)) => {
                let mut tell = |messages| write_line(stream, &Response::Traced(messages));
                match backend.trace(&query, &mut tell) {
                    Ok(()) => return Ok(()),
                    Err(error) => Response::failed(error.to_string()),
                }
            }
            Ok(Request::Events(query)) => {
                let mut tell = |lines| write_line(stream, &Response::Events(lines));
                match backend.subscribe(&query, &mut tell) {
                    Ok(()) => return Ok(()),
                    Err(error) => Response::failed(error.to_string()),
                }
            }
            Ok(request) => answer(backend, request),
            Err(error) => Response::refused(format!("the server does not know this request: {error}")),
        };
        write_line(stream, &response)?;
    }
}

fn write_line(mut stream: &UnixStream, response: &Response) -> io::Result<()> {
    let mut text = serde_json::to_vec(response)?;
    text.push(b'\n');
    stream.write_all(&text)
}
