//! SIP messages: index in place, typed headers on demand, URIs, splices, builders (sans-IO).
