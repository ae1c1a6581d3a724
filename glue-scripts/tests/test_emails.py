"""One address, one person (R11): without an engine."""

import json
import sys
import unicodedata
from pathlib import Path

import oracle
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lakehouse import emails

EXAMPLES = json.loads(Path(__file__).resolve().parents[2].joinpath("data", "emails.json").read_text(encoding="utf-8"))
# Characters that something is to be done about, and texts that programs write.
ODD = st.sampled_from(
    "\t\x1c\x1f\x85\xa0\xad\u200b\ufeff\u3164\ufe0f\u0301\u030c\u0307\u0345 \u0130\u0131\u03a3\u03c3"
    "\u03c2\u1e9e\xdfK\xc5\u01c5\u01f0\u0390\ufb01\u0537\xe9eJj\u0399\u1fb3\u1f88\ue000\uffff"
)
ADDRESSES = st.text(st.one_of(st.characters(), ODD, st.sampled_from("annANN@.")), max_size=12)

# The same addresses in every run, and nothing kept between runs.
STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=500)
strip = emails.strip


def normalised(address):
    """The address as the product has it; None when it is blank or no address."""
    try:
        return emails.normalise(address) or None
    except emails.Malformed:
        return None


@pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case["why"])
def test_examples(case):
    assert normalised(case["written"]) == case["normalised"]
    assert normalised(case["written"]) == oracle.address(case["written"])


def test_examples_are_of_every_kind():
    assert len(EXAMPLES) > 50
    kinds = {case["normalised"] is None for case in EXAMPLES}
    assert kinds == {True, False}
    assert len({case["written"] for case in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n", "\u00a0\u200b\ufeff\u3164", "\u2028", "\u00ad", "\ufe0f"])
def test_a_blank_address_is_empty_and_not_malformed(blank):
    assert emails.normalise(blank) == ""
    assert strip(blank) == ""


@pytest.mark.parametrize(
    "within", [" ", "\t", "\n", "\x00", "\x1f", "\x7f", "\x85", "\u00a0", "\u200b", "\u2028", "\ue000", "\u0378", "\ufe0f"]
)
def test_what_is_not_seen_within_an_address_is_malformed(within):
    with pytest.raises(emails.Malformed):
        emails.normalise(f"an{within}n@example.com")


def test_the_error_shows_no_address():
    with pytest.raises(emails.Malformed) as caught:
        emails.normalise("planted address@example.com")
    assert "planted" not in str(caught.value) + repr(caught.value)


def test_strip_takes_off_the_ends_only():
    assert strip(" \u200b a \u200b b\ufeff\t") == "a \u200b b"
    assert strip("a") == "a"
    assert strip("\x1fa\x1c") == "\x1fa\x1c"


def test_every_character_is_judged_like_the_oracle_does():
    """At the end of an address and within it, of the planes of Unicode in which there is more than ideographs."""
    differing = []
    for code in (*range(0x20000), *range(0xE0000, 0xE1100), sys.maxunicode):
        if 0xD800 <= code < 0xE000:
            continue  # half a character: no text in UTF-8 holds one
        for written in (f"a{chr(code)}", f"a{chr(code)}b"):
            if normalised(written) != oracle.address(written):
                differing.append(f"U+{code:04X}")
    assert differing == []


@STEADY
@given(ADDRESSES)
@example("J\u030c@x")
@example("\u0130\u0307")
@example("\u1f88\u0345")
def test_a_normalised_address_stays_as_it_is(address):
    once = normalised(address)
    assert once is None or emails.normalise(once) == once


@STEADY
@given(ADDRESSES)
def test_the_oracle_normalises_in_the_same_way(address):
    assert normalised(address) == oracle.address(address)


@STEADY
@given(ADDRESSES, st.text(st.sampled_from(" \t\r\n\x85\u00a0\u2003\u200b\ufeff\u00ad"), max_size=4))
def test_no_spelling_makes_another_person(address, blanks):
    same = {normalised(f"{blanks}{address}{blanks}"), normalised(unicodedata.normalize("NFD", address))}
    assert same == {normalised(address)}


@STEADY
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20))
def test_ascii_in_any_case_is_one_address(address):
    assert emails.normalise(address.upper()) == emails.normalise(address) == address.lower()
