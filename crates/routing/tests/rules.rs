//! The tests of the rules, in one program: each one of its own would have to be linked.

mod common;

mod calls;
mod diversions;
mod golden;
mod headers;
mod inside;
mod phones;
mod registrations;
mod robustness;
mod routr_v1;
mod spellings;
mod strangers;
mod tenants;
