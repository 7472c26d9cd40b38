//! The RFC 3261 section 17 transaction machines and a timer wheel (sans-IO).
