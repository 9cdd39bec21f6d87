//! Our `apache.rocketmq.v2` against the one inside an official client: every message, field, enum
//! value and method is equal, in both directions.
//!
//! `official_client.facts` is what `interop/descriptors.py` prints from the official Python package;
//! `make interop` checks that it still equals the installed package. `newer_than_client.facts` holds
//! what the public interface definition added since that package was made.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};
use std::collections::BTreeSet;

const PACKAGE: &str = "apache.rocketmq.v2";
const OFFICIAL: &str = include_str!("official_client.facts");
const NEWER: &str = include_str!("newer_than_client.facts");

/// The field's type as a .proto file spells it; messages and enums with their package.
fn type_name(field: &FieldDescriptorProto) -> String {
    match field.type_name() {
        "" => Type::try_from(field.r#type.expect("a field has a type"))
            .expect("a known type")
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
        name => name.to_owned(),
    }
}

fn label(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if field.label() == Label::Repeated {
        "repeated".to_owned()
    } else if field.proto3_optional() {
        "optional".to_owned()
    } else if let Some(index) = field.oneof_index {
        format!("oneof:{}", message.oneof_decl[index as usize].name())
    } else {
        "singular".to_owned()
    }
}

fn message_facts(message: &DescriptorProto, scope: &str, facts: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name());
    facts.insert(format!("message {name}"));
    for field in &message.field {
        let (number, kind, label) = (field.number(), type_name(field), label(message, field));
        facts.insert(format!("field {name}.{} = {number} {kind} {label}", field.name()));
    }
    for nested in &message.enum_type {
        enum_facts(nested, &name, facts);
    }
    for nested in &message.nested_type {
        message_facts(nested, &name, facts);
    }
}

fn enum_facts(declared: &EnumDescriptorProto, scope: &str, facts: &mut BTreeSet<String>) {
    for value in &declared.value {
        facts.insert(format!("enum {scope}.{}.{} = {}", declared.name(), value.name(), value.number()));
    }
}

fn service_facts(service: &ServiceDescriptorProto, scope: &str, facts: &mut BTreeSet<String>) {
    let stream = |yes: bool| if yes { "stream " } else { "" };
    for method in &service.method {
        facts.insert(format!(
            "rpc {scope}.{}.{} {}{} -> {}{}",
            service.name(),
            method.name(),
            stream(method.client_streaming()),
            method.input_type(),
            stream(method.server_streaming()),
            method.output_type(),
        ));
    }
}

fn our_facts() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).expect("our own descriptors decode");
    let scope = format!(".{PACKAGE}");
    let mut facts = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == PACKAGE) {
        file.message_type.iter().for_each(|message| message_facts(message, &scope, &mut facts));
        file.enum_type.iter().for_each(|declared| enum_facts(declared, &scope, &mut facts));
        file.service.iter().for_each(|service| service_facts(service, &scope, &mut facts));
    }
    facts
}

#[test]
fn our_descriptors_equal_the_official_ones() {
    let official: BTreeSet<String> = OFFICIAL.lines().chain(NEWER.lines()).map(str::to_owned).collect();
    assert!(OFFICIAL.lines().count() > 400, "the recorded facts are cut short: {}", OFFICIAL.lines().count());
    let ours = our_facts();
    let missing: Vec<_> = official.difference(&ours).collect();
    let extra: Vec<_> = ours.difference(&official).collect();
    assert!(missing.is_empty() && extra.is_empty(), "only official: {missing:#?}\nonly ours: {extra:#?}");
}

/// What is newer than the package is an addition: it never redefines a fact of the package.
#[test]
fn the_newer_facts_only_add() {
    let key = |line: &str| line.split(" = ").next().unwrap_or(line).to_owned();
    let official: BTreeSet<_> = OFFICIAL.lines().map(key).collect();
    let redefined: Vec<_> = NEWER.lines().map(key).filter(|fact| official.contains(fact)).collect();
    assert!(redefined.is_empty(), "redefined: {redefined:#?}");
}

#[test]
fn the_descriptor_set_serves_reflection() {
    let pool =
        prost_reflect::DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("closed under imports");
    for service in
        ["apache.rocketmq.v2.MessagingService", "apache.rocketmq.v2.Admin", "ledgermq.admin.v1.Admin"]
    {
        assert!(pool.get_service_by_name(service).is_some(), "{service} is not in the set");
    }
}
