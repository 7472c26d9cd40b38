//! Our files against the tables of Routr 2.15.0 (`tables.txt`): packages, services, field numbers, types.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// One line of the tables, its parts in one order.
type Line = (String, BTreeSet<String>);

/// The lines of a file's tables.
fn of_tables() -> BTreeSet<Line> {
    let mut lines = BTreeSet::new();
    let mut package = "";
    for line in include_str!("tables.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some((_, name)) = line.split_once(" package ") {
            package = name;
        } else {
            let (head, parts) = line.split_once(": ").expect("a head and its parts");
            let by = if head.starts_with("service ") { "; " } else { ", " };
            lines.insert((format!("{package} {head}"), parts.split(by).map(str::to_owned).collect()));
        }
    }
    lines
}

/// The name of a type as the tables have it: bare in its own package.
fn short(name: &str, package: &str) -> String {
    match name.strip_prefix(&format!(".{package}.")) {
        Some(own) => own.rsplit('.').next().unwrap_or(own).to_owned(),
        None => name.strip_prefix(".fonoster.routr.").unwrap_or(name).to_owned(),
    }
}

fn field(field: &FieldDescriptorProto, message: &DescriptorProto, package: &str) -> String {
    let of_map = message.nested_type.iter().find(|nested| {
        nested.options.as_ref().is_some_and(|o| o.map_entry()) && field.type_name().ends_with(nested.name())
    });
    let kind = match field.r#type() {
        _ if of_map.is_some() => "map<string,string>".to_owned(),
        Type::String => "string".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Float => "float".to_owned(),
        Type::Message | Type::Enum => short(field.type_name(), package),
        other => panic!("{other:?}"),
    };
    let many = if of_map.is_none() && field.label() == Label::Repeated { "repeated " } else { "" };
    let one = field.oneof_index.map(|n| format!(" (oneof {})", message.oneof_decl[n as usize].name()));
    format!("{}:{} {many}{kind}{}", field.number(), field.name(), one.unwrap_or_default())
}

fn values(of: &EnumDescriptorProto) -> BTreeSet<String> {
    of.value.iter().map(|value| format!("{}={}", value.name(), value.number())).collect()
}

fn message(of: &DescriptorProto, under: &str, package: &str, lines: &mut BTreeSet<Line>) {
    let name = format!("{under}{}", of.name());
    let fields = of.field.iter().map(|one| field(one, of, package)).collect();
    lines.insert((format!("{package} msg {name}"), fields));
    for nested in of.nested_type.iter().filter(|n| !n.options.as_ref().is_some_and(|o| o.map_entry())) {
        message(nested, &format!("{name}."), package, lines);
    }
    for nested in &of.enum_type {
        lines.insert((format!("{package} enum {name}.{}", nested.name()), values(nested)));
    }
}

/// The same of our files.
fn of_files() -> BTreeSet<Line> {
    let files = FileDescriptorSet::decode(trunkline_wire::DESCRIPTORS).expect("descriptors");
    let mut lines = BTreeSet::new();
    for file in files.file.iter().filter(|file| !file.package().starts_with("google.")) {
        let package = file.package();
        assert_eq!(file.syntax(), "proto3");
        for of in &file.message_type {
            message(of, "", package, &mut lines);
        }
        for of in &file.enum_type {
            lines.insert((format!("{package} enum {}", of.name()), values(of)));
        }
        for service in &file.service {
            let method = |m: &prost_types::MethodDescriptorProto| {
                assert!(!m.client_streaming() && !m.server_streaming());
                format!(
                    "{}({})→{}",
                    m.name(),
                    short(m.input_type(), package),
                    short(m.output_type(), package)
                )
            };
            let methods = service.method.iter().map(method).collect();
            lines.insert((format!("{package} service {}", service.name()), methods));
        }
    }
    lines
}

#[test]
fn packages_numbers_and_types_are_those_of_routr() {
    let (theirs, ours) = (of_tables(), of_files());
    assert!(theirs.len() > 30, "{} lines", theirs.len());
    let only = |a: &BTreeSet<Line>, b: &BTreeSet<Line>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&theirs, &ours), Vec::<Line>::new(), "in the tables only");
    assert_eq!(only(&ours, &theirs), Vec::<Line>::new(), "in our files only");
}
