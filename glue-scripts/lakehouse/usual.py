"""Patterns of usual lines: one JSON object with the contract's keys as it spells them, and values in the form that programs give
them. Nothing that they take is bad, but for a time in it; so an engine may read these lines by itself. Others go to the judge.

The patterns are for RE2 and Java alike.
"""

from __future__ import annotations

import re

from lakehouse import emails
from lakehouse.contracts import Column, Contract

SPACE = " \t\r\n"
# Texts without escapes, numbers that surely fit into their type.
_TEXT, _NAMING = r'[^"\\\x00-\x1f]*', r'[!#-\[\]-~][^"\\\x00-\x1f]*'
_NUMBERS = {
    "int": r"-?(?:0|[1-9][0-9]{0,8})",
    "bigint": r"-?(?:0|[1-9][0-9]{0,17})",
    "double": r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?",
    "boolean": "(?:true|false)",
}


def is_fixed(contract: Contract) -> bool:
    """Every column is required, so that all usual lines have the same shape."""
    return all(column.required for column in contract.columns)


def pattern(contract: Contract) -> str:
    """What TEXT of a usual line matches as a whole. The keys come in the contract's order, or, where all are required, in any; a
    column that is not required may be null or absent."""
    if not is_fixed(contract):
        entries = []
        for column in contract.columns:
            value = _value(column) if column.required else f"(?:{_value(column)}|null)"
            entries.append(f'(?:"{re.escape(column.json_key)}": ?{value}, ?)' + ("" if column.required else "?"))
        return rf"\{{{''.join(entries)}"
    in_order = ", ?".join(f'"{re.escape(column.json_key)}": ?{_value(column)}' for column in contract.columns)
    # As many of the keys as there are, and white space where JSON allows it. One may be there twice: then another one is missing.
    space = f"[{SPACE}]*"
    entries = [f'"{re.escape(column.json_key)}"{space}:{space}{_value(column)}' for column in contract.columns]
    entry = f"{space}(?:{'|'.join(entries)}){space}"
    return rf"\{{(?:{in_order}|{entry}(?:,{entry}){{{len(entries) - 1}}})\}}"


def text(contract: Contract) -> str:
    """SQL: what of the column `text` is to match. Where keys may be absent, each ends with a comma, also the last one."""
    return "text" if is_fixed(contract) else "case when text like '%}' then left(text, length(text) - 1) || ',' end"


def _value(column: Column) -> str:
    if column.type != "string":
        return _NUMBERS[column.type]
    return f'"{emails.USUAL if column.kind == "email" else _NAMING if column.required else _TEXT}"'


def implausible(contract: Contract) -> str:
    """SQL: whether a time of a usual line is outside its limits (R12)."""
    found = ["false"]
    for time in contract.times:
        early = f'"{time.column}" < {time.earliest}' + (f' and "{time.column}" > 0' if time.given else "")
        found.append(f'coalesce({early} or "{time.column}" > file_modified + {time.ahead}, false)')
    return " or ".join(f"({one})" for one in found)


def as_judged(column: Column) -> str:
    """SQL: a value of a usual line as the judge gives it. -0.0 equals 0.0 but is not the same bytes."""
    if column.kind == "email":
        return f'lower("{column.name}")'
    return f'"{column.name}" + cast(0 as double)' if column.type == "double" else f'"{column.name}"'
