"""Traces of people in bytes: their addresses in every spelling and form, what their devices are called, and their pseudonyms."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from lakehouse import emails

# Text within text within text: escaped so many times at most.
_ROUNDS = 3
# What stands between words is what addresses hold no more than in theory, such as quotes: in text these are around them.
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = bytes(byte if byte in _LETTERS + b"._+-@" or byte >= 0x80 else 0x20 for byte in range(0x100)).lower()
_BASE64 = bytes(byte if byte in _LETTERS + b"+/_-" else 0x20 for byte in range(0x100))
# Iceberg cuts bounds to 16 characters; what is shorter is whole.
_SHORTEST_BASE64, _SHORTEST_BOUND, _HEAD, _FEW, _MANY, _SMALL = 8, 16, 8, 24, 200, 4096
_UNICODE = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+")
_ESCAPED = [(rf"\{escape}".encode(), character) for escape, character in zip('/"nrtbf', (b"/", b'"', *[b" "] * 5), strict=True)]
# In front of a text stands its length, in one byte.
_LONGEST_PREFIXED = 0x7F


@dataclass(frozen=True)
class Person:
    """Whom a request is about. `email`: normalised, empty where a device alone is named. `serials`: devices that are theirs
    alone; `shared`: others of theirs, which are not looked for as such, but for the pseudonyms made with them."""

    email: str = ""
    serials: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


class Finder:
    """Looks for people. How long it takes does not depend on how many they are (but for small pieces of no text)."""

    def __init__(self, people: Iterable[Person]) -> None:
        people = list(people)
        plain = {text for one in people for text in (one.email, *one.serials) if text}
        hashed = {sha256(text) for text in plain}
        hashed |= {sha256(f"{one.email} {serial}") for one in people if one.email for serial in (*one.serials, *one.shared)}
        self._plain, self._hashed = plain, hashed
        wanted = {_apart(text.encode()).strip() or text.encode() for text in plain | hashed}
        wanted |= {one.strip(b" .") or one for one in wanted}
        # A point at the end of a sentence is not part of a word. An address with other characters in it is several words.
        self._words = {b"%b%b%b" % (first, one, last) for one in wanted for first in (b"", b".") for last in (b"", b".", b"...")}
        self._phrases = [b" %b%b" % (one, end) for one in wanted if b" " in one for end in (b" ", b". ")]
        # To look for few things is quicker than for all words.
        self._few = wanted if len(wanted) <= _FEW else ()
        shortest = min((len(one.email.encode()) for one in people if one.email), default=0)
        self._shortest = max(_SHORTEST_BASE64, shortest * 4 // 3)
        self._begun: list[bytes] = []
        self._forms: dict[bytes, list[bytes]] = {}

    def in_text(self, text: bytes, rounds: int = _ROUNDS) -> bool:
        """Whether lines of text, whatever they are lines of, name one of them."""
        apart = _apart(text)
        if (not self._few or any(one in apart for one in self._few)) and self._names(apart):
            return True
        return rounds > 0 and any(self.in_text(other, rounds - 1) for other in self._unescaped(text))

    def _names(self, apart: bytes) -> bool:
        return not self._words.isdisjoint(apart.split()) or any(one in apart for one in self._phrases)

    def _unescaped(self, text: bytes) -> Iterator[bytes]:
        """What the text may stand for."""
        if b"\\" in text:
            yield _of_json(text)
        if b"%" in text and (decoded := unquote_to_bytes(text)) != text:
            yield decoded
        # The @ of an address always becomes a capital letter, in one place or another.
        words = _long_words(text.translate(_BASE64), self._shortest)
        if packed := {part for word in words if not word.islower() for part in (word, *re.split(rb"[+/_-]", word))}:
            # Where the text begins within the word is not known.
            yield b"\n".join(_of_base64(word[start:]) for word in packed for start in range(4))

    def in_bound(self, value: bytes) -> bool:
        """Whether a bound of a column's values is one of theirs that was cut. Its last character may then be the next one."""
        if not self._begun:
            self._begun = sorted(text.encode().lower() for text in self._plain | self._hashed)
        if len(value) < _SHORTEST_BOUND:
            return False
        low = value.lower()
        for cut in (low, low[:-1] + bytes([max(low[-1], 1) - 1])):
            place = bisect_left(self._begun, cut)
            if self._begun[place : place + 1] and self._begun[place].startswith(cut):
                return True
        return False

    def in_binary(self, content: bytes, prefixed: bool = False) -> bool:
        """Whether bytes of whatever kind may name one of them. `prefixed`: with its length in front of each text, so that longer
        ones with an address in them, which are somebody else's, are known."""
        if not self._forms:
            for text in self._plain | self._hashed:
                for form in _forms(text):
                    self._forms.setdefault(form[:_HEAD], []).append(form)
            # Which pairs of bytes their heads begin and end with.
            self._first, self._last = np.zeros((2, 0x10000), np.bool_)
            self._first[[int.from_bytes(head[:2], "little") for head in self._forms]] = True
            self._last[[int.from_bytes(head[-2:], "little") for head in self._forms]] = True
        variants = [content, content.lower()]
        if b"\0" in content:
            variants.append(content.lower().replace(b"\0", b""))
        return any(self._found(form, one, prefixed) for one in variants for form in self._likely(one) if form in one)

    def _likely(self, content: bytes) -> Iterator[bytes]:
        """The forms that may be there."""
        heads: set[bytes] = set(self._forms)
        if len(heads) > _MANY and len(content) >= _HEAD:
            single = np.frombuffer(content, np.uint8).astype(np.uint16)
            pairs = single[:-1] | single[1:] << 8
            at = np.flatnonzero(self._first[pairs[: 2 - _HEAD]] & self._last[pairs[_HEAD - 2 :]]).tolist()
            heads = {head for head in heads if len(head) < _HEAD} | heads & {content[one : one + _HEAD] for one in at}
        return (form for head in heads for form in self._forms[head])

    def _found(self, form: bytes, content: bytes, prefixed: bool) -> bool:
        for match in re.finditer(re.escape(form), content) if prefixed else ():
            around = list(_texts_around(content, *match.span()))
            if not around or any(map(self.in_text, around)):
                return True
        return not prefixed


def _texts_around(content: bytes, first: int, last: int) -> Iterator[bytes]:
    """Texts with their length in front that a place may be within."""
    for start in range(max(first - _LONGEST_PREFIXED, 1), first + 1):
        end = start + content[start - 1]
        text = content[start:end]
        if last <= end <= len(content) and text.decode("utf-8", "replace").isprintable():
            yield text


def sha256(text: str) -> str:
    """How indexes name who has an address, or a device; hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _apart(text: bytes) -> bytes:
    """The text with blanks for all that stands between words, letters beyond ASCII as the one normalisation has them (R11)."""
    if not text.isascii():
        text = _normalised(text.decode("utf-8", "replace")).encode()
    return b" %b " % text.translate(_WORDS)


def _normalised(text: str) -> str:
    # In one go: the small sigma does not depend on where in a word it stands.
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).replace("\u03a3", "\u03c3").lower())
    others = "".join(one for one in set(text) if one > "\x7f" and _shown(one) != one)
    return re.sub(f"[{others}]", lambda match: _shown(match[0]), text) if others else text


@cache
def _shown(character: str) -> str:
    """The character as part of a word. Letters without case are those of scripts that may have no blanks between words."""
    category = unicodedata.category(character)
    if category == "Lo" and not emails.unseen(character):
        return f" {character} "
    return character if category[0] in "LMN" and not emails.unseen(character) else " "


def _long_words(text: bytes, shortest: int) -> Iterable[bytes]:
    if len(text) < _SMALL:
        return (word for word in text.split() if len(word) >= shortest)
    blanks = np.flatnonzero(np.frombuffer(b" %b " % text, np.uint8) == 0x20)
    long = np.flatnonzero(np.diff(blanks) > shortest)
    return (text[first : last - 1] for first, last in zip(blanks[long].tolist(), blanks[long + 1].tolist(), strict=True))


def _of_json(text: bytes) -> bytes:
    def decoded(match: re.Match[bytes]) -> bytes:
        return bytes.fromhex(match[0].replace(rb"\u", b"").decode()).decode("utf-16-be", "replace").encode()

    text = _UNICODE.sub(decoded, text.replace(rb"\\", b"\0"))
    for escape, character in _ESCAPED:
        text = text.replace(escape, character)
    return text.replace(b"\0", b"\\")


def _of_base64(word: bytes) -> bytes:
    word = word.replace(b"-", b"+").replace(b"_", b"/")
    return binascii.a2b_base64(word[: len(word) - (len(word) % 4 == 1)] + b"==")


def _forms(text: str) -> set[bytes]:
    """How a text may stand in bytes whose upper case is lower, or as it is in base64."""
    spellings = {text, unicodedata.normalize("NFD", text), text.upper()}
    forms = {other.encode() for other in spellings} | {quote(other).encode() for other in spellings}
    forms |= {re.sub(r"[^!-?A-~]", lambda match: rf"\u{ord(match[0]):04x}", other).encode() for other in spellings}
    forms = {form.lower() for form in forms}
    for start in range(3):
        # The characters that hold bits of a neighbour are left out.
        packed = base64.b64encode(bytes(start) + text.encode())[-(-start * 4 // 3) : (start + len(text.encode())) * 4 // 3]
        forms |= {packed, packed.replace(b"+", b"-").replace(b"/", b"_")}
    return forms
