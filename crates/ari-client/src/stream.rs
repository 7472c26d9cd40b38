//! The headers of messages in the JetStream stream.

/// Header: the start of the proxy that numbers the events.
pub const EPOCH: &str = "Trunkline-Epoch";

/// Header: the number of the event within its node and epoch, from 1 without gaps.
pub const SEQUENCE: &str = "Trunkline-Sequence";

/// Header: the eldest number that the proxy still held when it sent the message. What is numbered
/// below it is in the stream before this message, or will never be: the outbox had no room for it.
pub const OLDEST: &str = "Trunkline-Oldest";

/// Header: the message is no event but notes that events of unknown number were lost; its value
/// says where (`asterisk`: the WebSocket to Asterisk was down).
pub const GAP: &str = "Trunkline-Gap";
