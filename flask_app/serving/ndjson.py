"""JSON lines (application/x-ndjson), as they arrive: a stream of any length in bounded memory."""

from collections.abc import AsyncIterator

from flask_app.serving.problems import Problem
from flask_app.serving.rows import SLICE_ROWS

NDJSON = "application/x-ndjson"
MAX_LINE_BYTES = 64 * 2**10


async def slices_of_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the lines of `chunks`, at most `SLICE_ROWS` at a time, without their line ends.

    Raises:
        Problem: A line exceeds `MAX_LINE_BYTES`; all lines before it have been yielded.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(lines), SLICE_ROWS):
            yield _checked(lines[start : start + SLICE_ROWS])
        _checked([rest])
    if rest:
        yield [rest]


def _checked(lines: list[bytes]) -> list[bytes]:
    if max(map(len, lines)) > MAX_LINE_BYTES:
        raise Problem("body-too-large", f"a line exceeds {MAX_LINE_BYTES} bytes")
    return lines
