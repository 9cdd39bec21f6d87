"""Reads the protocol's facts out of the official Python package.

The package embeds serialized descriptors; this prints one sorted line for every message, field,
enum value and method. `proto/tests/official_client.facts` is such a print, and the test beside it
compares our own descriptors with it.

    python descriptors.py                 print the facts of the installed package
    python descriptors.py --check FILE    exit 1 if FILE differs from the installed package

Runs in the interpreter that has `rocketmq-python-client` (see `make interop-tools`).
"""

import sys

from google.protobuf import descriptor_pb2
from rocketmq.grpc_protocol import admin_pb2, definition_pb2, service_pb2

FieldDescriptor = descriptor_pb2.FieldDescriptorProto


def type_name(field):
    """The type as a .proto file spells it; messages and enums with their package."""
    if field.type_name:
        return field.type_name
    return FieldDescriptor.Type.Name(field.type).removeprefix("TYPE_").lower()


def label(message, field):
    """`repeated`, `optional` (proto3, explicit), `oneof:NAME` or `singular`."""
    if field.label == FieldDescriptor.LABEL_REPEATED:
        return "repeated"
    if field.proto3_optional:
        return "optional"
    if field.HasField("oneof_index"):
        return f"oneof:{message.oneof_decl[field.oneof_index].name}"
    return "singular"


def message_facts(message, scope):
    name = f"{scope}.{message.name}"
    yield f"message {name}"
    for field in message.field:
        yield f"field {name}.{field.name} = {field.number} {type_name(field)} {label(message, field)}"
    for enum in message.enum_type:
        yield from enum_facts(enum, name)
    for nested in message.nested_type:
        yield from message_facts(nested, name)


def enum_facts(enum, scope):
    for value in enum.value:
        yield f"enum {scope}.{enum.name}.{value.name} = {value.number}"


def service_facts(service, scope):
    for method in service.method:
        request = ("stream " if method.client_streaming else "") + method.input_type
        response = ("stream " if method.server_streaming else "") + method.output_type
        yield f"rpc {scope}.{service.name}.{method.name} {request} -> {response}"


def facts(file):
    scope = f".{file.package}"
    for message in file.message_type:
        yield from message_facts(message, scope)
    for enum in file.enum_type:
        yield from enum_facts(enum, scope)
    for service in file.service:
        yield from service_facts(service, scope)


def package_facts():
    lines = []
    for module in (definition_pb2, service_pb2, admin_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        lines.extend(facts(file))
    return sorted(lines)


def main():
    lines = package_facts()
    if len(sys.argv) == 1:
        print("\n".join(lines))
        return 0
    if len(sys.argv) != 3 or sys.argv[1] != "--check":
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[2], encoding="utf-8") as recorded:
        ours = recorded.read().splitlines()
    missing = sorted(set(lines) - set(ours))
    extra = sorted(set(ours) - set(lines))
    for line in missing:
        print(f"only in the package: {line}", file=sys.stderr)
    for line in extra:
        print(f"only in {sys.argv[2]}: {line}", file=sys.stderr)
    if missing or extra:
        return 1
    print(f"{sys.argv[2]}: {len(lines)} facts, equal to the installed package")
    return 0


if __name__ == "__main__":
    sys.exit(main())
