//! The router: who calls, may they, where to.
