"""Dynamic programming for 16 pairs at once, side by side in the lanes of SIMD registers.

Belongs here: the recurrence of `opengenome_assets.kernels.alignments` on a band of diagonals, and the way back. Does
not belong here: which band proves the optimum, and which pairs stand side by side.

Sequences side by side (Rognes 2011, BMC Bioinformatics 12:221) have no dependency between lanes, so that every
instruction works on 16 pairs. Cells of one place stand together: the cell of column j and lane l is at ``j * LANES +
l``. A loop over plain arrays sends every value through memory between two columns. So a row is an intrinsic of LLVM's
vector types, which LLVM turns into the instructions of any processor.

Scores have 16 bits, or 32 for pairs that could score more. Arithmetic saturates, so the type's least number stays below
every path: a path that begins there ends below 0, and the best one above.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16

# Words of a cell's moves, with a bit for each lane: the score comes from an insertion; it comes from a deletion, unless
# from an insertion; the insertion is longer than a letter; the deletion is.
_FROM_INSERTION, _FROM_DELETION, _LONGER_INSERTION, _LONGER_DELETION = 0, 1, 2, 3
_WORDS = 4


class _Group(NamedTuple):
    """Pairs side by side.

    ``columns`` and ``rows`` are the lanes' letters of query and reference, which begin at ``query_places`` and
    ``reference_places``; a lane without a pair has none. ``alike``: all have one reference. ``low`` and ``high`` are
    the band's diagonals, ``stride`` the columns of a row in it. ``limits`` has the type of the scores: its least
    number, and the least score of a cell, which is 0 for local alignments.
    """

    queries: Any
    query_places: Any
    columns: Any
    references: Any
    reference_places: Any
    rows: Any
    alike: Any
    low: Any
    high: Any
    stride: Any
    scores: Any
    gap_open: Any
    gap_extend: Any
    limits: Any


@njit(cache=True, nogil=True)
def align_lanes(
    queries: Any,
    query_offsets: Any,
    references: Any,
    reference_offsets: Any,
    pairs: Any,
    scores: Any,
    gap_open: int,
    gap_extend: int,
    local: bool,
    most_cells: int,
    order: Any,
    groups: Any,
    out_scores: Any,
    starts: Any,
    ends: Any,
    places: Any,
    runs: Any,
) -> Any:
    """Align groups of up to `LANES` pairs.

    Parameters
    ----------
    local : bool
        No end of an alignment costs anything, and a group has one reference.
    most_cells : int
        Cells whose moves are kept at once. Beyond, rows are kept as checkpoints, and moves are worked out again block
        by block: in little memory and twice the time.
    order : int64 array
        Numbers of the pairs, group after group.
    groups : int64 array of shape (groups, 5)
        First and last place in ``order``, half-open; lowest and highest diagonal of the band; whether the scores need
        32 bits.
    out_scores, starts, ends
        Of the ``Alignments``. The rows of these pairs are filled.
    places : int64 array of shape (pairs, 2)
        First and last of each pair's runs, half-open. The rows of these pairs are filled.
    runs : uint32 array
        Runs of other pairs.

    Returns
    -------
    uint32 array
        Those runs, and those of these pairs.
    """
    small, large = np.empty(2, np.int16), np.empty(2, np.int32)
    small[0], large[0] = -(1 << 15), -(1 << 31)
    small[1], large[1] = (0, 0) if local else (small[0], large[0])
    moves = np.empty(0, np.uint16)
    used = len(runs)
    for first, last, low, high, wide in groups:
        arguments = (
            *(queries, query_offsets, references, reference_offsets, pairs, scores, gap_open, gap_extend),
            *(most_cells, order[first:last], low, high, out_scores, starts, ends, places, runs, used, moves),
        )
        runs, used, moves = _align_group(large, *arguments) if wide else _align_group(small, *arguments)
    return runs[:used]


@njit(nogil=True)
def _align_group(
    limits: Any,
    queries: Any,
    query_offsets: Any,
    references: Any,
    reference_offsets: Any,
    pairs: Any,
    scores: Any,
    gap_open: int,
    gap_extend: int,
    most_cells: int,
    chosen: Any,
    low: int,
    high: int,
    out_scores: Any,
    starts: Any,
    ends: Any,
    places: Any,
    runs: Any,
    used: int,
    moves: Any,
) -> Any:
    """Align a group; return the runs, how many there are, and the memory for moves."""
    query_places, columns = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    reference_places, rows = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    others = 0
    for lane in range(len(chosen)):
        query, reference = pairs[chosen[lane], 0], pairs[chosen[lane], 1]
        query_places[lane], reference_places[lane] = query_offsets[query], reference_offsets[reference]
        columns[lane] = query_offsets[query + 1] - query_offsets[query]
        rows[lane] = reference_offsets[reference + 1] - reference_offsets[reference]
        others += reference != pairs[chosen[0], 1]
    alike = others == 0
    width, height = columns.max(), rows.max()
    stride = min(width, high - low + 1)
    block = min(height, max(1, most_cells // stride))
    blocks = (height + block - 1) // block
    if len(moves) < block * stride * _WORDS:
        moves = np.empty(block * stride * _WORDS, np.uint16)
    group = _Group(
        *(queries, query_places, columns, references, reference_places, rows, alike, low, high, stride),
        *(scores, gap_open, gap_extend, limits),
    )
    profile = np.zeros((len(scores) if alike else 1, width * LANES), limits.dtype)
    if alike:
        _fill_profile(group, profile)
    table = np.full((4, (width + 1) * LANES), limits[0], limits.dtype)
    table[0, : (min(width, high) + 1) * LANES] = 0
    checkpoints = np.empty((blocks, 2, table.shape[1] if blocks > 1 else 0), limits.dtype)
    best, end = np.zeros(LANES, np.int64), np.zeros((LANES, 2), np.int64)
    for number in range(blocks):
        if blocks > 1:
            checkpoints[number] = table[:2]
        _fill(group, number * block, block, profile, table, moves, best, end)
    if limits[1] == 0:
        _local_ends(columns, table, best, end)
    backwards = np.empty((len(chosen), width + height), np.uint32)
    counts, states, cells, left = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64), end.copy(), best.copy()
    best_again, end_again = best.copy(), end.copy()
    for number in range(blocks - 1, -1, -1):
        base = number * block
        if number < blocks - 1:
            table[:2] = checkpoints[number]
            _fill(group, base, block, profile, table, moves, best_again, end_again)
        for lane in range(len(chosen)):
            counts[lane], states[lane], left[lane] = _trace(
                *(group, lane, base, moves, cells[lane], states[lane], left[lane], backwards[lane], counts[lane])
            )
    if used + counts.sum() > len(runs):
        larger = np.empty(2 * (used + counts.sum()), np.uint32)
        larger[:used] = runs[:used]
        runs = larger
    for lane in range(len(chosen)):
        pair = chosen[lane]
        places[pair, 0] = used
        for place in range(counts[lane] - 1, -1, -1):
            runs[used] = backwards[lane, place]
            used += 1
        places[pair, 1] = used
        out_scores[pair] = best[lane]
        starts[pair, 0], starts[pair, 1] = cells[lane, 1], cells[lane, 0]
        ends[pair, 0], ends[pair, 1] = end[lane, 1], end[lane, 0]
    return runs, used, moves


@njit(nogil=True)
def _fill_profile(group: Any, profile: Any) -> None:
    """Scores of every letter with every column of every lane."""
    for lane in range(LANES):
        for column in range(group.columns[lane]):
            letter = group.queries[group.query_places[lane] + column]
            for other in range(len(profile)):
                profile[other, column * LANES + lane] = group.scores[other, letter]


@njit(nogil=True)
def _fill_row(group: Any, row: int, first: int, last: int, profile: Any) -> None:
    """The same of one row's letters, which differ between lanes."""
    for lane in range(LANES):
        if row <= group.rows[lane]:
            scores = group.scores[group.references[group.reference_places[lane] + row - 1]]
            for column in range(first - 1, min(last, group.columns[lane])):
                profile[column * LANES + lane] = scores[group.queries[group.query_places[lane] + column]]


@njit(nogil=True)
def _fill(group: Any, start: int, count: int, profile: Any, table: Any, moves: Any, best: Any, end: Any) -> None:
    """Work out ``count`` rows below row ``start``, or up to the last, and note each lane's first best end.

    ``table`` has scores and deletions of the row above, and for local alignments each column's best score and its row.
    ``moves`` begin with the first of these rows.
    """
    columns, rows = group.columns, group.rows
    width, local = columns.max(), group.limits[1] == 0
    for row in range(start + 1, min(start + count, rows.max()) + 1):
        first, last = max(1, row + group.low), min(width, row + group.high)
        if first > width:
            break
        letter = 0
        if group.alike:
            letter = group.references[group.reference_places[0] + row - 1]
        else:
            _fill_row(group, row, first, last, profile[0])
        edge = 0 if row + group.low <= 0 else group.limits[0]
        _row(
            *(profile[letter], table[0], table[1], moves[(row - start - 1) * group.stride * _WORDS :]),
            *(first, last, edge, group.limits[1], group.gap_open, group.gap_extend),
        )
        if local:
            _note(table[0], table[2], table[3], row)
            continue
        for lane in range(LANES):
            if row > rows[lane]:
                continue
            if first <= columns[lane] <= last and table[0, columns[lane] * LANES + lane] > best[lane]:
                best[lane] = table[0, columns[lane] * LANES + lane]
                end[lane, 0], end[lane, 1] = row, columns[lane]
            if row == rows[lane]:
                for column in range(first, min(last, columns[lane]) + 1):
                    if table[0, column * LANES + lane] > best[lane]:
                        best[lane] = table[0, column * LANES + lane]
                        end[lane, 0], end[lane, 1] = row, column


@intrinsic
def _row(  # type: ignore[no-untyped-def]
    typing, scores, cells, gaps, moves, first, last, edge, floor, gap_open, gap_extend
):
    """Work out the columns ``first`` to ``last`` of a row, both included; the first column of the table is 1.

    ``cells`` and ``gaps`` are scores and deletions of the row above, and become those of this one. ``edge`` is the cell
    to the left of the first, ``floor`` the least score of a cell. An insertion begins at a score without insertions, as
    in the scan of Daily (2016, BMC Bioinformatics 17:81): so only two instructions wait for the column before.
    """
    arguments = (scores, cells, gaps, moves, *[types.int64] * 6)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointers = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:4], values[:4], strict=True)
        ]
        number = context.get_value_type(cells.dtype)
        vector, word, place = ir.VectorType(number, LANES), ir.IntType(LANES), ir.IntType(64)
        before = values[4].type(1)

        def every_lane(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), builder.trunc(value, number), place(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(one, one, zeros)

        def function(name: str) -> Any:
            declared = ir.FunctionType(vector, [vector, vector])
            name = f"llvm.{name}.v{LANES}i{number.width}"
            callee = cgutils.get_or_insert_function(builder.module, declared, name)
            return lambda a, b: builder.call(callee, [a, b])

        def address(array: int, column: Any) -> Any:
            start = builder.gep(pointers[array], [builder.mul(column, place(LANES))])
            return builder.bitcast(start, vector.as_pointer())

        def load(array: int, column: Any) -> Any:
            return builder.load(address(array, column), align=number.width // 8)

        add, subtract, larger = function("sadd.sat"), function("ssub.sat"), function("smax")
        start, end, edge_, floor_, opened, extended = values[4:]
        edge_, floor_, opened, extended = (every_lane(value) for value in (edge_, floor_, opened, extended))
        never = every_lane(place(-(1 << (number.width - 1))))
        corner = load(1, builder.sub(start, before))
        block = builder.block
        loop, after = builder.append_basic_block("columns"), builder.append_basic_block("row_end")
        builder.cbranch(builder.icmp_signed("<=", start, end), loop, after)
        builder.position_at_end(loop)
        column, diagonal, without_left, insertion_left = (builder.phi(kind) for kind in (place, vector, vector, vector))
        for phi, value in ((column, start), (diagonal, corner), (without_left, edge_), (insertion_left, never)):
            phi.add_incoming(value, block)
        above = load(1, column)
        deletion_opened, deletion_longer = subtract(above, opened), subtract(load(2, column), extended)
        deletion = larger(deletion_opened, deletion_longer)
        pair = add(diagonal, load(0, builder.sub(column, before)))
        without = larger(larger(pair, deletion), floor_)
        insertion_opened, insertion_longer = subtract(without_left, opened), subtract(insertion_left, extended)
        insertion = larger(insertion_opened, insertion_longer)
        builder.store(larger(without, insertion), address(1, column), align=number.width // 8)
        builder.store(deletion, address(2, column), align=number.width // 8)
        words = (
            (insertion, without),
            (deletion, pair),
            (insertion_longer, insertion_opened),
            (deletion_longer, deletion_opened),
        )
        first_word = builder.mul(builder.sub(column, start), place(_WORDS))
        for offset, (one, other) in enumerate(words):
            mask = builder.bitcast(builder.icmp_signed(">", one, other), word)
            builder.store(mask, builder.gep(pointers[3], [builder.add(first_word, place(offset))]), align=2)
        following = builder.add(column, before)
        for phi, value in (
            (column, following),
            (diagonal, above),
            (without_left, without),
            (insertion_left, insertion),
        ):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<=", following, end), loop, after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(*arguments), codegen


@njit(nogil=True)
def _note(cells: Any, tops: Any, rows: Any, row: int) -> None:
    """Keep the first best score of each column and its row."""
    for cell in range(len(cells)):
        higher = cells[cell] > tops[cell]
        rows[cell] = row if higher else rows[cell]
        tops[cell] = cells[cell] if higher else tops[cell]


@njit(nogil=True)
def _local_ends(columns: Any, table: Any, best: Any, end: Any) -> None:
    """Each lane's best score: of several cells the first row's, then the first column's."""
    for lane in range(LANES):
        for column in range(1, columns[lane] + 1):
            score, row = table[2, column * LANES + lane], table[3, column * LANES + lane]
            if score > best[lane] or (score == best[lane] > 0 and row < end[lane, 0]):
                best[lane], end[lane, 0], end[lane, 1] = score, row, column


@njit(nogil=True)
def _trace(group: Any, lane: int, base: int, moves: Any, cell: Any, state: int, left: int, runs: Any, used: int) -> Any:
    """Go back from a cell while it is below row ``base``, and write runs from the end to the start.

    ``cell`` (row, column) is moved. ``state`` is the CIGAR operation of the gap that the way is in, or 0. ``left`` is
    what is left of the score; a local alignment begins where it is 0. Return how many runs there are, and both.
    """
    row, column = cell
    query, reference = group.query_places[lane] - 1, group.reference_places[lane] - 1
    local = group.limits[1] == 0
    while row > base and column > 0 and not (local and left == 0 and state == 0):
        first = (group.stride * (row - base - 1) + column - max(1, row + group.low)) * _WORDS
        if state == 0:
            if moves[first + _FROM_INSERTION] >> lane & 1:
                state = 2
            elif moves[first + _FROM_DELETION] >> lane & 1:
                state = 3
        operation = state
        if state == 0:
            one, other = group.queries[query + column], group.references[reference + row]
            left -= group.scores[one, other]
            operation = 0 if one == other else 1
            row -= 1
            column -= 1
        elif state == 2:
            longer = moves[first + _LONGER_INSERTION] >> lane & 1
            column -= 1
        else:
            longer = moves[first + _LONGER_DELETION] >> lane & 1
            row -= 1
        if operation > 1:
            left += group.gap_extend if longer else group.gap_open
            state = operation if longer else 0
        if used and runs[used - 1] & 3 == operation:
            runs[used - 1] += 4
        else:
            runs[used] = 4 + operation
            used += 1
    cell[0], cell[1] = row, column
    return used, state, left
