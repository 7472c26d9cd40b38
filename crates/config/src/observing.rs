//! The sections about what an operator can find out.

use std::path::PathBuf;

use crate::host_port::HostPort;
use crate::keys::Keys;
use crate::sections::section;
use crate::setting::{Secret, words};

section! {
    /// `trace`: the messages, for a capture server.
    Trace {
        /// The server that gets a copy of every message, in HEP3 over UDP.
        hep: Option<HostPort> = None, "hep";
        /// The number of this exchange at that server.
        capture_id: u32 = 1, "captureId";
        /// The password that the server asks for; empty for none.
        password: Secret = Secret::default(), "password";
    }
}

section! {
    /// `otlp`: traces for a collector of OpenTelemetry.
    Otlp {
        /// The URL that takes traces, by OTLP over HTTP.
        url: Option<String> = None, "url";
        /// The header Authorization; empty for none.
        authorization: Secret = Secret::default(), "authorization";
        /// Certificate authorities in addition to those of the system, in PEM.
        trusted_ca: Option<PathBuf> = None, "trustedCa";
        /// The share of calls, in percent.
        calls_percent: u32 = 1, "callsPercent";
    }
}

words! {
    /// The form of log lines.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    LogFormat {
        /// For people.
        Text = "text",
        /// An object per line.
        Json = "json",
    }
}

section! {
    /// `log`: level and form of the log.
    Log {
        /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as `info,trunkline_edge=debug`.
        level: String = "info".into(), "level";
        /// The form of its lines.
        format: LogFormat = LogFormat::Text, "format";
    }
}
