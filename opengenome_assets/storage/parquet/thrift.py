"""Thrift's compact protocol, in which Parquet writes its footers and the headers of its pages.

Belongs here: the protocol, without any schema: a struct that is read and written again is the same, with all its
fields, whatever they mean. Does not belong here: what the fields mean (``pages.py``, ``parquet.py``).

After https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. Maps and sets are left out:
Parquet has none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
_MORE = 0x80  # the bit of a byte of a varint that another follows
_LONG_LIST = 15


class Field(NamedTuple):
    """A field of a struct: its type, and its value.

    The value of a struct is a :data:`Struct`, of a list a :class:`List`, of TRUE and FALSE that, of a DOUBLE its eight
    bytes.
    """

    kind: int
    value: Any


class List(NamedTuple):
    """A list: the type of its elements, and their values; those of truth values are the bytes that stand for them."""

    kind: int
    values: list[Any]


Struct = dict[int, Field]


def i32(value: int) -> Field:
    """Return a field that holds an integer of 32 bits."""
    return Field(I32, value)


def i64(value: int) -> Field:
    """Return a field that holds an integer of 64 bits."""
    return Field(I64, value)


def read_struct(data: bytes | memoryview, start: int = 0) -> tuple[Struct, int]:
    """Read a struct from bytes.

    Parameters
    ----------
    data
        Unsigned bytes.
    start
        Where the struct begins.

    Returns
    -------
    tuple
        The struct, and the position behind it.

    Raises
    ------
    ValueError
        If there is no whole struct.
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
        out += bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + _zigzag(number)
        out += _written(kind, value)
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
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self.byte()
        if kind in (I16, I32, I64):
            return self.zigzag()
        if kind == DOUBLE:
            return self.take(8)
        if kind == BINARY:
            return self.take(self.varint())
        if kind == LIST:
            return self.list()
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"byte {self.position:,} speaks of type {kind}, which Parquet does not use")

    def list(self) -> List:
        head = self.byte()
        size = self.varint() if head >> 4 == _LONG_LIST else head >> 4
        kind = head & 15
        element = BYTE if kind in (TRUE, FALSE) else kind
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
        return value >> 1 ^ -(value & 1)


def _written(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):  # said by the type
        return b""
    if kind == BYTE:
        return bytes([value])
    if kind in (I16, I32, I64):
        return _zigzag(value)
    if kind == BINARY:
        return write_varint(len(value)) + bytes(value)
    if kind == LIST:
        element, values = value
        size = len(values)
        short = size < _LONG_LIST
        head = bytes([size << 4 | element]) if short else bytes([_LONG_LIST << 4 | element]) + write_varint(size)
        return head + b"".join(_written(BYTE if element in (TRUE, FALSE) else element, item) for item in values)
    if kind == STRUCT:
        return write_struct(value)
    return bytes(value)  # a DOUBLE


def read_varint(data: bytes | memoryview, start: int) -> tuple[int, int]:
    """Return a number that :func:`write_varint` wrote, and the position behind it.

    Raises
    ------
    IndexError
        If the bytes end early.
    """
    value = shift = 0
    while (byte := data[start]) & _MORE:
        value |= (byte ^ _MORE) << shift
        shift += 7
        start += 1
    return value | byte << shift, start + 1


def write_varint(value: int) -> bytes:
    """Return a number from 0 on in groups of seven bits, the lowest first."""
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return write_varint(value << 1 ^ value >> 63)
