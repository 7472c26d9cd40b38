//! The registrations that a late Routr v1 keeps in Redis: the hash `location`, a field for each AOR, whose value is a list of
//! routes in JSON.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// Where Routr reaches a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `sip:user@host`.
    pub aor: String,
    /// The Contact, rewritten by Routr where it does that.
    pub contact: String,
    /// Over TCP; otherwise over UDP.
    pub tcp: bool,
    /// Where its REGISTER came from, if Routr noted that.
    pub source: Option<SocketAddr>,
    /// When the registration ends, in milliseconds since 1970.
    pub expires_at: u64,
}

/// The routes of one field that are a phone's. Others are Routr's own: ways out through gateways, links of numbers, a second
/// route for a browser; and a browser's connection ends with the old server.
pub(super) fn read(aor: &str, value: &str) -> Vec<Route> {
    let routes: Value = serde_json::from_str(value).unwrap_or_default();
    let routes = routes.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_own = |route: &Value| ["thruGw", "isLinkAOR", "isSynth"].iter().any(|key| is(&route[*key]));
    routes.iter().filter(|route| !is_own(route)).filter_map(|route| read_one(aor, route)).collect()
}

fn read_one(aor: &str, route: &Value) -> Option<Route> {
    let contact = route["contactURI"].as_str()?.trim_matches(['<', '>', ' ']);
    let transport = route["transport"].as_str().unwrap_or("udp");
    let tcp = transport.eq_ignore_ascii_case("tcp");
    if !(tcp || transport.eq_ignore_ascii_case("udp")) || contact.contains(".invalid") {
        return None;
    }
    let ip = route["received"].as_str().or(route["sentByAddress"].as_str());
    let ip: Option<IpAddr> = ip.and_then(|text| text.trim_matches(['[', ']']).parse().ok());
    let port = number(&route["rport"]).or(number(&route["sentByPort"]));
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let ends = number(&route["registeredOn"])?.checked_add(number(&route["expires"])?.checked_mul(1000)?)?;
    Some(Route {
        aor: aor.to_owned(),
        contact: contact.to_owned(),
        tcp,
        source: ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port)),
        expires_at: ends,
    })
}

fn is(value: &Value) -> bool {
    value.as_bool().unwrap_or(value == "true")
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn routes_of_phones_are_read() {
        let phone = json!({"contactURI": "sip:1001@192.0.2.7:40000", "received": "192.0.2.7", "rport": 40000,
            "sentByAddress": "10.0.0.7", "sentByPort": 5060, "registeredOn": 1_000, "expires": "600",
            "thruGw": false, "isLinkAOR": false, "nat": true, "transport": "udp"});
        let mut tcp = phone.clone();
        tcp["transport"] = "TCP".into();
        tcp.as_object_mut().expect("a map").retain(|key, _| key != "received" && key != "rport");
        let mut all = vec![phone, tcp];
        for (key, value) in [
            ("thruGw", json!(true)),
            ("isSynth", json!("true")),
            ("transport", json!("wss")),
            ("contactURI", json!("sip:x@abc.invalid")),
            ("registeredOn", json!(-1)),
            ("expires", json!(u64::MAX)),
        ] {
            let mut other = all[0].clone();
            other[key] = value;
            all.push(other);
        }
        let found = read("sip:1001@a.example", &Value::Array(all).to_string());
        let route = |tcp, source: &str| Route {
            aor: "sip:1001@a.example".into(),
            contact: "sip:1001@192.0.2.7:40000".into(),
            tcp,
            source: source.parse().ok(),
            expires_at: 601_000,
        };
        assert_eq!(found, [route(false, "192.0.2.7:40000"), route(true, "10.0.0.7:5060")]);
        for nonsense in ["", "{", "{}", "[1]", "[{}]", "null"] {
            assert_eq!(read("sip:a@b", nonsense), [], "{nonsense}");
        }
    }
}
