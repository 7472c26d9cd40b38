//! Reason phrases that are not those of their status.

/// The phrase of the 403 to a digest that was made for another Request-URI.
pub const OTHER_TARGET: &str = "Digest URI Differs From Request-URI";
/// The phrase of the 403 to a peer that shows who it is from elsewhere than its list says.
pub const OFF_LIST: &str = "Address Not on the List";
/// As Routr says it.
pub(crate) const NO_DOD_NUMBER: &str =
    "Missing or empty 'X-DOD-Number' header required for peer-to-pstn routing";
pub(crate) const UNKNOWN_DOD_NUMBER: &str = "No Number found for X-DOD-Number";

/// All of them.
pub(crate) const REASONS: [&str; 4] = [OTHER_TARGET, OFF_LIST, NO_DOD_NUMBER, UNKNOWN_DOD_NUMBER];
