"""A log's file -> its text: a regular file below a size limit, in the encoding that it shows."""

from __future__ import annotations

import codecs
from pathlib import Path

from harness import userfiles
from harness.errors import MeterError

MOST_BYTES = userfiles.GIB
"""A larger file is no power log of a benchmark."""
ARCHIVES = {
    b"PK\x03\x04": "a spreadsheet or a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "a database",
    b"PAR1": "a Parquet file",
}
"""First bytes of files that are no text."""


def content(path: Path) -> bytes:
    """The bytes of a log.

    Raises:
        MeterError: No regular file, empty, too large, or not readable.
    """
    data = userfiles.read_bytes(path, "meter log", limit_bytes=MOST_BYTES, error=MeterError)
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise MeterError(f"{path} is empty", "did the meter's program log anything?")
    for magic, kind in ARCHIVES.items():
        if data.startswith(magic):
            raise MeterError(f"{path} is {kind}, not text", "export the log as CSV, or unpack it")
    return data


def text_of(data: bytes, name: str) -> str:
    """Decode a log: by its byte order mark, as UTF-16 where every other byte is zero, as UTF-8, else as Windows-1252.

    Raises:
        MeterError: Binary data.
    """
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    head = data[:4096]
    zeros = head.count(0)
    if zeros > 0.3 * len(head):
        return data.decode("utf-16-le" if head[1:2] == b"\x00" else "utf-16-be", errors="replace")
    if zeros:
        head = data.rstrip(b"\x00")  # a logger that was cut off leaves blocks of zeros behind its last line
        if b"\x00" in head:
            raise MeterError(f"{name} holds binary data", "export the log as text")
        data = head
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
