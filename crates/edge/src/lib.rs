//! EdgePort: shards that tie transport, transactions and the router together.
