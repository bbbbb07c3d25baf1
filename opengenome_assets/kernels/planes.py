"""Byte planes: counts as a search scans them, one byte per 6-mer and digit.

A row of 4,096 counts is written in base 256, least significant digit first. Plane 0 holds the low bytes, plane 1 the
next ones, up to the last that is not empty. A plane with few digits other than 0 is kept as a list of them, any other
as 4,096 bytes. So a sequence of 100 bases costs about 300 bytes, an organelle 4,096, a bacterium twice that. Nothing is
rounded, and no row depends on another. A plane is read once, in order, and multiplied with whole numbers of 16 bits.
Processors have an instruction that multiplies such numbers and adds neighbouring products, so the sums wait for memory.
Two vectors, such as a query's and its reverse complement's, share that reading.

Belongs here: packing counts, and sums over packed rows. Does not belong here: the meaning of weights (tfidf.py), the
choice of rows, and their rank (``search``).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from opengenome_assets.kernels.bases import readonly
from opengenome_assets.kernels.profiles import KMERS, SequenceKmers

PLACES = 4  # of a count below 2**31

# A plane with more digits than this is kept whole: reading 4,096 bytes then takes no longer.
_FEW = 512

# Of whole weights, the largest and the largest sum: the sum of their products with 4,096 digits has 32 bits.
LARGEST_WEIGHT = 2**15 - 1
LARGEST_SUM = (2**31 - 1) // 255

# Digits that `_whole_dots` multiplies at once.
_LANES = 64


class Planes(NamedTuple):
    """Counts of n sequences.

    Attributes
    ----------
    whole : uint8 array of shape (w, 4096)
        Planes kept whole, by row, then place.
    whole_offsets : int64 array of shape (n + 1,)
        Row i has the planes ``whole_offsets[i]:whole_offsets[i + 1]``.
    whole_places : uint8 array of shape (w,)
        Their places: a digit counts 256**place times its value.
    keys : uint16 array of shape (s,)
        Digits kept singly, by row: the 6-mer, and the place times 4096.
    digits : uint8 array of shape (s,)
        The digits, none of them 0.
    digit_offsets : int64 array of shape (n + 1,)
        Row i has the digits ``digit_offsets[i]:digit_offsets[i + 1]``.
    """

    whole: npt.NDArray[np.uint8]
    whole_offsets: npt.NDArray[np.int64]
    whole_places: npt.NDArray[np.uint8]
    keys: npt.NDArray[np.uint16]
    digits: npt.NDArray[np.uint8]
    digit_offsets: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Number of sequences."""
        return len(self.whole_offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(array.nbytes for array in self)


def pack(kmers: SequenceKmers) -> Planes:
    """Pack counts into planes: base 256.

    Raises
    ------
    ValueError
        If the arrays do not fit together, a code is not that of a 6-mer, or a count is below 1.
    """
    places = len(kmers.codes)
    if not len(kmers.counts) == places == kmers.row_offsets[-1] or np.any(np.diff(kmers.row_offsets) < 0):
        raise ValueError(f"expected as many counts as codes, found {len(kmers.counts):,} and {places:,}")
    if places and not 0 <= kmers.codes.min() <= kmers.codes.max() < KMERS:
        raise ValueError(f"expected codes from 0 to 4,095, found {kmers.codes.min():,} to {kmers.codes.max():,}")
    if places and kmers.counts.min() < 1:
        raise ValueError(f"expected counts of at least 1, found {kmers.counts.min():,}")
    rows = [readonly(np.ascontiguousarray(array)) for array in kmers[:3]]
    n = len(kmers.row_offsets) - 1
    whole_offsets, digit_offsets = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    _measure(*rows, whole_offsets, digit_offsets)
    w, s = whole_offsets[-1], digit_offsets[-1]
    planes = Planes(
        np.zeros((w, KMERS), np.uint8),
        whole_offsets,
        np.empty(w, np.uint8),
        np.empty(s, np.uint16),
        np.empty(s, np.uint8),
        digit_offsets,
    )
    _fill(*rows, planes)
    return planes


def concatenate(parts: list[Planes]) -> Planes:
    """Join the rows of several sets of planes.

    Parameters
    ----------
    parts : list of Planes
        At least one.
    """

    def join(offsets: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        firsts = np.cumsum([0, *(each[-1] for each in offsets)])
        ends = [first + each[1:] for first, each in zip(firsts, offsets, strict=False)]
        return np.concatenate([np.zeros(1, np.int64), *ends])

    whole, whole_offsets, whole_places, keys, digits, digit_offsets = zip(*parts, strict=True)
    return Planes(
        np.concatenate(whole),
        join(list(whole_offsets)),
        np.concatenate(whole_places),
        np.concatenate(keys),
        np.concatenate(digits),
        join(list(digit_offsets)),
    )


def unpack(planes: Planes, row: int) -> npt.NDArray[np.int64]:
    """Return the counts of a row, shape (4096,)."""
    counts = np.empty(KMERS)
    _unpack(_read(planes), row, counts)
    return counts.astype(np.int64)


def norms(
    planes: Planes, weights: npt.NDArray[np.float64], first: int, stop: int, result: npt.NDArray[np.float64]
) -> None:
    """Write the Euclidean norms of the weighted rows from ``first`` to ``stop`` to these places of ``result``.

    Parameters
    ----------
    planes : Planes
        The counts.
    weights : float64 array of shape (4096,)
        Factor of each count.
    first, stop : int
        The rows.
    result : float64 array of shape (n,)
        Written.
    """
    _norms(_read(planes), readonly(weights), *_range(planes, first, stop), result)


def score(planes: Planes, weights: npt.NDArray[np.int16], first: int, stop: int) -> npt.NDArray[np.int64]:
    """Return the exact dot products of the rows from ``first`` to ``stop`` with whole weights.

    Parameters
    ----------
    planes : Planes
        The counts.
    weights : int16 array of shape (q, 4096)
        None negative, and each row's sum at most `LARGEST_SUM`.
    first, stop : int
        The rows.

    Returns
    -------
    int64 array of shape (q, stop - first)

    Raises
    ------
    IndexError
        If there is no such row.
    ValueError
        If the weights are negative or too large.
    """
    first, stop = _range(planes, first, stop)
    if weights.size and (weights.min() < 0 or weights.sum(axis=1, dtype=np.int64).max() > LARGEST_SUM):
        raise ValueError(f"expected weights from 0 and with a sum of at most {LARGEST_SUM:,}")
    sums = np.zeros((len(weights), stop - first), np.int64)
    _score(_read(planes), readonly(np.ascontiguousarray(weights)), first, stop, sums)
    return sums


def add_document_frequency(planes: Planes, rows: npt.NDArray[np.int64], frequency: npt.NDArray[np.int64]) -> None:
    """Add to ``frequency`` the number of the given rows with each 6-mer.

    Parameters
    ----------
    planes : Planes
        The counts.
    rows : int64 array of shape (m,)
    frequency : int64 array of shape (4096,)
        Changed.

    Raises
    ------
    IndexError
        If there is no such row.
    """
    _add_document_frequency(_read(planes), readonly(_rows(planes, rows)), frequency)


def dot(planes: Planes, weights: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return dot products of the given rows with weights, in 64 bits.

    The terms are added in a fixed order, so that equal rows give equal sums on every machine.

    Parameters
    ----------
    planes : Planes
        The counts.
    weights : float64 array of shape (4096,)
    rows : int64 array of shape (m,)

    Returns
    -------
    float64 array of shape (m,)

    Raises
    ------
    IndexError
        If there is no such row.
    """
    result = np.empty(len(rows))
    _dot(_read(planes), readonly(weights), readonly(_rows(planes, rows)), result)
    return result


def _read(planes: Planes) -> Planes:
    return Planes(*(readonly(array) for array in planes))


def _range(planes: Planes, first: int, stop: int) -> tuple[int, int]:
    if not 0 <= first <= stop <= planes.rows:
        raise IndexError(f"expected rows from 0 to {planes.rows:,}, found {first:,} to {stop:,}")
    return first, stop


def _rows(planes: Planes, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if len(rows) and not 0 <= rows.min() <= rows.max() < planes.rows:
        raise IndexError(f"expected rows from 0 to {planes.rows - 1:,}, found {rows.min():,} to {rows.max():,}")
    return rows


@njit(nogil=True)
def _largest(counts: Any) -> Any:
    largest = np.int32(0)
    for count in counts:
        largest = max(largest, count)
    return largest


@njit(nogil=True)
def _digits(counts: Any, shift: int) -> Any:
    """Number of counts whose digit at a place is not 0."""
    bits = np.int32(255 << shift)
    digits = np.int32(0)
    for count in counts:
        digits += np.int32((count & bits) != 0)
    return digits


@njit(cache=True, nogil=True)
def _measure(row_offsets: Any, codes: Any, counts: Any, whole_offsets: Any, digit_offsets: Any) -> None:
    for row in range(len(row_offsets) - 1):
        here = counts[row_offsets[row] : row_offsets[row + 1]]
        whole_offsets[row + 1], digit_offsets[row + 1] = whole_offsets[row], digit_offsets[row]
        largest, shift = _largest(here), 0
        while (largest >> shift) > 0:
            digits = _digits(here, shift)
            if digits > _FEW:
                whole_offsets[row + 1] += 1
            else:
                digit_offsets[row + 1] += digits
            shift += 8


@njit(cache=True, nogil=True)
def _fill(row_offsets: Any, codes: Any, counts: Any, planes: Any) -> None:
    for row in range(len(row_offsets) - 1):
        here = counts[row_offsets[row] : row_offsets[row + 1]]
        kmers = codes[row_offsets[row] : row_offsets[row + 1]]
        plane, single = planes.whole_offsets[row], planes.digit_offsets[row]
        largest, shift = _largest(here), 0
        while (largest >> shift) > 0:
            if _digits(here, shift) > _FEW:
                whole = planes.whole[plane]
                for place in range(len(here)):
                    whole[np.uint16(kmers[place])] = (here[place] >> shift) & 255
                planes.whole_places[plane] = shift // 8
                plane += 1
            else:
                for place in range(len(here)):
                    digit = (here[place] >> shift) & 255
                    if digit != 0:
                        planes.keys[single] = kmers[place] + KMERS * (shift // 8)
                        planes.digits[single] = digit
                        single += 1
            shift += 8


@njit(nogil=True)
def _unpack(planes: Any, row: int, counts: Any) -> None:
    """Write the counts of a row; 64-bit floats hold them exactly."""
    counts[:] = 0.0
    for plane in range(planes.whole_offsets[row], planes.whole_offsets[row + 1]):
        scale, whole = 256.0 ** planes.whole_places[plane], planes.whole[plane]
        for code in range(KMERS):
            counts[code] += scale * whole[code]
    for single in range(planes.digit_offsets[row], planes.digit_offsets[row + 1]):
        place, code = divmod(planes.keys[single], KMERS)
        counts[code] += 256.0**place * planes.digits[single]


@njit(nogil=True)
def _sum_of_products(some: Any, others: Any) -> float:
    """Eight sums side by side, so that the order is the same for any width of the machine's SIMD vectors."""
    a = b = c = d = e = f = g = h = 0.0
    for code in range(0, KMERS, 8):
        a += some[code] * others[code]
        b += some[code + 1] * others[code + 1]
        c += some[code + 2] * others[code + 2]
        d += some[code + 3] * others[code + 3]
        e += some[code + 4] * others[code + 4]
        f += some[code + 5] * others[code + 5]
        g += some[code + 6] * others[code + 6]
        h += some[code + 7] * others[code + 7]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit(cache=True, nogil=True)
def _norms(planes: Any, weights: Any, first: int, stop: int, result: Any) -> None:
    counts = np.empty(KMERS)
    for row in range(first, stop):
        _unpack(planes, row, counts)
        for code in range(KMERS):
            counts[code] *= weights[code]
        result[row] = np.sqrt(_sum_of_products(counts, counts))


@njit(cache=True, nogil=True)
def _add_document_frequency(planes: Any, rows: Any, frequency: Any) -> None:
    counts = np.empty(KMERS)
    for row in rows:
        _unpack(planes, row, counts)
        for code in range(KMERS):
            frequency[code] += np.int64(counts[code] != 0)


@njit(cache=True, nogil=True)
def _dot(planes: Any, weights: Any, rows: Any, result: Any) -> None:
    counts = np.empty(KMERS)
    for place in range(len(rows)):
        _unpack(planes, rows[place], counts)
        result[place] = _sum_of_products(counts, weights)


def _add_products(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Write code for the dot products, int32, of a plane (uint8) and vectors (int16), contiguous and (4096,) each.

    LLVM's own vectors, since it makes the instruction of pairs from a loop over one vector, and not from one over two.
    """
    plane, *vectors = (
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args, values, strict=True)
    )
    number, place = ir.IntType(32), ir.IntType(64)
    products, sums = ir.VectorType(number, _LANES), ir.VectorType(number, _LANES // 2)

    def load(array: Any, column: Any) -> Any:
        start, bits = builder.gep(array, [column]), array.type.pointee.width
        lanes = ir.VectorType(array.type.pointee, _LANES)
        return builder.load(builder.bitcast(start, lanes.as_pointer()), align=bits // 8)

    def neighbours(vector: Any, first: int) -> Any:
        return builder.shuffle_vector(vector, vector, ir.Constant(sums, list(range(first, _LANES, 2))))

    before, loop, after = (builder.block, *(builder.append_basic_block(name) for name in ("lanes", "end")))
    builder.branch(loop)
    builder.position_at_end(loop)
    column, *totals = (builder.phi(kind) for kind in (place, *(sums for _ in vectors)))
    read = builder.zext(load(plane, column), products)
    multiplied = [builder.mul(read, builder.sext(load(vector, column), products)) for vector in vectors]
    paired = [builder.add(neighbours(each, 0), neighbours(each, 1)) for each in multiplied]
    added = [builder.add(total, each) for total, each in zip(totals, paired, strict=True)]
    following = builder.add(column, place(_LANES))
    for phi, value in zip((column, *totals), (following, *added), strict=True):
        phi.add_incoming(ir.Constant(phi.type, None if phi.type == sums else 0), before)
        phi.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, place(KMERS)), loop, after)
    builder.position_at_end(after)
    name = f"llvm.vector.reduce.add.v{_LANES // 2}i32"
    reduce = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [sums]), name)
    return [builder.call(reduce, [each]) for each in added]


@intrinsic
def _whole_dot(typing: Any, digits: Any, vector: Any) -> Any:
    """Dot product of a plane and a vector."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _add_products(context, builder, signature, values)[0]

    return types.int32(digits, vector), codegen


@intrinsic
def _whole_dots(typing: Any, digits: Any, one: Any, other: Any) -> Any:
    """Dot products of a plane and two vectors."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, _add_products(context, builder, signature, values))

    return types.UniTuple(types.int32, 2)(digits, one, other), codegen


@njit(nogil=True)
def _single_dot(keys: Any, digits: Any, vector: Any) -> Any:
    """Dot product of single digits and a vector."""
    total = np.int64(0)
    for single in range(len(keys)):
        key = np.int64(keys[single])
        total += (np.int64(digits[single]) << (8 * (key // KMERS))) * vector[key & (KMERS - 1)]
    return total


@njit(cache=True, nogil=True)
def _score(planes: Any, weights: Any, first: int, stop: int, sums: Any) -> None:
    """Add up rows with vectors, two at a time, and the last of an odd number alone."""
    pairs = len(weights) // 2
    for row in range(first, stop):
        begin, end = planes.digit_offsets[row], planes.digit_offsets[row + 1]
        keys, digits = planes.keys[begin:end], planes.digits[begin:end]
        own = sums[:, row - first]
        for number in range(len(weights)):
            own[number] = _single_dot(keys, digits, weights[number])
        for plane in range(planes.whole_offsets[row], planes.whole_offsets[row + 1]):
            whole, shift = planes.whole[plane], 8 * np.int64(planes.whole_places[plane])
            for number in range(0, 2 * pairs, 2):
                one, other = _whole_dots(whole, weights[number], weights[number + 1])
                own[number] += np.int64(one) << shift
                own[number + 1] += np.int64(other) << shift
            if len(weights) > 2 * pairs:
                own[2 * pairs] += np.int64(_whole_dot(whole, weights[2 * pairs])) << shift
