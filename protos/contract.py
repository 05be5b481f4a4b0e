"""What the services have promised each other on the wire, a line for each fact: contract.txt, kept by `make protos`.

Facts may be added. A field that is renumbered, renamed, retyped, moved into or out of a oneof, or taken away without
`reserved` for its number and its name, and an rpc or message that is gone or takes something else, break a release
that still runs beside the new one: `make protos` and `make lint` refuse them.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

TEXT = Path(__file__).with_name("contract.txt")
RESERVED = "reserved"
MAX_RANGE = 1000  # numbers of one `reserved` range, each of which is a fact
_Field = descriptor_pb2.FieldDescriptorProto
_LABELS = {_Field.LABEL_REPEATED: "repeated "}

Facts = Mapping[str, str]  # "dipeo.store.v1.Event 3" -> "seq int64"


def facts(folder: Path, protos: Sequence[str]) -> dict[str, str]:
    """Of these files below `folder`. Raises RuntimeError when protoc refuses one."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile() as file:
        if protoc.main(["protoc", f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={file.name}", *protos]):
            raise RuntimeError("protoc refused the .proto files; see its words above")
        described = descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes())
    return dict(fact for one in described.file for fact in _of_file(one))


def read() -> dict[str, str]:
    lines = (line.partition(": ") for line in TEXT.read_text().splitlines())
    return {fact: value for fact, _, value in lines}


def write(found: Facts) -> None:
    TEXT.write_text("".join(f"{fact}: {value}\n" for fact, value in found.items()))


def broken(promised: Facts, found: Facts) -> list[str]:
    """What is not kept, a sentence each."""
    return [_sentence(fact, promised[fact], found.get(fact, "")) for fact in promised if _breaks(fact, promised, found)]


def _breaks(fact: str, promised: Facts, found: Facts) -> bool:
    if found.get(fact, "") == promised[fact]:
        return False
    owner, _, _ = fact.rpartition(" ")
    name, _, _ = promised[fact].partition(" ")
    retired = found.get(fact) == RESERVED and found.get(f'{owner} "{name}"') == RESERVED
    return not retired


def _sentence(fact: str, promised: str, found: str) -> str:
    if found in ("", RESERVED):
        missing = "reserve its number and its name" if fact[-1].isdigit() else "keep it"
        return f"{fact}: {promised} is gone; {missing}"
    return f"{fact}: was {promised}, is {found}; leave it and add another"


# --- descriptors -> facts --------------------------------------------------------------------------------------------


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for message in file.message_type:
        yield from _of_message(file.package, message)
    for enum in file.enum_type:
        yield from _of_enum(file.package, enum)
    for service in file.service:
        for method in service.method:
            taken, given = _streamed(method.client_streaming), _streamed(method.server_streaming)
            value = f"{taken}{method.input_type[1:]} -> {given}{method.output_type[1:]}"
            yield f"{file.package}.{service.name}/{method.name}", value


def _of_message(scope: str, message: descriptor_pb2.DescriptorProto) -> Iterator[tuple[str, str]]:
    name = f"{scope}.{message.name}"
    yield name, "message"
    for field in message.field:
        yield f"{name} {field.number}", f"{field.name} {_type_of(field)}{_oneof_of(field, message)}"
    yield from _reserved(name, message, last=-1)  # ends are exclusive
    for enum in message.enum_type:
        yield from _of_enum(name, enum)
    for nested in message.nested_type:
        yield from _of_message(name, nested)


def _of_enum(scope: str, enum: descriptor_pb2.EnumDescriptorProto) -> Iterator[tuple[str, str]]:
    name = f"{scope}.{enum.name}"
    yield name, "enum"
    for value in enum.value:
        yield f"{name} {value.number}", value.name
    yield from _reserved(name, enum, last=0)


def _reserved(
    name: str, holder: descriptor_pb2.DescriptorProto | descriptor_pb2.EnumDescriptorProto, *, last: int
) -> Iterator[tuple[str, str]]:
    for it in holder.reserved_range:
        if it.end - it.start > MAX_RANGE:
            raise RuntimeError(f"{name}: reserve the numbers that were used, not a range of {it.end - it.start}")
        for number in range(it.start, it.end + last + 1):
            yield f"{name} {number}", RESERVED
    for word in holder.reserved_name:
        yield f'{name} "{word}"', RESERVED


def _type_of(field: descriptor_pb2.FieldDescriptorProto) -> str:
    named = field.type_name.removeprefix(".") or _Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    return _LABELS.get(field.label, "") + named


def _oneof_of(field: descriptor_pb2.FieldDescriptorProto, message: descriptor_pb2.DescriptorProto) -> str:
    if field.proto3_optional:
        return " optional"
    return f" in {message.oneof_decl[field.oneof_index].name}" if field.HasField("oneof_index") else ""


def _streamed(streaming: bool) -> str:
    return "stream " if streaming else ""
