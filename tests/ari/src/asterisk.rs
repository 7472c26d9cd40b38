//! A real Asterisk pair.
