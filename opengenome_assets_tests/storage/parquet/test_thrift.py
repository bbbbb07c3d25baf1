"""Thrift: what Arrow has written is understood, and written again byte for byte."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.storage.parquet.thrift import Field, List, Type, read_struct, write_struct

PLAIN = {
    Type.BYTE: st.integers(0, 255),
    Type.I16: st.integers(-(2**15), 2**15 - 1),
    Type.I32: st.integers(-(2**31), 2**31 - 1),
    Type.I64: st.integers(-(2**63), 2**63 - 1),
    Type.DOUBLE: st.binary(min_size=8, max_size=8),
    Type.BINARY: st.binary(max_size=300),
}


def lists(kind: int, values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(values, max_size=40).map(lambda found: Field(Type.LIST, List(kind, found)))


def structs(fields: st.SearchStrategy) -> st.SearchStrategy:
    return st.dictionaries(st.integers(1, 2**15 - 1), fields, max_size=5)


FIELDS = st.recursive(
    st.one_of(
        st.sampled_from([Field(Type.TRUE, True), Field(Type.FALSE, False)]),
        *(values.map(lambda value, kind=kind: Field(kind, value)) for kind, values in PLAIN.items()),
        *(lists(kind, values) for kind, values in PLAIN.items()),
        lists(Type.TRUE, st.sampled_from([1, 2])),
    ),
    lambda inner: st.one_of(
        structs(inner).map(lambda value: Field(Type.STRUCT, value)), lists(Type.STRUCT, structs(inner))
    ),
    max_leaves=20,
)


@given(structs(FIELDS), st.binary(max_size=5), st.binary(max_size=5))
def test_a_struct_is_read_as_it_was_written_wherever_it_lies(struct, before, after):
    written = write_struct(struct)
    assert read_struct(before + written + after, len(before)) == (struct, len(before) + len(written))


def footer(table: pa.Table, **options: object) -> bytes:
    written = pa.BufferOutputStream()
    pq.write_table(table, written, **options)
    file = written.getvalue().to_pybytes()
    return file[-8 - int.from_bytes(file[-8:-4], "little") : -8]


@pytest.mark.parametrize("columns", [1, 14, 15, 40])  # lists of 15 and more say so in another way
def test_footers_of_arrow_are_written_again_byte_for_byte(columns):
    table = pa.table({f"column {n}": pa.array([n, None, -n]) for n in range(columns)} | {"lists": [[1], [], None]})
    made = footer(table, row_group_size=1, sorting_columns=[pq.SortingColumn(0)], write_page_index=True)
    struct, end = read_struct(made)
    assert end == len(made)
    assert write_struct(struct) == made
    assert struct[3].value == 3  # rows


@given(st.binary(max_size=60))
def test_bytes_that_are_no_struct_are_refused_and_nothing_else_happens(data):
    try:
        struct, end = read_struct(data)
    except ValueError:
        return
    assert end <= len(data)
    assert read_struct(write_struct(struct))[0] == struct


def test_a_struct_that_is_cut_anywhere_is_refused():
    made = footer(pa.table({"a": ["x", "y"], "b": [1.5, 2.5]}))
    for size in range(len(made)):
        with pytest.raises(ValueError, match="no Thrift struct from byte 0 on"):
            read_struct(made[:size])


def test_structs_in_structs_without_end_are_refused():
    with pytest.raises(ValueError, match="no Thrift struct"):
        read_struct(b"\x1c" * 100_000)
