"""What a delivered line is: one strict judgement (R8, R11, R12, R14, R16), in plain Python, so that every engine has the same.

An engine may take usual lines in a quicker way, where the judgement would surely be the same; all others come here.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from lakehouse import emails
from lakehouse.contracts import Column, Contract

MALFORMED, WRONG_TYPE, MISSING_KEY = "malformed", "wrong_type", "missing_key"
MALFORMED_EMAIL, IMPLAUSIBLE_TIME, FUTURE_TIME = "malformed_email", "implausible_time", "future_time"
# Limits of what is taken for a row, whatever JSON allows: bytes of a line, levels of objects and arrays, characters of a number.
LONGEST_LINE, MOST_LEVELS, LONGEST_NUMBER = 1024 * 1024, 100, 1000
# Names of unknown keys come from outside: only those are told that the contract could have meant.
OTHER = "(other)"
_NAME = re.compile(r"[A-Za-z_]+\Z")
_ALIKE, _MOST_LETTERS_MORE = 0.8, 3
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# An array begins, or one object ends and another one begins: nobody knows how many rows that was meant to be (R14).
_WHITE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_MORE_THAN_ONE = re.compile(rf'\A\ufeff?[{_WHITE}]*+\[|\}}[^"{{}}]*+\{{')
_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?\Z", re.ASCII)
_BITS = {"int": 31, "bigint": 63}


class Verdict(NamedTuple):
    """What a line is. `reason`: why it cannot be used, None when it can; `column` and `detail`: what is wrong with it, no value.

    `values`: those of the contract's columns, in order; of a bad line what could be read. `many`: it holds an unknown number of
    rows. `drift`: its keys that the contract does not know, as they may be told.
    """

    values: tuple[Any, ...]
    reason: str | None = None
    column: str | None = None
    detail: str | None = None
    many: bool = False
    drift: tuple[str, ...] = ()

    def flat(self) -> tuple[Any, ...]:
        """The same as one row: values, reason, column_name, detail, many, and drift joined by commas."""
        return (*self.values, self.reason, self.column, self.detail, self.many, ",".join(self.drift) or None)


class _Number(str):
    """A number as it is written."""


class _Object(tuple):
    """Pairs of keys and values: shows keys that come twice, and tells objects from arrays."""


class _Malformed(ValueError):
    """What is wrong with a line as a whole."""


@dataclass(frozen=True)
class _Problem:
    reason: str
    key: str
    text: str


class Judge:
    """Judges the lines of a landing table as its contract says."""

    def __init__(self, contract: Contract) -> None:
        self._columns = contract.columns
        self._keys = {column.json_key.lower(): column for column in contract.columns}
        self._times = {time.column: time for time in contract.times}
        self._nothing = (None,) * len(contract.columns)

    def judge(self, line: bytes, modified: int) -> Verdict:
        """`line`: without its end, and without the byte-order mark that its file may begin with. `modified`: when the file was
        delivered, in ms."""
        try:
            pairs = _document(line)
        except _Malformed as error:
            return Verdict(self._nothing, MALFORMED, None, str(error), _is_more_than_one(line))
        given, unknown, twice = self._sorted_out(pairs)
        values, problems = [], []
        for column in self._columns:
            value, problem = self._value(column, given, unknown, modified)
            values.append(value)
            problems += [problem] if problem else []
        drift = tuple(dict.fromkeys(map(self._told, unknown)))
        if twice:
            # An unknown key is not named.
            known = next((self._keys[key].json_key for key in twice if key in self._keys), None)
            return Verdict(tuple(values), MALFORMED, known, f"{known or 'a key'}: more than once", _is_more_than_one(line))
        for reason in (WRONG_TYPE, MISSING_KEY, MALFORMED_EMAIL, IMPLAUSIBLE_TIME, FUTURE_TIME):
            found = [problem for problem in problems if problem.reason == reason]
            if found:
                detail = ", ".join(f"{problem.key}: {problem.text}" for problem in found)
                # Rows wrapped in an object that is none itself.
                many = self._keys.keys().isdisjoint(given) and _is_more_than_one(line)
                return Verdict(tuple(values), reason, found[0].key, detail, many, drift)
        return Verdict(tuple(values), drift=drift)

    def _sorted_out(self, pairs: _Object) -> tuple[dict[str, Any], list[str], list[str]]:
        """Values by key in lower case, keys that the contract does not know as they are written, and keys that come twice."""
        times = Counter(key.lower() for key, _ in pairs)
        twice = [key for key, count in times.items() if count > 1]
        given = {key.lower(): value for key, value in pairs if times[key.lower()] == 1}
        return given, [key for key, _ in pairs if key.lower() not in self._keys], twice

    def _value(self, column: Column, given: dict[str, Any], unknown: list[str], modified: int) -> tuple[Any, _Problem | None]:
        def problem(reason: str, text: str) -> tuple[None, _Problem]:
            return None, _Problem(reason, column.json_key, text)

        written = given.get(column.json_key.lower())
        if written is None:
            if not column.required:
                return None, None
            met = next((key for key in unknown if _is_meant(key, column.json_key)), None)
            return problem(MISSING_KEY, f"missing, met {met}" if met else "missing")
        try:
            value = _typed(written, column.type)
        except ValueError as error:
            return problem(WRONG_TYPE, str(error))
        if column.required and isinstance(value, str) and not emails.strip(value):
            return problem(MISSING_KEY, "blank")
        if column.kind == "email":
            try:
                return emails.normalise(value), None
            except emails.Malformed:
                return problem(MALFORMED_EMAIL, "a blank, control or invisible character in it")
        if time := self._times.get(column.name):
            if time.is_early(value):
                return problem(IMPLAUSIBLE_TIME, "before the first plausible time; want milliseconds")
            if value > modified + time.ahead:
                return problem(FUTURE_TIME, "later than its file")
        return value, None

    def _told(self, key: str) -> str:
        """The name of an unknown key as it may be told: it comes from outside, and may be anything."""
        return key if any(_is_meant(key, column.json_key) for column in self._columns) else OTHER


def _is_meant(key: str, known: str) -> bool:
    """Whether an unknown key looks like another spelling of a known one, with nothing to it that could tell of somebody."""
    written, wanted = (re.sub("[^a-z]", "", name.lower()) for name in (key, known))
    if not _NAME.match(key) or len(written) > len(wanted) + _MOST_LETTERS_MORE:
        return False
    return difflib.SequenceMatcher(None, written, wanted).ratio() >= _ALIKE


def _is_more_than_one(line: bytes) -> bool:
    return _MORE_THAN_ONE.search(line.decode("utf-8", "replace")) is not None


def _document(line: bytes) -> _Object:
    """The pairs of the one object that a line is."""
    if len(line) > LONGEST_LINE:
        raise _Malformed("a line of more than 1 MiB")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _Malformed("not UTF-8") from None
    if _levels(text) > MOST_LEVELS:
        raise _Malformed(f"more than {MOST_LEVELS} levels")
    try:
        document = _STRICT.decode(text)
        if "\\u" in text:
            # Half a surrogate pair is no character: it cannot be encoded.
            json.dumps(document, ensure_ascii=False).encode()
    except _Malformed:
        raise
    except ValueError:
        raise _Malformed("not one JSON object") from None
    if not isinstance(document, _Object):
        raise _Malformed("not one JSON object")
    return document


def _levels(text: str) -> int:
    """How deep objects and arrays are in each other; brackets inside texts are none."""
    if text.count("{") + text.count("[") <= MOST_LEVELS:
        return 1
    level = deepest = 0
    for match in _STRUCTURE.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, level)
    return deepest


def _number(written: str) -> _Number:
    if len(written) > LONGEST_NUMBER:
        raise _Malformed(f"a number of more than {LONGEST_NUMBER} characters")
    return _Number(written)


def _no_number(_: str) -> None:
    raise _Malformed("not one JSON object")


_STRICT = json.JSONDecoder(object_pairs_hook=_Object, parse_int=_number, parse_float=_number, parse_constant=_no_number)


def _typed(value: Any, wanted: str) -> Any:
    """The value in a column's type. The error says what it is instead."""
    if isinstance(value, _Number):
        if wanted in _BITS:
            return _whole(value, wanted)
        if wanted == "double":
            # -0.0 equals 0.0 but is not the same bytes: which of two equal rows is kept would make a difference.
            if not math.isfinite(number := float(value) + 0.0):
                raise ValueError("number too large for double")
            return number
        raise ValueError(f"number for {wanted}")
    if isinstance(value, bool):
        if wanted == "boolean":
            return value
        raise ValueError(f"true or false for {wanted}")
    if isinstance(value, str):
        if wanted == "string":
            return value
        raise ValueError(f"text for {wanted}")
    raise ValueError(f"{'object' if isinstance(value, _Object) else 'array'} for {wanted}")


def _whole(written: str, wanted: str) -> int:
    """A whole number, also one written with a point or an exponent, if its value is exact."""
    sign, whole, fraction, exponent = _NUMBER.match(written).groups("")
    digits = (whole + fraction).lstrip("0")
    zeros = len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    if not digits:
        return 0
    power = int(exponent or 0) - len(fraction) + zeros
    if power < 0:
        raise ValueError(f"number with a fraction for {wanted}")
    # Asked before it is computed: an exponent may be anything.
    number = int(digits) * 10**power if len(digits) + power <= 19 else 2**64
    number = -number if sign else number
    if not -(2 ** _BITS[wanted]) <= number < 2 ** _BITS[wanted]:
        raise ValueError(f"number too large for {wanted}")
    return number
