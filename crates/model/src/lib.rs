//! The resources of an exchange, their validation, and the dialects that read them.
