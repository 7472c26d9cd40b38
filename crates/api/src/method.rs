//! The service and method of a call.

use tonic::Code;

/// The services by their full names, and what they are called in metrics.
const SERVICES: [(&str, &str); 10] = [
    ("fonoster.routr.connect.acl.v2beta1.ACLService", "ACLService"),
    ("fonoster.routr.connect.agents.v2beta1.Agents", "Agents"),
    ("fonoster.routr.connect.credentials.v2beta1.CredentialsService", "CredentialsService"),
    ("fonoster.routr.connect.domains.v2beta1.Domains", "Domains"),
    ("fonoster.routr.connect.numbers.v2beta1.Numbers", "Numbers"),
    ("fonoster.routr.connect.peers.v2beta1.Peers", "Peers"),
    ("fonoster.routr.connect.trunks.v2beta1.Trunks", "Trunks"),
    ("grpc.health.v1.Health", "Health"),
    ("grpc.reflection.v1.ServerReflection", "ServerReflection"),
    ("grpc.reflection.v1alpha.ServerReflection", "ServerReflection"),
];

const METHODS: [&str; 9] =
    ["Create", "Update", "Get", "Delete", "List", "FindBy", "Check", "Watch", "ServerReflectionInfo"];

/// The service and method of a path; unknown ones are `other`, so that clients cannot create time series of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiMethod {
    /// The service.
    pub service: &'static str,
    /// Its method.
    pub name: &'static str,
}

impl ApiMethod {
    /// Reads `/package.Service/ApiMethod`.
    pub(crate) fn of(path: &str) -> ApiMethod {
        let (service, name) = path.strip_prefix('/').and_then(|p| p.split_once('/')).unwrap_or_default();
        let service = SERVICES.iter().find(|(full, _)| *full == service).map(|(_, short)| *short);
        let name = METHODS.into_iter().find(|known| *known == name);
        match (service, name) {
            (Some(service), Some(name)) => ApiMethod { service, name },
            _ => ApiMethod { service: "other", name: "other" },
        }
    }

    /// Does it change resources? What nobody knows counts as if.
    pub(crate) fn writes(self) -> bool {
        match self.name {
            "Get" | "List" | "FindBy" | "Check" | "Watch" | "ServerReflectionInfo" => false,
            _ => self.service != "other",
        }
    }
}

/// The names of the full services, for health.
pub(crate) fn connect_services() -> impl Iterator<Item = &'static str> {
    SERVICES.into_iter().map(|(full, _)| full).filter(|full| full.starts_with("fonoster."))
}

/// A status as metrics call it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let create = ApiMethod::of("/fonoster.routr.connect.agents.v2beta1.Agents/Create");
        assert_eq!((create.service, create.name, create.writes()), ("Agents", "Create", true));
        assert!(!ApiMethod::of("/fonoster.routr.connect.acl.v2beta1.ACLService/List").writes());
        for other in ["", "/", "/x/y", "Agents/Create", "/fonoster.routr.connect.agents.v2beta1.Agents/Drop"]
        {
            assert_eq!(ApiMethod::of(other).service, "other", "{other}");
        }
        assert_eq!(connect_services().count(), 7);
    }
}
