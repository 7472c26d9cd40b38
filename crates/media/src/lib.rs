//! The media relay.
#![forbid(unsafe_code)]
