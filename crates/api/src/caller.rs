//! Who calls.

/// What the gate found out about a caller; it goes with the request to the services.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// For the log: a user's name, or where the call came in without one.
    pub name: String,
    /// May passwords be seen?
    pub secrets: bool,
}
