//! Parts for the tests: a nats-server, a scripted ARI, a real Asterisk.
