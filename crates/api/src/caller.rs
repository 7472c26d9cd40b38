//! Who calls.

/// The authenticated caller; the services find it in the request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// For the log: a user's name, or where the call came in without one.
    pub name: String,
    /// May passwords be seen?
    pub secrets: bool,
}
