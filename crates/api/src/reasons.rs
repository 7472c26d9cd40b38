//! Errors as gRPC statuses, with the codes and texts that Routr's clients know.

use std::collections::BTreeSet;

use tonic::{Code, Status};
use trunkline_model::{Kind, Reason, Violation};
use trunkline_store::StoreError;

/// The answer of Routr's file-backed services to changes.
const READ_ONLY: &str = "This operation is not supported/enabled in this data api implementation.";

/// Messages travel in a header: one that quotes what came in must not grow with it.
const MOST_MESSAGE: usize = 1000;

/// There is no such resource.
pub(crate) fn not_found(reference: &str) -> Status {
    Status::not_found(bounded(format!("Resource not found: {reference}")))
}

/// A value may not be so.
pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Status::invalid_argument(bounded(message.into()))
}

/// A message that fits into a header.
pub(crate) fn bounded(mut message: String) -> String {
    if message.len() > MOST_MESSAGE {
        let end = (0..=MOST_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

/// A thread or a lock failed; the next call may do better.
pub(crate) fn broken(what: impl std::fmt::Display) -> Status {
    tracing::error!(%what, "a call of the resource services failed");
    Status::internal("the exchange could not finish this call: see its log")
}

/// Why the store did not make a change.
pub(crate) fn from_store(error: StoreError) -> Status {
    match error {
        StoreError::Refused(violations) => from_violations(&violations),
        error @ StoreError::Conflict { .. } => Status::aborted(bounded(error.to_string())),
        StoreError::Files(_) => Status::unimplemented(READ_ONLY),
        // Where the database lies, and what is wrong with it, is the operator's business.
        error => {
            tracing::error!(%error, "the store refused a change of the resource services");
            Status::unavailable("Service unavailable: nothing was changed, see the exchange's log")
        }
    }
}

/// The status of the gravest violation, with the texts of all of its kind.
fn from_violations(violations: &[Violation]) -> Status {
    let said: Vec<(Code, String)> = violations.iter().map(told).collect();
    let order = [Code::InvalidArgument, Code::NotFound, Code::AlreadyExists, Code::FailedPrecondition];
    let code = order.into_iter().find(|code| said.iter().any(|(c, _)| c == code)).unwrap_or(Code::Unknown);
    let mut seen = BTreeSet::new();
    let texts: Vec<&str> = said
        .iter()
        .filter(|(c, text)| *c == code && seen.insert(text.as_str()))
        .map(|(_, text)| text.as_str())
        .collect();
    Status::new(code, bounded(texts.join("; ")))
}

fn told(violation: &Violation) -> (Code, String) {
    match &violation.reason {
        Reason::Invalid(message) => (Code::InvalidArgument, message.clone()),
        Reason::Taken { .. } => {
            (Code::AlreadyExists, format!("Resource already exist for field: {}", column(&violation.field)))
        }
        Reason::Dangling { .. } => {
            let field = argument(violation.kind, &violation.field);
            (Code::InvalidArgument, format!("Dependent resource doesn't exist for: {field}"))
        }
        Reason::Missing => (Code::NotFound, format!("Resource not found: {}", violation.reference)),
        Reason::InUse(_) => (Code::FailedPrecondition, violation.reason.to_string()),
    }
}

/// The last step of a path in snake case: `spec.context.domainUri` is `domain_uri`.
fn column(path: &str) -> String {
    if path == "spec.inbound.uri" {
        return "inbound_uri".into();
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    let mut name = String::with_capacity(last.len() + 4);
    for c in last.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The field of a request that a path of the resource is from.
fn argument(kind: Kind, path: &str) -> &str {
    match (kind, path) {
        (Kind::Trunk, "spec.inbound.credentialsRef") => "inboundCredentialsRef",
        (Kind::Trunk, "spec.outbound.credentialsRef") => "outboundCredentialsRef",
        (_, path) => path.rsplit('.').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_aborted() {
        let conflict = StoreError::Conflict { kind: Kind::Agent, reference: "agent-01".into() };
        let status = from_store(conflict);
        assert_eq!(status.code(), Code::Aborted);
        assert!(status.message().contains("agent-01") && status.message().contains("read it again"));
    }

    use trunkline_model::{Agent, Change, Credentials, Domain, Live, Ref, Tables, Trunk};

    fn refused(changes: Vec<Change>) -> Status {
        let live = Live::new(Tables::default());
        let first = vec![
            Change::Create(Domain::new("d", "sip.local").into()),
            Change::Create(Credentials::new("c", "1001", "x").into()),
            Change::Create(Agent::new("a", "1001", Some(Ref::new("d"))).into()),
        ];
        live.try_update(|tables| tables.apply(&first)).expect("fine");
        let violations = live.try_update(|tables| tables.apply(&changes)).expect_err("refused");
        from_store(StoreError::Refused(violations))
    }

    #[test]
    fn codes_and_texts() {
        let domain = Domain::new("d2", "SIP.local");
        let status = refused(vec![Change::Create(domain.into())]);
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(status.message(), "Resource already exist for field: domain_uri");

        let agent = Agent::new("a2", "1002", Some(Ref::new("nowhere")));
        let status = refused(vec![Change::Create(agent.into())]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "Dependent resource doesn't exist for: domainRef");

        let mut trunk = Trunk::new("t", "");
        trunk.inbound_uri = Some("a b".into());
        let status = refused(vec![Change::Create(trunk.into())]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with("the friendly name for the resource is required; the inbound"));

        let status = refused(vec![Change::Delete(Kind::Domain, Ref::new("d"))]);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "still used by Agent a (spec.domainRef)");
        let status = refused(vec![Change::Update(Domain::new("gone", "x.y").into())]);
        assert_eq!((status.code(), status.message()), (Code::NotFound, "Resource not found: gone"));

        assert_eq!(not_found(&"ü".repeat(10_000)).message().chars().last(), Some('…'));
        assert!(not_found(&"ü".repeat(10_000)).message().len() < 1100);

        let status = from_store(StoreError::Files("/secret/place".into()));
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, READ_ONLY));
        let status = from_store(StoreError::Url("/secret/place".into()));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.message().contains("secret"));
    }
}
