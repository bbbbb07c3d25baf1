"""Thrift's compact protocol, the serialization of Parquet's footers and page headers.

Belongs here: the protocol without a schema. A struct that is read and written again keeps all its fields, also unknown
ones. Does not belong here: the meaning of fields (``pages.py``, ``file.py``).

After https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. Maps and sets are left out:
Parquet has none.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

_CONTINUED = 0x80  # this bit of a varint's byte says that another byte follows
_LONG_LIST = 15  # from this size on, a list's size has bytes of its own


class Type(IntEnum):
    """Thrift's type numbers, those that Parquet uses."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    STRUCT = 12


_BOOLEANS = (Type.TRUE, Type.FALSE)
_INTEGERS = (Type.I16, Type.I32, Type.I64)


class Field(NamedTuple):
    """A field of a struct: its type and its value.

    The value is a :data:`Struct` for STRUCT, a :class:`List` for LIST, a bool for TRUE and FALSE, an int for integers,
    and bytes for BINARY. A DOUBLE stays eight bytes.
    """

    kind: int
    value: Any


class List(NamedTuple):
    """A list: the type of its elements, and their values. Booleans in a list stay the bytes that encode them."""

    kind: int
    values: list[Any]


Struct = dict[int, Field]


def i32(value: int) -> Field:
    """Return a field that holds an integer of 32 bits."""
    return Field(Type.I32, value)


def i64(value: int) -> Field:
    """Return a field that holds an integer of 64 bits."""
    return Field(Type.I64, value)


def read_struct(data: bytes | memoryview, start: int = 0) -> tuple[Struct, int]:
    """Read a struct from bytes.

    Parameters
    ----------
    data
        Unsigned bytes.
    start
        Offset of the struct.

    Returns
    -------
    tuple
        The struct, and the offset after it.

    Raises
    ------
    ValueError
        If the bytes hold no whole struct there.
    """
    reader = _Reader(data, start)
    try:
        return reader.struct(), reader.position
    except (IndexError, RecursionError) as error:
        raise ValueError(f"no Thrift struct from byte {start:,} on: {error}") from error


def write_struct(struct: Struct) -> bytes:
    """Return the bytes of a struct, its fields in ascending order."""
    out = bytearray()
    last = 0
    for number, (kind, value) in sorted(struct.items()):
        step = number - last
        out += bytes([(step << 4) | kind]) if step < 16 else bytes([kind]) + _zigzag(number)
        out += _encoded(kind, value)
        last = number
    return bytes(out) + b"\0"


class _Reader:
    def __init__(self, data: bytes | memoryview, position: int) -> None:
        self.data = data
        self.position = position

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = Field(head & 15, self.value(head & 15))
        return fields

    def value(self, kind: int) -> Any:
        if kind in _BOOLEANS:
            return kind == Type.TRUE
        if kind == Type.BYTE:
            return self.byte()
        if kind in _INTEGERS:
            return self.zigzag()
        if kind == Type.DOUBLE:
            return self.take(8)
        if kind == Type.BINARY:
            return self.take(self.varint())
        if kind == Type.LIST:
            return self.list()
        if kind == Type.STRUCT:
            return self.struct()
        raise ValueError(f"byte {self.position:,} names type {kind}, which Parquet does not use")

    def list(self) -> List:
        head = self.byte()
        size = self.varint() if head >> 4 == _LONG_LIST else head >> 4
        kind = head & 15
        element = Type.BYTE if kind in _BOOLEANS else kind
        return List(kind, [self.value(element) for _ in range(size)])

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def take(self, size: int) -> bytes:
        self.position += size
        if self.position > len(self.data):
            raise IndexError("bytes end early")
        return bytes(self.data[self.position - size : self.position])

    def varint(self) -> int:
        value, self.position = read_varint(self.data, self.position)
        return value

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)


def _encoded(kind: int, value: Any) -> bytes:
    if kind in _BOOLEANS:  # the type is the value
        return b""
    if kind == Type.BYTE:
        return bytes([value])
    if kind in _INTEGERS:
        return _zigzag(value)
    if kind == Type.BINARY:
        return write_varint(len(value)) + bytes(value)
    if kind == Type.LIST:
        return _encoded_list(value)
    if kind == Type.STRUCT:
        return write_struct(value)
    return bytes(value)  # a DOUBLE


def _encoded_list(items: List) -> bytes:
    kind, values = items
    size = len(values)
    head = bytes([(min(size, _LONG_LIST) << 4) | kind])
    if size >= _LONG_LIST:
        head += write_varint(size)
    element = Type.BYTE if kind in _BOOLEANS else kind
    return head + b"".join(_encoded(element, value) for value in values)


def read_varint(data: bytes | memoryview, start: int) -> tuple[int, int]:
    """Return a number that :func:`write_varint` wrote, and the offset after it.

    Raises
    ------
    IndexError
        If the bytes end early.
    """
    value = shift = 0
    while (byte := data[start]) & _CONTINUED:
        value |= (byte ^ _CONTINUED) << shift
        shift += 7
        start += 1
    return value | (byte << shift), start + 1


def write_varint(value: int) -> bytes:
    """Return a number, at least 0, as a varint: groups of seven bits, the lowest first."""
    out = bytearray()
    while value >= _CONTINUED:
        out.append((value & 0x7F) | _CONTINUED)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return write_varint((value << 1) ^ (value >> 63))
