"""Text and codes: the views of sequence text that kernels take, and the meaning of k-mer codes.

Belongs here: plain NumPy and Arrow. Does not belong here: compiled reading of the letters (runs.py).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LETTERS = "ACGT"

Letters = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.signedinteger[Any]]  # int32 or int64


def arrow_text(array: pa.Array) -> tuple[Letters, Offsets]:
    """View an Arrow string array as text, without copying (zero-copy).

    Parameters
    ----------
    array : pyarrow.Array
        Of type string or large_string (or binary, large_binary), possibly a slice, without nulls.

    Returns
    -------
    data : uint8 array
        The array's whole character buffer, read-only.
    offsets : int32 or int64 array of shape (len(array) + 1,)
        Positions in ``data``, read-only. They need not begin with 0.

    Raises
    ------
    TypeError
        If the array is of another type.
    ValueError
        If an entry is null.
    """
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        offset_type: type[np.signedinteger[Any]] = np.int32
    elif pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        offset_type = np.int64
    else:
        raise TypeError(f"expected an Arrow string or large_string array, found {array.type}")
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} sequences are null; drop them or fill them with '' first")
    _, offset_buffer, data_buffer = array.buffers()
    if len(array) == 0:  # Arrow allows an empty array without buffers
        return readonly(np.zeros(0, np.uint8)), readonly(np.zeros(1, offset_type))
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, offset_type)[array.offset : array.offset + len(array) + 1]
    return readonly(data), readonly(offsets)


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """View of an array that cannot be written, or the array if it cannot be written itself.

    Arrow's buffers are read-only, and Numba compiles read-only and writable arrays separately. Every input is
    read-only, so that each kernel is compiled once.
    """
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def kernel_text(data: Letters, offsets: Offsets) -> tuple[Letters, npt.NDArray[np.int64]]:
    """Text in the one form that kernels are compiled for; checked here, since kernels read memory unchecked.

    Parameters
    ----------
    data : uint8 array
        Letters of all sequences, contiguous.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Ascending positions in ``data``.

    Returns
    -------
    data : uint8 array
        The same memory, read-only.
    offsets : int64 array of shape (sequences + 1,)
        Read-only.

    Raises
    ------
    TypeError
        If ``data`` is not uint8 or ``offsets`` not int32 or int64.
    ValueError
        If the offsets are empty, descend, or leave ``data``.
    """
    if data.dtype != np.uint8 or data.ndim != 1 or not data.flags.c_contiguous:
        raise TypeError(f"expected contiguous uint8 letters of one dimension, found {data.dtype} {data.shape}")
    if offsets.dtype not in (np.int32, np.int64) or offsets.ndim != 1:
        raise TypeError(f"expected int32 or int64 offsets of one dimension, found {offsets.dtype}")
    if len(offsets) == 0:
        raise ValueError("expected one offset more than there are sequences, found no offset")
    if offsets[0] < 0 or offsets[-1] > len(data) or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError(
            f"offsets must ascend from 0 or more to at most the {len(data)} letters given, "
            f"found {offsets[0]} to {offsets[-1]}"
        )
    return readonly(data), readonly(np.ascontiguousarray(offsets, np.int64))


def kmer_strings(k: int) -> npt.NDArray[np.str_]:
    """All k-mers in lexicographic order, so that ``kmer_strings(k)[code]`` spells a code.

    Returns
    -------
    str array of shape (4**k,)
    """
    letters = np.frombuffer(LETTERS.encode("utf-32-le"), np.uint32)
    codes = np.arange(4**k)
    spelling = np.empty((4**k, k), np.uint32)
    for position in range(k):
        spelling[:, position] = letters[(codes >> (2 * (k - 1 - position))) & 3]
    return spelling.view(f"<U{k}").ravel()


def reverse_complement_codes(k: int) -> npt.NDArray[np.int64]:
    """Code of the reverse complement of every k-mer.

    Returns
    -------
    int64 array of shape (4**k,)
        Its own inverse; entry i belongs to the k-mer of code i.
    """
    codes = np.arange(4**k, dtype=np.int64)
    reverse = np.zeros_like(codes)
    for position in range(k):
        reverse = (reverse << 2) | (3 - ((codes >> (2 * position)) & 3))
    return reverse
