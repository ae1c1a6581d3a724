"""What any object holds, as texts: by what it is, not by how it is called, and piece by piece, so that it may be of any size."""

from __future__ import annotations

import bz2
import codecs
import io
import json
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
from pyarrow import orc

# How a part is to be looked through: lines of text; values of which some may have been cut, one a line; bytes; bytes in which
# each text has its length in front. The last two hold nothing: what an object is, and why it could not be looked into.
TEXT, BOUNDS, BINARY, PREFIXED, FORMAT, PROBLEM = "text", "bounds", "binary", "prefixed", "format", "problem"
_PIECE, _HEAD, _OVERLAP, _MOST_LEVELS, _IN_MEMORY, _MOST_ROWS = 4 * 2**20, 4096, 4096, 4, 64 * 2**20, 65536
_AS_GZIP = 16 + zlib.MAX_WBITS
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")
_BOUNDS_OF_ICEBERG = ("lower_bounds", "upper_bounds", "lower_bound", "upper_bound")


class Part(NamedTuple):
    """A part of an object. `where` in it: a column, the line that it begins with, or what it is."""

    how: str
    where: str
    content: bytes = b""


def of(file: BinaryIO) -> Iterator[Part]:
    """The parts of an object, what it is first."""
    return _of(iter(lambda: file.read(_PIECE), b""), 0)


def _of(pieces: Iterator[bytes], level: int) -> Iterator[Part]:
    head = b""
    while len(head) < _HEAD and (piece := next(pieces, b"")):
        head += piece
    pieces = chain([head], pieces)
    begins = next((magic for magic in (*_UNPACK, *_DECODE, *_UTF16) if head.startswith(magic)), b"")
    if begins in _DECODE:
        name, decode = _DECODE[begins]
        yield Part(FORMAT, name)
        yield from _decoded(pieces, level, name, decode)
    elif begins in _UNPACK and level < _MOST_LEVELS:
        name, unpack = _UNPACK[begins]
        yield Part(FORMAT, name)
        # It may begin with a name.
        yield Part(BINARY, f"header of {name}", head[:_HEAD])
        problems: list[str] = []
        yield from (part for part in _of(_whole(unpack(pieces), name, problems), level + 1) if part.how != FORMAT)
        yield from (Part(PROBLEM, problem) for problem in problems)
    else:
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        if begins in _UTF16:
            pieces = (decoder.decode(piece).encode("utf-8", "replace") for piece in pieces)
        is_text = begins in _UTF16 or not _NO_TEXT.search(head[:_HEAD])
        yield Part(FORMAT, "text" if is_text else "other")
        for number, text in lines(pieces):
            yield Part(TEXT, f"line {number}", text)
            if not is_text:
                yield Part(BINARY, "bytes", text)


def lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Pieces that end where a line does, each with the number of its first line; a line too long for that comes in several."""
    rest, number = b"", 1
    for piece in pieces:
        rest += piece
        if cut := rest.rfind(b"\n") + 1:
            yield number, rest[:cut]
            number, rest = number + rest.count(b"\n", 0, cut), rest[cut:]
        elif len(rest) >= _PIECE:
            yield number, rest
            rest = rest[-_OVERLAP:]
    if rest:
        yield number, rest


# --- packed ---


def _whole(pieces: Iterator[bytes], name: str, problems: list[str]) -> Iterator[bytes]:
    """The pieces as far as they can be unpacked."""
    try:
        yield from pieces
    except Exception:
        problems.append(f"a damaged {name}: looked into as far as it can be unpacked")


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_AS_GZIP)
    for piece in pieces:
        while piece:
            if member.eof:
                member = zlib.decompressobj(_AS_GZIP)
            before = member.copy()
            try:
                yield member.decompress(piece, _PIECE)
            except zlib.error:
                # Byte by byte, up to the one that is wrong.
                for byte in piece:
                    yield before.decompress(bytes([byte]))
            piece = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise EOFError


class _Stream(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest and (piece := next(self._pieces, None)) is not None:
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _by_arrow(codec: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    def unpack(pieces: Iterator[bytes]) -> Iterator[bytes]:
        with pa.CompressedInputStream(pa.PythonFile(io.BufferedReader(_Stream(pieces)), "r"), codec) as stream:
            while piece := stream.read(2**16):
                yield piece

    return unpack


def _unxz(pieces: Iterator[bytes]) -> Iterator[bytes]:
    with lzma.open(io.BufferedReader(_Stream(pieces))) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _unsnapped(_: Iterator[bytes]) -> Iterator[bytes]:
    raise NotImplementedError
    yield b""


_UNPACK: dict[bytes, tuple[str, Callable[[Iterator[bytes]], Iterator[bytes]]]] = {
    b"\x1f\x8b": ("gzip", _gunzipped),
    b"BZh": ("bzip2", _by_arrow("bz2")),
    b"\xfd7zXZ\0": ("xz", _unxz),
    b"\x28\xb5\x2f\xfd": ("zstd", _by_arrow("zstd")),
    b"\x04\x22\x4d\x18": ("lz4", _by_arrow("lz4")),
    b"\xff\x06\0\0sNaPpY": ("snappy", _unsnapped),
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


# --- formats that are read from their end ---


def _decoded(pieces: Iterator[bytes], level: int, name: str, decode: Callable[..., Iterator[Part]]) -> Iterator[Part]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
        try:
            yield from decode(file, level)
            return
        except Exception as error:
            yield Part(PROBLEM, f"no {name} that can be read ({type(error).__name__}): looked at as bytes")
        file.seek(0)
        for number, text in lines(iter(lambda: file.read(_PIECE), b"")):
            yield from (Part(TEXT, f"line {number}", text), Part(BINARY, "bytes", text))


def _parquet(file: Any, _: int) -> Iterator[Part]:
    meta = parquet.read_metadata(file)
    groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
    for key, value in (meta.metadata or {}).items():
        yield Part(TEXT, "key-value metadata", key + b"\n" + value)
    leaves = [meta.schema.column(number) for number in range(meta.num_columns)]
    yield Part(TEXT, "footer", "\n".join([meta.created_by or "", *(leaf.path for leaf in leaves)]).encode())
    end, packed = 0, set()
    for group in groups:
        for column in (group.column(number) for number in range(group.num_columns)):
            begin = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
            end = max(end, begin + column.total_compressed_size)
            if column.has_dictionary_page and "." not in column.path_in_schema:
                packed.add(column.path_in_schema)
            told = column.statistics
            if told is not None and told.has_min_max and column.physical_type in _TEXTUAL:
                both = b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in (told.min, told.max))
                yield Part(BOUNDS, f"statistic of column {column.path_in_schema}", both)
    # What lies between the values and the footer: indexes of pages, which tell bounds of values.
    file.seek(end)
    behind = file.read()
    yield Part(PREFIXED, "index of pages", behind[: max(len(behind) - 8 - meta.serialized_size, 0)])
    opened = parquet.ParquetFile(file, metadata=meta, pre_buffer=False, buffer_size=2**20, read_dictionary=sorted(packed))
    for name in dict.fromkeys(leaf.path.partition(".")[0] for leaf in leaves if leaf.physical_type in _TEXTUAL):
        seen = None
        for number, group in enumerate(groups):
            size = sum(group.column(one).total_uncompressed_size for one in range(group.num_columns))
            rows = max(1, min(_MOST_ROWS, _PIECE * group.num_rows // max(size, 1)))
            for batch in opened.iter_batches(rows, row_groups=[number], columns=[name], use_threads=False):
                array = batch.column(0)
                if pa.types.is_dictionary(array.type):
                    # The same for all batches of a group of rows, and with values that no row has.
                    place = [buffer and buffer.address for buffer in array.dictionary.buffers()]
                    if place == seen:
                        continue
                    seen = place
                yield from (Part(TEXT, f"column {name}", text) for text in _texts(array))


_TEXTUAL = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")


def _texts(array: pa.Array) -> Iterator[bytes]:
    """The texts of an array of whatever type, one a line."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield from _texts(array.dictionary)
    elif isinstance(kind, pa.BaseExtensionType):
        yield from _texts(array.storage)
    elif pa.types.is_map(kind):
        yield from chain(_texts(array.keys), _texts(array.items))
    elif pa.types.is_struct(kind):
        yield from chain.from_iterable(_texts(array.field(number)) for number in range(kind.num_fields))
    elif pa.types.is_nested(kind):
        yield from _texts(array.values)
    elif any(is_so(kind) for is_so in _ARE_TEXTS):
        values = array.drop_null().cast(pa.large_binary())
        offsets = pa.array([0, len(values)], pa.int64())
        yield pc.binary_join(pa.LargeListArray.from_arrays(offsets, values), pa.scalar(b"\n", pa.large_binary()))[0].as_py()


_TYPES = pa.types
_ARE_TEXTS = (
    _TYPES.is_string,
    _TYPES.is_large_string,
    _TYPES.is_binary,
    _TYPES.is_large_binary,
    _TYPES.is_string_view,
    _TYPES.is_binary_view,
    _TYPES.is_fixed_size_binary,
)


def _orc(file: Any, _: int) -> Iterator[Part]:
    opened = orc.ORCFile(file)
    for key, value in (opened.schema.metadata or {}).items():
        yield Part(TEXT, "key-value metadata", key + b"\n" + value)
    for number in range(opened.nstripes):
        for name in opened.schema.names:
            for array in opened.read_stripe(number, [name]).columns:
                yield from (Part(TEXT, f"column {name}", text) for text in _texts(array))


def _zip(file: Any, level: int) -> Iterator[Part]:
    with zipfile.ZipFile(file) as archive:
        yield Part(TEXT, "names in the archive", "\n".join([*archive.namelist(), archive.comment.decode("latin-1")]).encode())
        for member in archive.infolist():
            if member.flag_bits & 1 or level >= _MOST_LEVELS:
                yield Part(PROBLEM, "an encrypted archive" if member.flag_bits & 1 else "archives within archives")
                continue
            with archive.open(member) as content:
                yield from (part for part in _of(iter(lambda: content.read(_PIECE), b""), level + 1) if part.how != FORMAT)


# --- Avro, of which manifests are ---


class _Avro:
    """Reads the texts of a block of rows by the field that they are in."""

    def __init__(self, schema: Any) -> None:
        self._schema, self._named = schema, {}

    def texts(self, block: BinaryIO, rows: int) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for _ in range(rows):
            self._read(self._schema, block, found, "")
        if block.read(1):
            raise ValueError
        return found

    def _read(self, schema: Any, block: BinaryIO, found: dict[str, list[bytes]], name: str) -> None:
        if isinstance(schema, list):
            return self._read(schema[_long(block)], block, found, name)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, (dict, list)) or kind in self._named:
            return self._read(self._named[kind] if isinstance(kind, str) else kind, block, found, name)
        if kind in ("record", "enum", "fixed"):
            self._named |= {schema["name"]: schema, f"{schema.get('namespace', '')}.{schema['name']}": schema}
        if kind == "record":
            for field in schema["fields"]:
                self._read(field["type"], block, found, f"{name}.{field['name']}".strip("."))
        elif kind in ("array", "map"):
            while count := _long(block):
                if count < 0:
                    count, _ = -count, _long(block)
                for _ in range(count):
                    if kind == "map":
                        found.setdefault(name, []).append(_bytes(block))
                    self._read(schema["items" if kind == "array" else "values"], block, found, name)
        elif kind in ("bytes", "string", "fixed"):
            found.setdefault(name, []).append(block.read(schema["size"]) if kind == "fixed" else _bytes(block))
        elif kind in ("int", "long", "enum"):
            _long(block)
        else:
            block.read({"null": 0, "boolean": 1, "float": 4, "double": 8}[kind])


def _avro(file: Any, _: int) -> Iterator[Part]:
    file.seek(4)
    meta: dict[bytes, bytes] = {}
    while count := _long(file):
        if count < 0:
            count, _ = -count, _long(file)
        meta |= {_bytes(file): _bytes(file) for _ in range(count)}
    yield Part(TEXT, "header of the manifest", b"\n".join(chain(*meta.items())))
    mark, reader = file.read(16), _Avro(json.loads(meta[b"avro.schema"]))
    inflate = _CODECS[meta.get(b"avro.codec", b"null")]
    while first := file.read(1):
        file.seek(-1, io.SEEK_CUR)
        rows, block = _long(file), _bytes(file)
        if file.read(16) != mark:
            raise ValueError(first)
        for name, texts in reader.texts(io.BytesIO(inflate(block)), rows).items():
            how = BOUNDS if any(one in _BOUNDS_OF_ICEBERG for one in name.split(".")) else TEXT
            yield Part(how, f"manifest, {name}", b"\n".join(texts))


def _long(file: BinaryIO) -> int:
    number, shift = 0, 0
    while True:
        byte = file.read(1)[0]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number >> 1 ^ -(number & 1)
        shift += 7


def _bytes(file: BinaryIO) -> bytes:
    size = _long(file)
    if len(content := file.read(size)) != size:
        raise EOFError
    return content


_CODECS: dict[bytes, Callable[[bytes], bytes]] = {
    b"null": bytes,
    b"deflate": lambda block: zlib.decompress(block, -zlib.MAX_WBITS),
    b"zstandard": lambda block: pa.CompressedInputStream(pa.BufferReader(block), "zstd").read(),
    b"bzip2": bz2.decompress,
    b"xz": lzma.decompress,
}
_DECODE: dict[bytes, tuple[str, Callable[..., Iterator[Part]]]] = {
    b"PAR1": ("Parquet", _parquet),
    b"ORC": ("ORC", _orc),
    b"Obj\x01": ("Avro", _avro),
    b"PK\x03\x04": ("zip", _zip),
}
