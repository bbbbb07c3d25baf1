"""Reading letters in machine code with SIMD: words of packed letters, masks of valid letters, runs between them.

Belongs here: the parts that every compiled loop over text is built from. Does not belong here: counting. The loads are
unchecked (`bases.kernel_text` checks once, before) and assume a little-endian machine (x86-64, ARM64).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

BLOCK = 64  # letters that one mask covers

_ALL_SET = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
IS_BASE = np.zeros(256, np.bool_)
IS_BASE[list(b"ACGTacgt")] = True


def _load(context: Any, builder: Any, signature: Any, arguments: Any, element: Any) -> Any:
    """Read one ``element`` from an array, the first argument, at a position in it, the second."""
    array, position = arguments
    data = context.make_array(signature.args[0])(context, builder, array).data
    loaded = builder.load(builder.bitcast(builder.gep(data, [position]), element.as_pointer()))
    loaded.align = 1  # neither text nor counts are aligned for vectors
    return loaded


@intrinsic
def pack8(typing_context: Any, data: Any, position: Any) -> Any:
    """Code of the 8 valid letters from a position on, uint64 below 4**8.

    ``((byte >> 1) ^ (byte >> 2)) & 3`` maps A, C, G, T in both cases to 0, 1, 2, 3. Two shifts put the codes of
    neighbours side by side, and one multiplication gathers the four pairs in the top 16 bits.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)

        def constant(value: int) -> Any:
            return ir.Constant(word, value)

        def shifted(value: Any, bits: int) -> Any:
            return builder.lshr(value, constant(bits))

        text = _load(context, builder, signature, arguments, word)
        codes = builder.and_(builder.xor(shifted(text, 1), shifted(text, 2)), constant(0x0303030303030303))
        pairs = builder.or_(builder.shl(codes, constant(2)), shifted(codes, 8))
        pairs = builder.and_(pairs, constant(0x000F000F000F000F))
        return shifted(builder.mul(pairs, constant(0x1000010000100001)), 48)

    return types.uint64(data, types.int64), generate


def _mask(builder: Any, letters: Any, classes: list[tuple[int, int]]) -> Any:
    """64-bit mask of the letters for which ``(letter & keep) == value`` holds in one of the classes."""

    def splat(value: int) -> Any:
        return ir.Constant(letters.type, [value] * BLOCK)

    found = None
    for keep, value in classes:
        equal = builder.icmp_unsigned("==", builder.and_(letters, splat(keep)), splat(value))
        found = equal if found is None else builder.or_(found, equal)
    return builder.bitcast(found, ir.IntType(64))


_VECTOR = ir.VectorType(ir.IntType(8), BLOCK)
# 0xDF drops the bit that tells lower case from upper case, 0xDB also the one that tells C from G.
_GC = [(0xDB, ord("C"))]
_ACGT = [*_GC, (0xDF, ord("A")), (0xDF, ord("T"))]


@intrinsic
def acgt_mask(typing_context: Any, data: Any, position: Any) -> Any:
    """uint64 whose bit j is set when letter ``position + j`` is one of ACGTacgt; reads 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _mask(builder, _load(context, builder, signature, arguments, _VECTOR), _ACGT)

    return types.uint64(data, types.int64), generate


@intrinsic
def gc_mask(typing_context: Any, data: Any, position: Any) -> Any:
    """uint64 whose bit j is set when letter ``position + j`` is one of CGcg; reads 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _mask(builder, _load(context, builder, signature, arguments, _VECTOR), _GC)

    return types.uint64(data, types.int64), generate


@intrinsic
def letter_mask(typing_context: Any, data: Any, position: Any, letter: Any) -> Any:
    """uint64 whose bit j is set when letter ``position + j`` is ``letter``, uint8, in either case; reads 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        letters = _load(context, builder, signature, arguments[:2], _VECTOR)
        first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
        wanted = builder.shuffle_vector(first, first, everywhere)
        upper = builder.and_(letters, ir.Constant(_VECTOR, [0xDF] * BLOCK))
        return builder.bitcast(builder.icmp_unsigned("==", upper, wanted), ir.IntType(64))

    return types.uint64(data, types.int64, types.uint8), generate


@intrinsic
def nonzero_mask(typing_context: Any, counts: Any, position: Any) -> Any:
    """uint64 whose bit j is set when ``counts[position + j]``, of a uint32 array, is not 0; reads 64 of them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), BLOCK)
        loaded = _load(context, builder, signature, arguments, vector)
        return builder.bitcast(builder.icmp_unsigned("!=", loaded, ir.Constant(vector, [0] * BLOCK)), ir.IntType(64))

    return types.uint64(counts, types.int64), generate


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Position of the lowest set bit of a uint64, int64; 64 if there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def set_bits(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64, int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@njit(inline="always")
def run_end(data: Any, position: int, end: int) -> Any:
    """First position in ``position..end`` whose letter is not one of ACGTacgt, or ``end``."""
    while position < end:
        if position + BLOCK <= data.size:  # the mask may read beyond the sequence, not beyond the buffer
            bases = acgt_mask(data, position)
            if bases != _ALL_SET:
                return min(position + trailing_zeros(~bases), end)
            position += BLOCK
        elif IS_BASE[data[position]]:
            position += 1
        else:
            return position
    return end


@njit(inline="always")
def run_start(data: Any, position: int, end: int) -> Any:
    """First position in ``position..end`` whose letter is one of ACGTacgt, or ``end``."""
    while position < end:
        if position + BLOCK <= data.size:
            bases = acgt_mask(data, position)
            if bases != 0:
                return min(position + trailing_zeros(bases), end)
            position += BLOCK
        elif IS_BASE[data[position]]:
            return position
        else:
            position += 1
    return end


@njit(inline="always")
def last_letters(data: Any, start: int, stop: int) -> Any:
    """Code of the last 16 letters of a run ``start..stop`` of valid letters, or of all if it is shorter."""
    length = stop - start
    if length >= 16:
        return (pack8(data, stop - 16) << np.uint64(16)) | pack8(data, stop - 8)
    if length >= 8:  # the two loads agree where they overlap
        return (pack8(data, start) << np.uint64(2 * (length - 8))) | pack8(data, stop - 8)
    word = np.uint64(0)
    for position in range(start, stop):
        letter = np.uint64(data[position])
        code = ((letter >> np.uint64(1)) ^ (letter >> np.uint64(2))) & np.uint64(3)
        word = (word << np.uint64(2)) | code
    return word
