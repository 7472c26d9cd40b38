//! Headers that our proxies and clients add to messages. Go clients of ari-proxy ignore them.

/// In an answer to a request that went to several proxies: the node that answers.
pub const NODE: &str = "Trunkline-Node";

/// In an answer to a request that went to several proxies: the application of the proxy.
pub const APPLICATION: &str = "Trunkline-Application";

/// In a request: the client takes an answer in parts when it is longer than one message.
pub const PARTS: &str = "Trunkline-Parts";

/// In a part of an answer: which answer, which of its parts (from 0), of how many.
pub const PART: &str = "Trunkline-Part";

/// In an error: the answer is this long and was not asked for in parts.
pub const LENGTH: &str = "Trunkline-Length";

/// In an error: the HTTP status that Asterisk refused with.
pub const STATUS: &str = "Trunkline-Status";

/// In an error: the message that Asterisk refused with.
pub const MESSAGE: &str = "Trunkline-Message";
