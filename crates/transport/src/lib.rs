//! Sockets: UDP batches, TCP framing, flows.
