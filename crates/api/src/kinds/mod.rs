//! The kinds of resources, one file each: to messages and from requests.

mod acl;
mod agent;
mod credentials;
mod domain;
mod number;
mod peer;
mod trunk;
