//! The location service: AOR to bindings, selection, persistence.
