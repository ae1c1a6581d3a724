"""Lines of JSON as Athena reads them with the OpenX SerDe: the values that a table shows, which are more than a job accepts.

What Athena does is in docs/embedded-aws.md, with its source, Trino's reader. Not done: text that only looks like JSON (comments,
single quotes, keys without quotes), of which Trino reads much; here it is a row of nulls. The jobs quarantine all of it.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TRIMMED = "".join(map(chr, range(0x21)))  # what Java's String.trim() takes off
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DOUBLE = re.compile(rf"{_DECIMAL.pattern}[fFdD]?|[+-]?(NaN|Infinity)", re.ASCII)


class BadData(Exception):
    """Something that fails the query, in Athena's words, with no value."""


class _Number(str):
    """A number as it is written, to tell it from a text."""

    __slots__ = ()


class _Object(dict):
    """Keys in lower case, of which the last one counts, at its place."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        for key, value in pairs:
            lower = key.lower()
            self.pop(lower, None)
            self[lower] = (key, value)


_READER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number, strict=False
)


def table(objects: Iterable[tuple[str, bytes]], columns: dict[str, str], parameters: dict[str, str]) -> pa.Table:
    """All rows of these objects (key and content), with the catalog's columns (type by name) and SerDe parameters."""
    unknown = sorted(set(columns.values()) - _TYPES.keys())
    if unknown:
        raise BadData(f"NOT_SUPPORTED: the embedded Athena reads no column of type {unknown[0]} from JSON")
    on = {name for name, value in parameters.items() if value.lower() == "true"}
    # A column may be mapped to a key that differs from its name in more than case.
    keys = [parameters.get(f"mapping.{name}", name).lower() for name in columns]
    decode = [_TYPES[data_type][1] for data_type in columns.values()]
    values: list[list[Any]] = [[] for _ in columns]
    for name, content in objects:
        for line in _lines(name, content):
            row = _cells(line, keys, "ignore.malformed.json" in on)
            for cell, column, decoded in zip(row, values, decode, strict=True):
                try:
                    column.append(None if cell is None else decoded(cell))
                except ValueError:
                    if "use.null.for.invalid.data" not in on:
                        raise BadData(f"HIVE_BAD_DATA: Error parsing a field value of a row of {name}") from None
                    column.append(None)
    schema = pa.schema([(name, _TYPES[data_type][0]) for name, data_type in columns.items()])
    return pa.table([pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema)


def _lines(name: str, content: bytes) -> list[bytes]:
    if name.endswith(".gz") and content:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise BadData(f"HIVE_CURSOR_ERROR: Failed to read file at {name}") from None
    return content.removeprefix(_BYTE_ORDER_MARK).splitlines()  # those of bytes are LF, CR and CRLF only


def _cells(line: bytes, keys: list[str], lenient: bool) -> list[Any]:
    """What the line has for each key, undecoded; None: nothing, or null."""
    text = line.decode(errors="replace").strip(_TRIMMED)
    found = None
    if text.startswith(("{", "[")):
        try:
            found, _ = _READER.raw_decode(text)  # whatever follows is not looked at
        except (ValueError, RecursionError):
            if not lenient:
                raise BadData("HIVE_CURSOR_ERROR: Row is not a valid JSON Object") from None
    if isinstance(found, _Object):
        return [found[key][1] if key in found else None for key in keys]
    elements = found or []
    return [elements[number] if number < len(elements) else None for number in range(len(keys))]


def _whole(bits: int) -> Callable[[Any], int]:
    limit = 2 ** (bits - 1)

    def decoded(cell: Any) -> int:
        number = _long(_primitive(cell))
        if not -limit <= number < limit:
            raise ValueError
        return number

    return decoded


def _long(text: str) -> int:
    """A whole number, in octal and hexadecimal too; digits after a decimal point are cut off. ValueError: it is none."""
    for prefix, base in ((r"0[xX](?=[0-9a-fA-F])", 16), (r"0(?=[0-8])", 8)):
        start = re.match(prefix, text)
        if start:
            digits = text[start.end() :]
            if re.fullmatch("[0-9a-fA-F]+" if base == 16 else "[0-7]+", digits):
                return int(digits, base)
    if _INTEGER.fullmatch(text) and len(text) < 100:
        return int(text)
    number = _decimal(text)
    if number and number.adjusted() > 30:  # too large for any column, and perhaps for this machine
        raise ValueError
    return int(number)


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError
    try:
        return Decimal(text)
    except InvalidOperation:  # its exponent is beyond any bound
        raise ValueError from None


def _double(cell: Any) -> float:
    text = _primitive(cell).strip(_TRIMMED)
    if not _DOUBLE.fullmatch(text):
        raise ValueError
    return float(text.rstrip("fFdD") if text[-1:] in "fFdD" else text)


def _boolean(cell: Any) -> bool:
    return _text(cell).lower() == "true"


def _primitive(cell: Any) -> str:
    """The text of a string, number or boolean. ValueError: it is an object or an array."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    raise ValueError


def _text(cell: Any) -> str:
    text = _rendered(cell) if isinstance(cell, dict | list) else _canonical(_primitive(cell), isinstance(cell, _Number))
    return text.encode(errors="replace").decode()  # half a surrogate pair is no character: "?" stands for it


def _canonical(text: str, number: bool) -> str:
    """A number is written the way Java's BigDecimal is, which knows no negative zero."""
    if not number:
        return text
    if _INTEGER.fullmatch(text) and len(text) < 100:
        return str(int(text))
    try:
        value = _decimal(text)
    except ValueError:
        return text
    return str(value if value else abs(value))


def _rendered(value: Any) -> str:
    """The value as JSON without blanks."""
    match value:
        case dict():
            return "{" + ",".join(f"{_rendered(key)}:{_rendered(entry)}" for key, entry in value.values()) + "}"
        case list():
            return "[" + ",".join(map(_rendered, value)) + "]"
        case None:
            return "null"
        case str() if not isinstance(value, _Number):
            return json.dumps(value, ensure_ascii=False).replace("</", "<\\/")
        case _:
            return _canonical(_primitive(value), isinstance(value, _Number))


# Arrow's type of a column, and how its value is decoded: ValueError where it cannot be.
_TYPES: dict[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
    "string": (pa.string(), _text),
    "bigint": (pa.int64(), _whole(64)),
    "int": (pa.int32(), _whole(32)),
    "double": (pa.float64(), _double),
    "boolean": (pa.bool_(), _boolean),
}
