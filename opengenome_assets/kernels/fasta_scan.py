"""The compiled loop of the FASTA reader: one block of text into headers, letters and counts.

Belongs here: machine code over buffers. Does not belong here: batches and errors (fasta.py). The loop takes 64 bytes
at a time (SIMD) and does everything in one pass: line ends, upper case, A+C+G+T and G+C counts, illegal letters. A
block may end anywhere, also inside a line or a header; the loop continues there with the next block.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from opengenome_assets.kernels.runs import BLOCK, acgt_mask, gc_mask, set_bits, trailing_zeros

IUPAC_DNA = "ACGTRYSWKMBDHVN"

# Statuses of `scan`.
NEED_TEXT = 0
BATCH_FULL = 1  # between two records
HEADERS_FULL = 2  # inside the last record, as is the next
SEQUENCES_FULL = 3
NOT_FASTA = 4  # text before the first header

# Places of the loop in the text.
LINE_START = 0
IN_HEADER = 1
IN_SEQUENCE = 2
IN_BLANKS = 3  # blanks in a line of sequence: legal at its end, illegal if a letter follows

STATE = np.dtype([(field, np.int64) for field in ("place", "line", "records", "blank", "before")])
RECORD_FIELDS = (
    "start",
    "line",
    "length",
    "acgt_bases",
    "gc_bases",
    "illegal",
    "illegal_position",
    "illegal_line",
)
RECORD = np.dtype([(field, np.int64) for field in RECORD_FIELDS])

_ALL_SET = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_NEWLINE = np.uint8(ord("\n"))
_MARK = np.uint8(ord(">"))
_IS_LEGAL = np.zeros(256, np.bool_)
_IS_LEGAL[list((IUPAC_DNA + IUPAC_DNA.lower()).encode())] = True
_VECTOR = ir.VectorType(ir.IntType(8), BLOCK)


def _splat(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * BLOCK)


def _block(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    """Pointer to 64 bytes of a uint8 array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), _VECTOR.as_pointer())


def _copy(context: Any, builder: Any, signature: Any, arguments: Any, change: Any) -> Any:
    source_type, _, target_type, _ = signature.args
    source, position, target, target_position = arguments
    letters = builder.load(_block(context, builder, source_type, source, position))
    letters.align = 1
    stored = builder.store(change(builder, letters), _block(context, builder, target_type, target, target_position))
    stored.align = 1
    return context.get_dummy_value()


@intrinsic
def copy_block(typing_context: Any, source: Any, position: Any, target: Any, target_position: Any) -> Any:
    """Copy 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _copy(context, builder, signature, arguments, lambda builder, letters: letters)

    return types.void(source, types.int64, target, types.int64), generate


@intrinsic
def copy_upper(typing_context: Any, source: Any, position: Any, target: Any, target_position: Any) -> Any:
    """Copy 64 bytes, a to z as A to Z and all others as they are."""

    def upper(builder: Any, letters: Any) -> Any:
        is_lower = builder.icmp_unsigned("<", builder.sub(letters, _splat(ord("a"))), _splat(26))
        return builder.select(is_lower, builder.sub(letters, _splat(ord("a") - ord("A"))), letters)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _copy(context, builder, signature, arguments, upper)

    return types.void(source, types.int64, target, types.int64), generate


def _mask(context: Any, builder: Any, signature: Any, arguments: Any, predicate: str, byte: int) -> Any:
    letters = builder.load(_block(context, builder, signature.args[0], *arguments))
    letters.align = 1
    compared = builder.icmp_unsigned(predicate, letters, _splat(byte))
    return builder.bitcast(compared, ir.IntType(64))


@intrinsic
def newline_mask(typing_context: Any, data: Any, position: Any) -> Any:
    """uint64 whose bit j is set when byte ``position + j`` ends a line; reads 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _mask(context, builder, signature, arguments, "==", ord("\n"))

    return types.uint64(data, types.int64), generate


@intrinsic
def separator_mask(typing_context: Any, data: Any, position: Any) -> Any:
    """uint64 whose bit j is set when byte ``position + j`` is a blank or control; reads 64 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _mask(context, builder, signature, arguments, "<=", ord(" "))

    return types.uint64(data, types.int64), generate


@njit
def is_blank(byte: int) -> bool:
    """Whether a byte is a space, a tab or a carriage return."""
    return byte == 32 or byte == 9 or byte == 13


@njit
def without_blanks(data: Any, start: int, stop: int) -> int:
    """End of ``start..stop`` without the blanks at its end."""
    while stop > start and is_blank(data[stop - 1]):
        stop -= 1
    return stop


@njit
def note_illegal(record: Any, byte: int, position: int, line: int) -> None:
    """Keep a record's illegal letter unless an earlier one is known."""
    if record.illegal < 0:
        record.illegal = byte
        record.illegal_position = position
        record.illegal_line = line


@njit
def add_letters(text: Any, start: int, stop: int, line: int, record: Any, sequences: Any, end: int) -> None:
    """Append 1 to 64 letters of one line to a record, counted and in upper case, at ``sequences[end]``."""
    inside = _ALL_SET >> np.uint64(BLOCK - (stop - start))
    acgt = acgt_mask(text, start) & inside
    copy_upper(text, start, sequences, end)
    if acgt != inside and record.illegal < 0:
        for position in range(start, stop):
            if not _IS_LEGAL[text[position]]:
                note_illegal(record, text[position], record.length + position - start, line)
                break
    record.length += stop - start
    record.acgt_bases += set_bits(acgt)
    record.gc_bases += set_bits(gc_mask(text, start) & inside)


@njit(nogil=True, cache=True)
def scan(
    text: Any,
    start: int,
    stop: int,
    headers: Any,
    header_offsets: Any,
    sequences: Any,
    offsets: Any,
    records: Any,
    states: Any,
    enough: int,
    longest: int,
    room: int,
    keeps: bool,
) -> tuple[int, int]:
    """Read text until it ends or a buffer is full.

    Parameters
    ----------
    text : uint8 array
        Block of a FASTA file in ``start..stop``, and 64 bytes more that may hold anything.
    headers, sequences : uint8 arrays
        Receive headers without '>' and blanks at the end, and letters in upper case, 64 bytes at a time.
    header_offsets, offsets : int64 arrays of shape (capacity + 1,)
        Where headers and sequences begin and end; the first entry is 0.
    records : RECORD array of shape (capacity,)
        Receives start, line, length, counts and the first illegal letter of each record.
    states : STATE array of shape (1,)
        Where the previous block ended, and the bytes of the file ``before`` this block. A new batch begins when the
        caller sets ``records`` to 0.
    enough
        No record begins once the batch has this number of letters.
    longest
        Letters of a longer record are counted, not kept.
    room
        Number of letters that a batch has room for.
    keeps
        Whether letters are written, into ``sequences`` of ``room`` bytes. Without, 64 bytes serve, and ``offsets`` are
        those of the letters that would be there: batches end where they would.

    Returns
    -------
    position : int
        How far the text was read.
    status : int
        NEED_TEXT, or the reason why reading stopped before.
    """
    state = states[0]
    position = start
    while position < stop:
        count = state.records
        if state.place == IN_SEQUENCE:
            end = offsets[count]
            if end + BLOCK > room:
                return position, SEQUENCES_FULL
            size = min(trailing_zeros(separator_mask(text, position)), stop - position)
            if size == 0:
                if text[position] == _NEWLINE:
                    position += 1
                    state.line += 1
                    state.place = LINE_START
                    continue
                if is_blank(text[position]):
                    state.blank = text[position]
                    state.place = IN_BLANKS
                    continue
                size = 1  # a control character, illegal like other letters
            record = records[count - 1]
            add_letters(text, position, position + size, state.line, record, sequences, end if keeps else 0)
            offsets[count] = end + size if record.length <= longest else offsets[count - 1]
            position += size
        elif state.place == LINE_START:
            if text[position] == _MARK:
                if count == records.size or offsets[count] >= enough:
                    return position, BATCH_FULL
                records[count].start = state.before + position
                records[count].line = state.line
                records[count].length = 0
                records[count].acgt_bases = 0
                records[count].gc_bases = 0
                records[count].illegal = -1
                records[count].illegal_position = -1
                records[count].illegal_line = -1
                header_offsets[count + 1] = header_offsets[count]
                offsets[count + 1] = offsets[count]
                state.records += 1
                state.place = IN_HEADER
                position += 1
            elif count > 0:
                state.place = IN_SEQUENCE
            elif text[position] == _NEWLINE:
                state.line += 1
                position += 1
            elif is_blank(text[position]):
                state.place = IN_BLANKS
            else:
                return position, NOT_FASTA
        elif state.place == IN_HEADER:
            end = header_offsets[count]
            if end + BLOCK > headers.size:
                return position, HEADERS_FULL
            size = min(trailing_zeros(newline_mask(text, position)), stop - position)
            copy_block(text, position, headers, end)
            header_offsets[count] = end + size
            position += size
            if size < BLOCK and position < stop:
                header_offsets[count] = without_blanks(headers, header_offsets[count - 1], end + size)
                position += 1
                state.line += 1
                state.place = LINE_START
        else:
            while position < stop and is_blank(text[position]):
                position += 1
            if position < stop:
                if text[position] == _NEWLINE:
                    position += 1
                    state.line += 1
                    state.place = LINE_START
                elif count == 0:
                    return position, NOT_FASTA
                else:
                    record = records[count - 1]
                    note_illegal(record, state.blank, record.length, state.line)
                    state.place = IN_SEQUENCE
    return position, NEED_TEXT


@njit(nogil=True, cache=True)
def split_at_blank(
    data: Any, offsets: Any, names: Any, name_offsets: Any, descriptions: Any, description_offsets: Any
) -> bool:
    """Split headers into the name before the first space or tab and the description after it.

    Parameters
    ----------
    data, offsets
        Headers, uint8 and int64 of shape (headers + 1,).
    names, descriptions : uint8 arrays of shape (data.size,)
        Receive the parts.
    name_offsets, description_offsets : int32 arrays of shape (headers + 1,)
        Receive where the parts begin and end.

    Returns
    -------
    bool
        Whether all bytes are ASCII.
    """
    names_end = 0
    descriptions_end = 0
    every = np.uint8(0)
    name_offsets[0] = 0
    description_offsets[0] = 0
    for header in range(offsets.size - 1):
        position = offsets[header]
        stop = offsets[header + 1]
        while position < stop and not is_blank(data[position]):
            every |= data[position]
            names[names_end] = data[position]
            names_end += 1
            position += 1
        while position < stop and is_blank(data[position]):
            position += 1
        for rest in range(position, stop):
            every |= data[rest]
            descriptions[descriptions_end] = data[rest]
            descriptions_end += 1
        name_offsets[header + 1] = names_end
        description_offsets[header + 1] = descriptions_end
    return bool(every < 128)
