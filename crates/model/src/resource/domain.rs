//! Domains: the hosts of AORs, and their egress policies.

use super::CallLimits;
use super::Rule;
use crate::reference::Ref;

/// Which requests out of dialog from a domain's users are challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Authenticate {
    /// None. For closed networks.
    Never,
    /// REGISTER alone.
    Register,
    /// REGISTER, and calls out through a trunk, unless over the connection that the caller registered by.
    Egress,
    /// Every method.
    #[default]
    All,
}

impl Authenticate {
    /// Its word in resources.
    pub fn as_str(self) -> &'static str {
        match self {
            Authenticate::Never => "never",
            Authenticate::Register => "register",
            Authenticate::Egress => "egress",
            Authenticate::All => "all",
        }
    }
}

/// The requirements for callers of our other domains before they reach an agent or peer of this domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InterDomain {
    /// They must authenticate, whatever their own domain requires.
    #[default]
    Authenticated,
    /// Nothing they could show is enough, and agents and peers of this domain call no other domain either.
    Isolated,
    /// They must do what their own domain requires; with `authenticate: never` that is nothing.
    Open,
}

/// A digest algorithm, RFC 7616 §3.3, RFC 8760.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// `MD5`.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
    /// `MD5-sess`: with a key for each session (RFC 7616 §3.4.2).
    Md5Session,
    /// `SHA-256-sess`.
    Sha256Session,
    /// `SHA-512-256-sess`.
    Sha512_256Session,
}

impl DigestAlgorithm {
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// Which number, and so which trunk, a call out of the domain takes.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressPolicy {
    /// Matches the called user.
    pub rule: Rule,
    /// The number that calls; its trunk carries them.
    pub number: Ref,
}

super::resource! {
    /// A host of AORs with its agents and its way out.
    #[derive(Clone, Debug, PartialEq)]
    Domain {
        /// The host part of its AORs, in lower case.
        domain_uri: String,
        /// The addresses its users may send from.
        acl: Option<Ref>,
        /// The ways out; the first whose rule matches is taken.
        egress_policies: Vec<EgressPolicy>,
        /// Which requests are challenged.
        authenticate: Authenticate,
        /// The access of callers from other domains.
        inter_domain: InterDomain,
        /// The challenges of a 401, in this order; never empty.
        algorithms: Vec<DigestAlgorithm>,
        /// How many calls its agents and peers may have together.
        limits: CallLimits,
    }
}

impl Domain {
    /// MD5 first: phones and SIPp up to 3.6 look at the first challenge alone.
    pub const DEFAULT_ALGORITHMS: [DigestAlgorithm; 2] = [DigestAlgorithm::Md5, DigestAlgorithm::Sha256];

    /// A domain with the defaults, named after its host.
    pub fn new(reference: impl Into<Ref>, domain_uri: &str) -> Domain {
        Domain {
            reference: reference.into(),
            name: domain_uri.to_owned(),
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            domain_uri: domain_uri.to_ascii_lowercase(),
            acl: None,
            egress_policies: Vec::new(),
            authenticate: Authenticate::All,
            inter_domain: InterDomain::Authenticated,
            algorithms: Domain::DEFAULT_ALGORITHMS.to_vec(),
            limits: CallLimits::default(),
        }
    }

    /// The first way out for this called user.
    pub fn egress(&self, user: &[u8]) -> Option<&EgressPolicy> {
        self.egress_policies.iter().find(|policy| policy.rule.is_match(user))
    }
}
