//! Stores: can they be read and written, and is there room?

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use crate::facts::Facts;
use crate::finding::Findings;

/// Less is an error, or a warning.
const VERY_LITTLE: u64 = 50 << 20;
const LITTLE: u64 = 500 << 20;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let url = facts.config().store_url();
    match &facts.resources {
        Ok(_) => out.ok(format!("the resources in {url} can be read")),
        Err(error) if url.strip_prefix("sqlite:").is_some_and(|file| !Path::new(file).exists()) => {
            let means = "the first start creates it, with a domain and two phones";
            out.note(format!("there is no store yet: {error}"), means, "start `trunkline serve`");
        }
        Err(error) => {
            let means = "the exchange does not start, or works with old resources";
            out.error(
                format!("the resources in {url} cannot be read: {error}"),
                means,
                "mend the store, or the key data",
            );
        }
    }
    if let Some(folder) = url.strip_prefix("files:").map(PathBuf::from) {
        folder_of_files(&folder, out);
    }
    if let Some(file) = facts.config().database_file() {
        database(&file, out);
    }
}

fn folder_of_files(folder: &Path, out: &mut Findings) {
    if access(folder, AccessFlags::W_OK).is_err() {
        let means = "the command line and the API cannot change resources";
        out.note(
            format!("{} cannot be written by this user", folder.display()),
            means,
            "chown or chmod the folder",
        );
    }
}

/// The SQLite file: bindings, call records, and often the resources.
fn database(file: &Path, out: &mut Findings) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let means = "registrations and call records are lost in a restart, and resources cannot be changed";
    let fix = "run the exchange as the owner of the folder, or chown it";
    if file.exists()
        && let Err(error) = OpenOptions::new().read(true).append(true).open(file)
    {
        out.error(format!("{} cannot be written: {error}", file.display()), means, fix);
    } else if access(folder, AccessFlags::W_OK).is_err() {
        // SQLite makes its log beside the file.
        out.error(format!("{} cannot be written by this user", folder.display()), means, fix);
    } else {
        out.ok(format!("{} can be written", file.display()));
    }
    let Ok(room) = statvfs(folder) else { return };
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    let what = format!("{} MB are free at {}", free >> 20, folder.display());
    let fix =
        "free space, or move the database (key database) to another disk; calls.retentionDays limits records";
    match free {
        ..VERY_LITTLE => out.error(what, means, fix),
        VERY_LITTLE..LITTLE => out.warning(what, means, fix),
        _ => out.ok(what),
    }
}
