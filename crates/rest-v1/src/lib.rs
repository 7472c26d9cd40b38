//! The REST API of Routr v1 (`/api/v1beta1`), for its clients: rctl of either edition, its web console, scripts.
//!
//! | path | what it does |
//! | --- | --- |
//! | `GET /credentials`, `/token` | HTTP Basic against the users: a token |
//! | `GET /{agents,domains,gateways,dids,numbers,peers}` | list, with `filter`, `page`, `itemsPerPage` |
//! | `GET /{…}/{ref}` | one |
//! | `POST`, `PUT`, `DELETE` on these | checked, then made by the data provider; 405 for files, which are changed with an editor |
//! | `GET /location`, `DELETE /location[/{aor}]`, `POST /location/{aor}` | who is registered where |
//! | `GET /registry` | registrations at gateways |
//! | `GET /api/docs` | the OpenAPI document, without a token |
//! | `GET /system/status`, `info`, `config`, `logs`; `POST /system/status/{down,restarting}` | the process |
//!
//! A token comes as `?token=` or as a bearer. What clients of one edition do not know they pass over, so lists are
//! given under both names, `result` and `data`; where the editions contradict each other the
//! [`Edition`](trunkline_model::dialect::v1::Edition) of the [`DataProvider`] decides.
//!
//! ```
//! use trunkline_rest_v1::Filter;
//!
//! let agents = serde_json::json!([{"spec": {"domains": ["sip.local"]}}, {"spec": {"domains": []}}]);
//! let filter = Filter::parse("'sip.local' in @.spec.domains")?;
//! assert_eq!(filter.select(&agents)?, [&agents[0]]);
//! # Ok::<(), trunkline_rest_v1::FilterError>(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod api;
mod change;
mod filter;
mod json_schema;
mod location;
mod multipart;
mod openapi;
mod operating;
mod provider;
mod query;
mod resources;
mod salt;
mod schema;
mod secrets;
mod system;
mod time;
mod token;
mod version;

pub use api::{KEY, Site, api};
pub use filter::{Filter, FilterError};
pub use provider::{Configuration, DataProvider};
pub use query::Query;
pub use salt::{SaltError, is_ours, salt_in};
pub use secrets::{is_secret, without_secret_parameters};
pub use token::{BadSalt, TokenKey};
