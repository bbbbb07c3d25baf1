"""Planes as record batches of Arrow, the form in which they are kept on disk and mapped.

Belongs here: from lists of codes and counts to planes, and between planes and record batches. A batch is read without
copying its planes. Does not belong here: the arithmetic (``planes.py``), and files (``storage/mapped.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.kernels.bases import readonly
from opengenome_assets.kernels.planes import Planes, pack
from opengenome_assets.kernels.profiles import KMERS, SequenceKmers

# Rows that one thread scores at once, and rows of a record batch.
BATCH_ROWS = 1024

_WHOLE, _PLACES, _KEYS, _DIGITS = "whole", "whole_places", "keys", "digits"

SCHEMA = pa.schema(
    [
        (_WHOLE, pa.list_(pa.binary(KMERS))),
        (_PLACES, pa.list_(pa.uint8())),
        (_KEYS, pa.list_(pa.uint16())),
        (_DIGITS, pa.list_(pa.uint8())),
    ]
)


def pack_lists(codes: pa.ListArray, counts: pa.ListArray) -> Planes:
    """Pack the columns ``codes`` and ``counts`` of tfidf_index. Raises the errors of `planes.pack`."""
    offsets = codes.offsets.to_numpy().astype(np.int64)
    windows = np.zeros(len(codes), np.int64)  # not used here
    return pack(SequenceKmers(offsets - offsets[0], codes.flatten().to_numpy(), counts.flatten().to_numpy(), windows))


def to_batch(planes: Planes) -> pa.RecordBatch:
    """Return planes of up to `BATCH_ROWS` rows as a record batch of `SCHEMA`, without a copy of their bytes."""
    whole = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(KMERS), len(planes.whole), [None, pa.py_buffer(np.ascontiguousarray(planes.whole))]
    )
    return pa.record_batch(
        [
            _lists(planes.whole_offsets, whole),
            _lists(planes.whole_offsets, pa.array(planes.whole_places)),
            _lists(planes.digit_offsets, pa.array(planes.keys)),
            _lists(planes.digit_offsets, pa.array(planes.digits)),
        ],
        schema=SCHEMA,
    )


def from_batch(batch: pa.RecordBatch) -> Planes:
    """Return the planes of a record batch of `SCHEMA`; they lie in the batch's memory."""
    whole, places, keys, digits = (batch.column(name) for name in SCHEMA.names)
    content = whole.values.buffers()[1]
    return Planes(
        np.frombuffer(content if content is not None else b"", np.uint8, len(whole.values) * KMERS).reshape(-1, KMERS),
        _offsets(whole),
        places.values.to_numpy(),
        keys.values.to_numpy(),
        digits.values.to_numpy(),
        _offsets(keys),
    )


def _lists(offsets: npt.NDArray[np.int64], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _offsets(lists: Any) -> npt.NDArray[np.int64]:
    return readonly(lists.offsets.to_numpy().astype(np.int64))
