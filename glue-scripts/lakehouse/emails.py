"""The one normalisation of e-mail addresses (R11). Everything behind the reader sees only normalised ones."""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point of Unicode, but for Cf: Hangul fillers, variation selectors and others that nobody gets to see.
_NOT_SHOWN = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff"
_is_not_shown = re.compile(f"[{_NOT_SHOWN}]").match
# What programs write nearly always: no character that another one could pass for, so lower case is all there is to do.
USUAL = r"[!#-\[\]-~]+"
_is_usual = re.compile(rf"{USUAL}\Z").match
# White_Space of Unicode, but for category Z. Not str.isspace(): it takes U+001C to U+001F for white space too.
_WHITE_CONTROLS = "\t\n\v\f\r\x85"


class Malformed(ValueError):
    """An address that holds a blank, control or invisible character."""


def normalise(address: str) -> str:
    """The address as it is compared and stored; empty when it is blank. Raises Malformed."""
    if _is_usual(address):
        return address.lower()
    text = strip(unicodedata.normalize("NFC", address))
    # Each character by itself: str.lower() of the whole text would ask where in a word a sigma stands.
    text = unicodedata.normalize("NFC", "".join(map(str.lower, text)))
    if any(unseen(character) or unicodedata.category(character)[0] == "C" for character in text):
        raise Malformed
    return text


def strip(text: str) -> str:
    """The text without white space and invisible characters at its ends: blank is what is empty then."""
    first, last = 0, len(text)
    while first < last and unseen(text[first]):
        first += 1
    while last > first and unseen(text[last - 1]):
        last -= 1
    return text[first:last]


def unseen(character: str) -> bool:
    """Whether a character is white space or invisible: at the ends of an address it is no part of it."""
    category = unicodedata.category(character)
    return character in _WHITE_CONTROLS or category == "Cf" or category[0] == "Z" or _is_not_shown(character) is not None
