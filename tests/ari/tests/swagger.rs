//! Types and operations against Asterisk's own Swagger files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use trunkline_ari::{Event, EventType, OPERATIONS, model};
use trunkline_tests_ari::asterisk::rest_api;

fn descriptions() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(rest_api()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "json") && name != "resources" {
            all.insert(name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
    all
}

#[test]
fn every_operation_and_parameter_is_known() {
    let mut seen = 0;
    for (resource, description) in descriptions() {
        for api in description["apis"].as_array().unwrap() {
            for operation in api["operations"].as_array().into_iter().flatten() {
                seen += 1;
                let (nickname, method) =
                    (operation["nickname"].as_str().unwrap(), operation["httpMethod"].as_str().unwrap());
                let ours = OPERATIONS.iter().find(|o| o.resource == resource && o.nickname == nickname);
                let ours = ours.unwrap_or_else(|| panic!("{resource}.{nickname} is not in the table"));
                assert_eq!((ours.method, ours.path), (method, api["path"].as_str().unwrap()));
                let parameters: Vec<_> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|p| p["paramType"] != "path")
                    .map(|p| p["name"].as_str().unwrap())
                    .collect();
                assert_eq!(ours.parameters, parameters, "{resource}.{nickname}");
            }
        }
    }
    assert_eq!(seen, OPERATIONS.len());
    println!("{seen} operations agree with Asterisk's description");
}

/// A value of a Swagger type with every member of every model filled in.
fn sample(kind: &str, models: &Map<String, Value>) -> Value {
    if let Some(inner) = kind.strip_prefix("List[") {
        return json!([sample(inner.trim_end_matches(']'), models)]);
    }
    match kind {
        "string" | "Date" => json!("text"),
        "int" | "long" => json!(7),
        "double" => json!(1.5),
        "boolean" => json!(true),
        "object" => json!({"any": ["thing"]}),
        name => {
            let model = models.get(name).unwrap_or_else(|| panic!("no model {name}"));
            let members = model["properties"].as_object().unwrap();
            members.iter().map(|(n, p)| (n.clone(), sample(p["type"].as_str().unwrap(), models))).collect()
        }
    }
}

macro_rules! round_trips {
    ($models:expr, $seen:expr, $($swagger:literal => $ours:ty),* $(,)?) => {
        $({
            let want = sample($swagger, $models);
            let read: $ours = serde_json::from_value(want.clone()).unwrap_or_else(|e| panic!("{}: {e}", $swagger));
            assert_eq!(serde_json::to_value(&read).unwrap(), want, $swagger);
            $seen.insert($swagger.to_owned());
        })*
    };
}

#[test]
fn every_member_of_every_model_is_carried() {
    let mut models = Map::new();
    for description in descriptions().values() {
        models.extend(description["models"].as_object().cloned().unwrap_or_default());
    }
    let mut seen = BTreeSet::new();
    round_trips!(&models, seen,
        "Application" => model::Application, "BuildInfo" => model::BuildInfo, "SystemInfo" => model::SystemInfo,
        "SetId" => model::SetId, "ConfigInfo" => model::ConfigInfo, "StatusInfo" => model::StatusInfo,
        "AsteriskInfo" => model::AsteriskInfo, "AsteriskPing" => model::AsteriskPing, "Module" => model::Module,
        "LogChannel" => model::LogChannel, "Variable" => model::Variable, "Variables" => model::Variables,
        "ConfigTuple" => model::ConfigTuple, "Bridge" => model::Bridge, "DialplanCEP" => model::Dialplan,
        "CallerID" => model::CallerId, "RTPstat" => model::RtpStatistics, "Channel" => model::Channel,
        "DeviceState" => model::DeviceState, "Endpoint" => model::Endpoint, "TextMessage" => model::TextMessage,
        "ContactInfo" => model::ContactInfo, "Peer" => model::Peer, "ReferTo" => model::ReferTo,
        "ReferredBy" => model::ReferredBy, "RequiredDestination" => model::RequiredDestination,
        "AdditionalParam" => model::AdditionalParam, "Mailbox" => model::Mailbox, "Playback" => model::Playback,
        "StoredRecording" => model::StoredRecording, "LiveRecording" => model::LiveRecording,
        "FormatLangPair" => model::FormatLangPair, "Sound" => model::Sound,
    );
    // The base types and the frames of REST over the WebSocket are not objects of their own here.
    seen.extend(
        [
            "Message",
            "Event",
            "Dialed",
            "MissingParams",
            "RESTRequest",
            "RESTHeader",
            "RESTQueryStringParameter",
        ]
        .map(str::to_owned),
    );

    let types: Vec<_> = models["Event"]["subTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types.len(), EventType::ALL.len());
    for name in types {
        let mut want = sample(&name, &models);
        for common in ["application", "asterisk_id", "timestamp"] {
            want[common] = json!("text");
        }
        want["type"] = json!(name);
        let event = Event::read(&want.to_string().into()).unwrap();
        assert_eq!(event.event_type().map(EventType::name), Some(name.as_str()));
        assert_eq!(event.to_value().unwrap(), want);
        seen.insert(name);
    }
    let missing: Vec<_> = models.keys().filter(|m| !seen.contains(*m)).collect();
    assert!(missing.is_empty(), "models without a type: {missing:?}");
    println!("{} models and {} events agree with Asterisk's description", models.len(), EventType::ALL.len());
}
