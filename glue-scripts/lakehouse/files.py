"""The bytes of delivered files: unpacked, and cut into lines."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

# For zlib: with the header and checksum of a gzip.
_AS_GZIP = 16 + zlib.MAX_WBITS
PIECE = 16 * 1024 * 1024
# How files begin that are no text: gzip, zip, bzip2, xz, zstd, lz4, Parquet, Avro, UTF-16.
NO_TEXT = tuple(
    bytes.fromhex(magic)
    for magic in ("1F8B", "504B0304", "425A68", "FD377A585A", "28B52FFD", "04224D18", "50415231", "4F626A01", "FFFE", "FEFF")
)
IS_NO_TEXT, IS_DAMAGED = "no text, or packed and not named so", "a damaged gzip, or none"


class Damaged(Exception):
    """A gzip that does not end well, or is none."""


def pieces(file: BinaryIO, packed: bool) -> Iterator[bytes]:
    """The content of a file piece by piece, and the file closed. A gzip must end well, and behind it there may be another one and
    nothing else: raises Damaged. What keeps the bytes from being read is raised as it is."""
    member = zlib.decompressobj(_AS_GZIP)
    with closing(file):
        while piece := file.read(PIECE):
            while packed and piece:
                if member.eof:
                    member = zlib.decompressobj(_AS_GZIP)
                try:
                    yield member.decompress(piece, PIECE)
                except zlib.error:
                    raise Damaged from None
                piece = member.unconsumed_tail or member.unused_data
            if piece:
                yield piece
    if packed and not member.eof:
        raise Damaged


def whole_lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces that end where a line does (but for the last), the first one without a byte-order mark."""
    rest, begun = b"", False
    for part in parts:
        rest += part
        if not begun and len(rest) >= len(codecs.BOM_UTF8):
            rest, begun = rest.removeprefix(codecs.BOM_UTF8), True
        # A CR at the very end may be half of a CRLF; a line that is not ended waits for the rest of it.
        ended = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1)) + 1
        if ended:
            # A byte-order mark behind a line is none.
            begun = True
            yield rest[:ended]
            rest = rest[ended:]
    if rest := rest if begun else rest.removeprefix(codecs.BOM_UTF8):
        yield rest


def split(piece: bytes) -> list[bytes]:
    """Lines: ended by LF, CRLF or CR."""
    if b"\r" in piece:
        return piece.splitlines()
    lines = piece.split(b"\n")
    return lines if lines[-1] else lines[:-1]
