//! What callers show to log in.

use trunkline_login::Presented;

/// Values of `Authorization` headers.
pub fn headers() -> Vec<Vec<u8>> {
    [
        "Basic YW5uOmNvcnJlY3QgaG9yc2U=",
        "basic  YTpi",
        "Basic Og==",
        "Bearer tl_kzq7v8",
        "BEARER x",
        "Digest username=\"a\"",
        "Basic",
        "",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A header: understood or refused, and never shown.
pub fn header(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(presented) = Presented::from_header(text) else { return };
    let shown = format!("{presented:?}");
    match &presented {
        Presented::Password { username, .. } => {
            assert!(!username.contains(':'), "RFC 7617 §2");
            assert_eq!(shown, format!("Password {{ username: {username:?}, .. }}"));
        }
        Presented::Token(_) => assert_eq!(shown, "Token(…)"),
    }
}
