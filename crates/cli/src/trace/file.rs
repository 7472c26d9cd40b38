//! The file that `--write` names.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use trunkline_trace::{Traced, pcap};

use crate::run::Failure;
use crate::terminal::Terminal;

/// A capture file, or standard output.
pub(super) struct CaptureFile {
    name: String,
    file: Option<File>,
    bytes: Vec<u8>,
}

impl CaptureFile {
    /// Creates it, for its owner alone: messages say who calls whom. One that is there is overwritten.
    pub(super) fn create(name: &str) -> Result<CaptureFile, Failure> {
        let failed = |error: io::Error| Failure::Failed(format!("cannot write {name}: {error}"));
        let mut file = None;
        if name != "-" {
            let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(name);
            let made = made.map_err(failed)?;
            if made.metadata().map_err(failed)?.is_file() {
                made.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
            }
            file = Some(made);
        }
        Ok(CaptureFile { name: name.to_owned(), file, bytes: Vec::new() })
    }

    pub(super) fn begin(&mut self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        self.bytes = pcap::header();
        self.flush(terminal)
    }

    /// Appends messages, so that the file is whole whenever the command is ended.
    pub(super) fn put(&mut self, messages: &[Traced], terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        for message in messages {
            pcap::put(message, &message.bytes, &mut self.bytes);
        }
        self.flush(terminal)
    }

    fn flush(&mut self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.bytes),
            None => terminal.out.write_all(&self.bytes).and_then(|()| terminal.out.flush()),
        };
        self.bytes.clear();
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
            Err(error) => Err(Failure::Failed(format!("cannot write {}: {error}", self.name))),
            Ok(()) => Ok(()),
        }
    }
}
