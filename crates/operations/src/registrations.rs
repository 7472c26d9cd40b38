//! Registrations of phones.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A binding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The AOR, e.g. `sip:1001@sip.local`.
    pub aor: String,
    /// The contact's URI.
    pub contact: String,
    /// In how many seconds it ends.
    pub expires: i64,
    /// The preference, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f32>,
    /// Transport and source address, e.g. `udp 192.0.2.7:5060`.
    pub flow: String,
    /// The User-Agent of the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// RFC 5626 `+sip.instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The address of the packet differs from the one in the contact.
    #[serde(default, skip_serializing_if = "is_false")]
    pub behind_nat: bool,
    /// The contact with the address that requests are sent to, if it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A contact that an operator adds to an AOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualContact {
    /// The user part of its URI.
    pub user: String,
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// For how many seconds it is registered.
    pub expires: u32,
}
