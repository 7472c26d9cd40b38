//! HTTP digest for SIP: RFC 7616 and RFC 8760, stateless nonces (sans-IO).
