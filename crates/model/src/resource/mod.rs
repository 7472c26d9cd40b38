//! The canonical resources. One file each; what they have in common is here.

mod acl;
mod agent;
mod credentials;
mod domain;
mod limits;
mod number;
mod peer;
mod rule;
mod trunk;
mod user;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use acl::{AccessControlList, is_everybodys, network};
pub use agent::{Agent, Privacy};
pub use credentials::Credentials;
pub use domain::{Authenticate, DigestAlgorithm, Domain, EgressPolicy, InterDomain};
pub use limits::CallLimits;
pub use number::{GeoInfo, Number};
pub use peer::{Algorithm, LoadBalancing, Peer};
pub use rule::Rule;
pub use trunk::{ClientCertificate, ShownAs, Trunk, TrunkUri};
pub use user::{Role, Token, User};

use crate::reference::Ref;

/// The operator's own data on a resource; calls carry it as metadata, and it is not interpreted.
pub type Extended = serde_json::Map<String, serde_json::Value>;

/// Declares a resource: its own fields and the six that all have.
macro_rules! resource {
    ($(#[$meta:meta])* $Name:ident { $($(#[$field_meta:meta])* $field:ident: $Type:ty,)* }) => {
        $(#[$meta])*
        pub struct $Name {
            /// The name others refer to it by.
            pub reference: $crate::reference::Ref,
            /// The friendly name, under 60 characters.
            pub name: String,
            /// The version of the dialect it was written in, `v2` or `v2beta1`.
            pub api_version: String,
            /// The operator's own data.
            pub extended: $crate::resource::Extended,
            /// When it was made, in seconds of Unix time; 0 where the source does not say.
            pub created_at: i64,
            /// When it was last changed, in seconds of Unix time.
            pub updated_at: i64,
            $($(#[$field_meta])* pub $field: $Type,)*
        }
    };
}
pub(crate) use resource;

/// The kinds of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// [`AccessControlList`].
    AccessControlList,
    /// [`Credentials`].
    Credentials,
    /// [`Trunk`].
    Trunk,
    /// [`Number`].
    Number,
    /// [`Domain`].
    Domain,
    /// [`Agent`].
    Agent,
    /// [`Peer`].
    Peer,
    /// [`User`].
    User,
}

impl Kind {
    /// All of them, those that others refer to first.
    pub const ALL: [Kind; 8] = [
        Kind::AccessControlList,
        Kind::Credentials,
        Kind::Trunk,
        Kind::Number,
        Kind::Domain,
        Kind::Agent,
        Kind::Peer,
        Kind::User,
    ];

    /// As it stands after `kind:`, e.g. `AccessControlList`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::AccessControlList => "AccessControlList",
            Kind::Credentials => "Credentials",
            Kind::Trunk => "Trunk",
            Kind::Number => "Number",
            Kind::Domain => "Domain",
            Kind::Agent => "Agent",
            Kind::Peer => "Peer",
            Kind::User => "User",
        }
    }

    /// As it stands on the command line and in paths, e.g. `agents`.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::AccessControlList => "acl",
            Kind::Credentials => "credentials",
            Kind::Trunk => "trunks",
            Kind::Number => "numbers",
            Kind::Domain => "domains",
            Kind::Agent => "agents",
            Kind::Peer => "peers",
            Kind::User => "users",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    /// Reads singular or plural, in any case.
    fn from_str(text: &str) -> Result<Kind, ()> {
        Kind::ALL
            .into_iter()
            .find(|k| text.eq_ignore_ascii_case(k.as_str()) || text.eq_ignore_ascii_case(k.plural()))
            .ok_or(())
    }
}

/// Any resource, shared.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// See [`AccessControlList`].
    AccessControlList(Arc<AccessControlList>),
    /// See [`Credentials`].
    Credentials(Arc<Credentials>),
    /// See [`Trunk`].
    Trunk(Arc<Trunk>),
    /// See [`Number`].
    Number(Arc<Number>),
    /// See [`Domain`].
    Domain(Arc<Domain>),
    /// See [`Agent`].
    Agent(Arc<Agent>),
    /// See [`Peer`].
    Peer(Arc<Peer>),
    /// See [`User`].
    User(Arc<User>),
}

/// The fields that all resources have, see any of them.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub reference: Ref,
    pub name: String,
    pub api_version: String,
    pub extended: Extended,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Reads a field that all resources have.
macro_rules! common {
    ($resource:expr, $r:ident => $body:expr) => {
        match $resource {
            Resource::AccessControlList($r) => $body,
            Resource::Credentials($r) => $body,
            Resource::Trunk($r) => $body,
            Resource::Number($r) => $body,
            Resource::Domain($r) => $body,
            Resource::Agent($r) => $body,
            Resource::Peer($r) => $body,
            Resource::User($r) => $body,
        }
    };
}

impl Resource {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Resource::AccessControlList(_) => Kind::AccessControlList,
            Resource::Credentials(_) => Kind::Credentials,
            Resource::Trunk(_) => Kind::Trunk,
            Resource::Number(_) => Kind::Number,
            Resource::Domain(_) => Kind::Domain,
            Resource::Agent(_) => Kind::Agent,
            Resource::Peer(_) => Kind::Peer,
            Resource::User(_) => Kind::User,
        }
    }

    /// Its ref.
    pub fn reference(&self) -> &Ref {
        common!(self, r => &r.reference)
    }

    /// Its friendly name.
    pub fn name(&self) -> &str {
        common!(self, r => &r.name)
    }

    /// When it was made and when last changed, in seconds of Unix time.
    pub fn times(&self) -> (i64, i64) {
        common!(self, r => (r.created_at, r.updated_at))
    }

    /// Sets the two times (see [`Resource::times`]).
    pub fn set_times(&mut self, created_at: i64, updated_at: i64) {
        common!(self, r => {
            let r = Arc::make_mut(r);
            r.created_at = created_at;
            r.updated_at = updated_at;
        });
    }

    pub(crate) fn set_common(&mut self, common: Common) {
        common!(self, r => {
            let r = Arc::make_mut(r);
            r.reference = common.reference;
            r.name = common.name;
            r.api_version = common.api_version;
            r.extended = common.extended;
            r.created_at = common.created_at;
            r.updated_at = common.updated_at;
        });
    }

    pub(crate) fn common(&self) -> Common {
        common!(self, r => Common {
            reference: r.reference.clone(),
            name: r.name.clone(),
            api_version: r.api_version.clone(),
            extended: r.extended.clone(),
            created_at: r.created_at,
            updated_at: r.updated_at,
        })
    }

    /// Every resource this one refers to, with the path of the field that does, e.g. `spec.domainRef`.
    pub fn references(&self) -> Vec<(Cow<'static, str>, Kind, &Ref)> {
        let mut out: Vec<(Cow<'static, str>, Kind, &Ref)> = Vec::new();
        match self {
            Resource::AccessControlList(_) | Resource::Credentials(_) | Resource::User(_) => {}
            Resource::Trunk(t) => {
                let acl = "spec.inbound.accessControlListRef";
                out.extend(t.acl.iter().map(|r| (acl.into(), Kind::AccessControlList, r)));
                let inbound = "spec.inbound.credentialsRef";
                out.extend(t.inbound_credentials.iter().map(|r| (inbound.into(), Kind::Credentials, r)));
                let outbound = "spec.outbound.credentialsRef";
                out.extend(t.outbound_credentials.iter().map(|r| (outbound.into(), Kind::Credentials, r)));
            }
            Resource::Number(n) => {
                out.extend(n.trunk.iter().map(|r| ("spec.trunkRef".into(), Kind::Trunk, r)))
            }
            Resource::Domain(d) => {
                let acl = "spec.accessControlListRef";
                out.extend(d.acl.iter().map(|r| (acl.into(), Kind::AccessControlList, r)));
                for (n, policy) in d.egress_policies.iter().enumerate() {
                    let path = format!("spec.context.egressPolicies[{n}].numberRef");
                    out.push((path.into(), Kind::Number, &policy.number));
                }
            }
            Resource::Agent(a) => {
                out.extend(a.domain.iter().map(|r| ("spec.domainRef".into(), Kind::Domain, r)));
                let credentials = "spec.credentialsRef";
                out.extend(a.credentials.iter().map(|r| (credentials.into(), Kind::Credentials, r)));
            }
            Resource::Peer(p) => {
                let credentials = "spec.credentialsRef";
                out.extend(p.credentials.iter().map(|r| (credentials.into(), Kind::Credentials, r)));
                let acl = "spec.accessControlListRef";
                out.extend(p.acl.iter().map(|r| (acl.into(), Kind::AccessControlList, r)));
            }
        }
        out
    }
}

macro_rules! into_resource {
    ($($Name:ident),*) => {$(
        impl From<$Name> for Resource {
            fn from(r: $Name) -> Resource { Resource::$Name(Arc::new(r)) }
        }
        impl From<Arc<$Name>> for Resource {
            fn from(r: Arc<$Name>) -> Resource { Resource::$Name(r) }
        }
    )*};
}
into_resource!(AccessControlList, Credentials, Trunk, Number, Domain, Agent, Peer, User);
