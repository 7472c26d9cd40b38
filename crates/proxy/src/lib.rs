//! RFC 3261 section 16: targets, forking, Record-Route, loop detection (sans-IO).
