//! SDP as seen in the field, for tests.

/// A browser's, as Chrome writes it.
pub(crate) const BROWSER: &[u8] = include_bytes!("../samples/browser.sdp");
/// A desk phone's, as SIPp's.
pub(crate) const PHONE: &[u8] = include_bytes!("../samples/phone.sdp");
/// A desk phone's with SRTP by RFC 4568.
pub(crate) const SRTP_PHONE: &[u8] = include_bytes!("../samples/srtp-phone.sdp");
