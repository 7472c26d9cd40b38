//! Errors of a store.

use std::fmt;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use trunkline_model::document::Report;
use trunkline_model::{Kind, Ref, Violation};

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store.
    #[error(
        "`{0}` names no store: write files:FOLDER, sqlite:FILE, postgres://USER@HOST/DATABASE, memory:, or for a Routr v1 \
         routr-v1:FOLDER, routr-v1-redis:HOST:PORT, routr-v1-rest:URL"
    )]
    Url(String),
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database could be neither opened nor made.
    #[error(
        "cannot open or make the database {path}: {source} (key data: its folder must be there, and you must be \
         allowed to write there)"
    )]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database {path}: {source}{}", remedy(.source))]
    Database {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The database was made by a later version of the program.
    #[error(
        "the database {path} has resources of layout {found}, this version knows up to {known}: use a newer one"
    )]
    Newer {
        /// Its file.
        path: PathBuf,
        /// The layout it has.
        found: i64,
        /// The latest layout this version knows.
        known: i64,
    },
    /// The URL of a PostgreSQL database cannot be used. It is not repeated: it may have a password.
    #[error(
        "the URL of the PostgreSQL database: {0}: write postgres://USER@HOST:PORT/DATABASE; the password is read from PGPASSWORD \
         or ~/.pgpass"
    )]
    PostgresUrl(String),
    /// The PostgreSQL database refused, or does not answer.
    #[error("{database}: {why}")]
    Postgres {
        /// Its name for operators.
        database: String,
        /// Why.
        why: String,
    },
    /// The texts have errors.
    #[error("{0}")]
    Resources(Report),
    /// Somebody else has changed or deleted the resource since it was read.
    #[error(
        "{kind} {reference} was changed by somebody else since it was read; nothing was changed: read it again and \
         repeat the change"
    )]
    Conflict {
        /// Its kind.
        kind: Kind,
        /// Its ref.
        reference: Ref,
    },
    /// The changes cannot be made.
    #[error("{}", Lines(.0))]
    Refused(Vec<Violation>),
    /// A replacement without anything in it: more likely the wrong folder than the end of all phones.
    #[error("the files contain no resources, so they replace nothing")]
    NothingToImport,
    /// Files are changed with an editor.
    #[error("the resources are in files: edit them in {0}; changes take effect at once")]
    Files(PathBuf),
    /// A data provider of Routr v1 does not answer, or not what can be understood.
    #[error("cannot read resources from {what}: {why}")]
    Unreachable {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
    /// A data provider lost everything.
    #[error(
        "{0} has no resources any more and has probably lost its data: those known stay in force, and nothing is written \
         there; restore its data, or, if it is to be empty, stop the exchange, delete `trunkline.routr-v1` and start it again"
    )]
    Emptied(String),
    /// The base URL of a REST service is none.
    #[error(
        "`{url}` is not the base URL of a REST service: {why} (key spec.dataSource.parameters, `baseUrl`)"
    )]
    BaseUrl {
        /// The URL.
        url: String,
        /// The error.
        why: String,
    },
    /// Resources of Routr v1 are not changed as ours are.
    #[error(
        "the resources are those of a Routr v1 in {0}: change them there, or through its REST API (rctl)"
    )]
    RoutrV1(String),
    /// The system gives no random bytes.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    /// The password could not be hashed.
    #[error("cannot hash the password: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The way out of what is wrong with a database's file.
fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "; move it away, and `trunkline import` what was exported from it"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program holds it",
        Some(ErrorCode::ReadOnly) => "; run this as the user who owns it",
        _ => "",
    }
}

struct Lines<'a>(&'a [Violation]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, violation) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}
