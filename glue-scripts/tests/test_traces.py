"""Whoever a request is about is found in any spelling and form, and nobody else is."""

import base64
import hashlib
import json
import random
import unicodedata
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lakehouse import emails
from lakehouse.traces import Finder, Person

ANN, SERIAL, SHARED = "ann@example.com", "5a1c2e64-7b1f-4f0e-9e0a-3f6f5d1b2c3d", "a0b1c2d3-0000-4f0e-9e0a-3f6f5d1b2c3d"
PERSON = Person(ANN, (SERIAL,), (SHARED,))
CROWD = [Person(f"someone-{number}@example.org", (f"device-of-{number}",)) for number in range(1000)]
# The same texts in every run, and nothing kept between runs.
STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=1000)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(params=["alone", "in a crowd"])
def finder(request):
    return Finder([PERSON] if request.param == "alone" else [PERSON, *CROWD])


HELD = {
    "as it is": ANN,
    "a value of JSON": '{"user":"ann@example.com","x":1}',
    "another case, a blank": '"x":"ANN@EXAMPLE.COM "',
    "a link": "mailto:ann@example.com",
    "within brackets": "Ann <ann@example.com>",
    "in single quotes": "where email = 'ann@example.com'",
    "the end of a sentence": "Write to ann@example.com. She answers.",
    "the end of a text": "ask ann@example.com...",
    "in full-width brackets": "\uff08ann@example.com\uff09",
    "between letters that need no blanks": "\u90ae\u7bb1ann@example.com\u662f",
    "invisible characters at its ends": "x,\ufeffann@example.com\u200b,y",
    "a letter that form C makes a K": "\u212aARL: ann@e\u0078ample.com".replace("x", "X"),
    "a query": "GET /?u=ann%40example.com&x=",
    "a query, lower case": "/?u=%61nn%40example%2ecom",
    "escaped twice": "ann%2540example.com",
    "escaped by JSON": r'"ann\u0040example.com"',
    "behind an escape": r'"a\nann@example.com\t"',
    "JSON in JSON": json.dumps(json.dumps({"user": "\u200b" + ANN})),
    "URL in JSON": r"https:\/\/x\/ann\u002540example.com",
    "its hash": f"x={sha256(ANN).upper()}",
    "a device": f'{{"serialNumber":"{SERIAL}"}}',
    "a device in upper case": SERIAL.upper(),
    "the hash of a device": sha256(SERIAL),
    "the pseudonym": sha256(f"{ANN} {SERIAL}"),
    "the pseudonym of a shared device": sha256(f"{ANN} {SHARED}"),
    "no UTF-8 around it": b"\xff\xfeann@example.com\xc3(",
    "bytes of zero": b"\0ann@example.com\0\0",
    **{
        f"{way.__name__}, {before} before": way(f"{'x' * before} ann@Example.com, ".encode())
        for way in (base64.b64encode, base64.urlsafe_b64encode)
        for before in range(3)
    },
    "base64 behind a slash": b"data/" + base64.b64encode(ANN.encode()),
    "base64 of JSON": base64.b64encode(rb'{"u":"ann\u0040example.com"}'),
    "base64 of base64": base64.b64encode(b"x" + base64.b64encode(ANN.encode())),
}


@pytest.mark.parametrize("text", HELD.values(), ids=HELD)
@pytest.mark.parametrize("long", [False, True], ids=["a line", "many lines"])
def test_every_form_is_found(finder, text, long):
    text = text if isinstance(text, bytes) else text.encode()
    around = b'{"user":"other@example.com","x":1.5}\n' * (1000 if long else 0)
    assert finder.in_text(around + text + b"\n" + around)


OTHERS = {
    "a longer name": "joann@example.com",
    "a longer domain": "ann@example.com.au",
    "another domain": "ann@example.community ann@example.com-x.org",
    "a name with a point": "jo.ann@example.com jo-ann@example.com jo+ann@example.com jo_ann@example.com",
    "a letter with a mark": "jo\u00e9ann@example.com, e\u0301ann@example.com",
    "half of it": '"ann","example.com"',
    "a blank within": "ann @example.com an\u200bn@example.com",
    "escaped": r"jo%61nn%40example.com %6aann@example.com jo\u0061nn@example.com",
    "base64": base64.b64encode(b"joann@example.com ann@example.community").decode(),
    "a shared device": SHARED,
    "its hash": sha256(SHARED),
    "a device with a longer name": f"{SERIAL}1 x{SERIAL} {SERIAL}-2",
    "a longer hash": sha256(ANN) + "0",
    "another's pseudonym": sha256(f"joann@example.com {SERIAL}"),
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_nobody_else_is_found(finder, text):
    assert not finder.in_text(text.encode())
    assert not finder.in_text((text + "\n").encode() * 1000)


@pytest.mark.parametrize("person", [Person("", (SERIAL,)), Person(), Person("", (), (SHARED,))])
def test_a_device_alone_is_no_address(person):
    finder = Finder([person])
    assert not finder.in_text(ANN.encode())
    assert finder.in_text(SERIAL.encode()) == bool(person.serials)
    assert finder.in_binary(SERIAL.encode()) == bool(person.serials)
    assert not finder.in_bound(SHARED.encode())


def test_a_bound_is_found_when_it_was_cut(finder):
    for bound in (SERIAL[:16], SERIAL[:15] + "g", SERIAL[:20].upper(), SERIAL, sha256(ANN)[:16]):
        assert finder.in_bound(bound.encode()), bound
    # Too short to be cut; somebody else's.
    for bound in ("", "ann@exam", SERIAL[:15], SERIAL[:15] + "h", "x" + SERIAL[:16], SERIAL + "x", "\0" * 16, "\xff" * 16):
        assert not finder.in_bound(bound.encode("latin-1")), bound


@pytest.mark.parametrize(
    "form",
    [
        b"ANN@example.com",
        b"ann%40example.com",
        rb"ann\u0040example.com",
        ANN.encode("utf-16-le"),
        ANN.encode("utf-16-be"),
        *(base64.b64encode(bytes(before) + ANN.encode() + b"xyz") for before in range(3)),
        sha256(SERIAL).encode(),
        SERIAL.encode(),
    ],
)
def test_in_binary_no_boundaries_are_asked_for(finder, form):
    noise = random.Random(0).randbytes(100_000)
    assert not finder.in_binary(noise)
    assert finder.in_binary(noise + b"name" + form + b"\x01x" + noise)


def test_a_length_in_front_tells_of_longer_texts(finder):
    def written(*texts):
        return b"\x18\x19" + b"\x15\x04".join(bytes([len(text)]) + text for text in texts) + b"\0\x88\x01"

    for texts in ((b"ann@example.com", b"x"), (b"a", b"<ann@example.com>", b"b"), (b"joann@example.com", b"ann@example.com")):
        assert finder.in_binary(written(*texts), prefixed=True), texts
    for texts in ((b"joann@example.com", b"xann@example.com"), (b"ann@example.com.au",)):
        assert not finder.in_binary(written(*texts), prefixed=True), texts
        assert finder.in_binary(written(*texts))


# --- any address, in any form, anywhere ---

CHARACTERS = st.one_of(
    st.sampled_from(
        "abcxyzABCXYZ0189.-_+'/=?&%!#$*{|}~\\\"<>,;:()\u00e9\u0159\u00df\u03a3\u0130\u043f\u90ae\ud55c\u05d0\U0001f600"
    ),
    st.characters(categories=["L", "N"]),
)
SPELLINGS = (str, str.upper, str.swapcase, lambda text: unicodedata.normalize("NFD", text), lambda text: f"\u00a0{text}\u200b")
ODD = st.sampled_from("ab1 @.,\"'\\%/=\n\u00e9\u200b")
TEXTS = st.text(st.one_of(ODD, st.characters(exclude_categories=["Cs"])), max_size=40)
APART = st.sampled_from('"<,;: \n(')
FORMS = (
    str.encode,
    lambda text: quote(text).encode(),
    lambda text: quote(text, safe="@").lower().encode(),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()).encode(),
    lambda text: json.dumps(text).encode(),
    lambda text: json.dumps(text, ensure_ascii=False).replace("@", r"\u0040").replace("/", r"\/").encode(),
    lambda text: json.dumps(json.dumps(text)).encode(),
    lambda text: quote_from_bytes(json.dumps(text).encode()).encode(),
    lambda text: base64.b64encode(text.encode()),
    lambda text: base64.urlsafe_b64encode(f"x {text}, y".encode()),
    lambda text: base64.b64encode(f"xy {text}".encode()).rstrip(b"="),
    lambda text: sha256(emails.normalise(text)).encode(),
    lambda text: sha256(emails.normalise(text)).upper().encode(),
)


@st.composite
def addresses(draw):
    local, domain = draw(st.text(CHARACTERS, min_size=3, max_size=12)), draw(st.text(st.sampled_from("abcz019.-"), min_size=3))
    try:
        return emails.normalise(f"{local}@{domain}") or "ann@example.com"
    except emails.Malformed:
        return "ann@example.com"


@STEADY
@given(addresses(), st.sampled_from(SPELLINGS), st.sampled_from(FORMS), TEXTS, TEXTS, APART, st.integers(0, 30))
def test_any_address_is_found_in_any_form_anywhere(address, spell, form, before, after, apart, times):
    spelled = spell(address)
    if emails.normalise(spelled) != address:
        spelled = address
    # Not within an escape sequence: what is written there is not the address.
    before = before.rstrip("\\%")
    text = before.encode() * times + apart.encode() + form(spelled) + apart.encode() + after.encode() * times
    for people in ([Person(address)], [Person(address), *CROWD[:20]]):
        assert Finder(people).in_text(text)
