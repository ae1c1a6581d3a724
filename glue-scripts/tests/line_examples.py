"""Lines as somebody may deliver them: what JSON allows and forbids, numbers, arrays, and strategies that spoil good lines."""

import json

import oracle
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from lakehouse.lines import LONGEST_LINE, LONGEST_NUMBER

SOURCES = ("customer", "accelerometer", "step_trainer")
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
MODIFIED = 1_700_000_000_000  # ms; when what is judged here was delivered
LATEST = MODIFIED + 86_400_000
TIME = 1_650_000_000_000
GOOD = {
    "customer": {"email": "ann@example.com", "lastUpdateDate": TIME},
    "accelerometer": {"user": "ann@example.com", "timestamp": TIME, "x": 0.5, "y": 0, "z": -1.0},
    "step_trainer": {"sensorReadingTime": TIME, "serialNumber": "device-a", "distanceFromObject": 200},
}


class Raw(str):
    """A value as it is written, which json.dumps would write in another way."""


def written(row):
    """The line of a row; a row may also be a list of keys and values, so that a key can come twice."""
    pairs = row.items() if isinstance(row, dict) else row
    entries = (f"{json.dumps(key)}: {value if isinstance(value, Raw) else json.dumps(value)}" for key, value in pairs)
    return f"{{{', '.join(entries)}}}".encode()


def quoted(text):
    """A text as JSON, with as few escapes as can be."""
    return json.dumps(text, ensure_ascii=False)


def changed(source="step_trainer", without=(), **values):
    return {key: value for key, value in {**GOOD[source], **values}.items() if key not in without}


# --- numbers ---

WHOLE = {
    "0": 0, "-0": 0, "0.0": 0, "-0e9": 0, "0e999999999": 0, "7": 7, "-7": -7, "1.0": 1, "1e3": 1000, "1E+3": 1000, "1000e-3": 1,
    "1.50e1": 15, "12.300e3": 12_300, "0.001e3": 1, "2147483647": 2**31 - 1, "-2147483648": -(2**31), "2147483647.000": 2**31 - 1,
    "2.147483647e9": 2**31 - 1, "10e-1": 1, "0." + "0" * 900 + "1e901": 1, "1" + "0" * 900 + "e-900": 1,
}  # fmt: skip
FRACTION, TOO_LARGE = "number with a fraction for int", "number too large for int"
NO_INT = {
    "1.5": FRACTION, "0.1": FRACTION, "1e-1": FRACTION, "1e-999999999": FRACTION, "15e-1": FRACTION, "-1.25e1": FRACTION,
    "2147483647.5": FRACTION, "2147483648": TOO_LARGE, "-2147483649": TOO_LARGE, "1e10": TOO_LARGE, "1e999999999": TOO_LARGE,
    "-1e999999999": TOO_LARGE, "9" * LONGEST_NUMBER: TOO_LARGE, "1e" + "9" * 900: TOO_LARGE, "9007199254740993.0": TOO_LARGE,
}  # fmt: skip
# Halfway between two doubles, or nearly so; at the ends of what a double can hold; and zeros.
HARD_TO_ROUND = [
    "9007199254740993", "9007199254740993.0", "1.00000000000000011102230246251565", "0.1", "0.3", "2.2250738585072011e-30",
    "123456789012345678e22", "123456789012345678.123456789012345678901234567890e99", "5e-99", "0.500000000000000166533453693773",
    "8.5e22", "9e22", "-0", "-0.0", "0e0", "-0e-99", "0.000000000000000000000000000001e-99", "1e22", "1e23", "4.35", "0.000001",
    "6.62607015e-34", "999999999999999999", "-999999999999999999.999999999999999999999999999999",
]  # fmt: skip
ASCII = st.characters(max_codepoint=127)


# --- JSON (RFC 8259): y must pass, n must not, i is left open by the RFC and decided here ---

VALUES_OF_JSON = {
    "y_null": "null",
    "y_true": "true",
    "y_false": "false",
    "y_zero": "0",
    "y_minus_zero": "-0",
    "y_integer": "123",
    "y_negative": "-123",
    "y_real": "123.456",
    "y_exponent": "1e5",
    "y_exponent_capital": "1E5",
    "y_exponent_plus": "1e+5",
    "y_exponent_minus": "1E-2",
    "y_exponent_zeros": "1e00005",
    "y_fraction_and_exponent": "0.25e2",
    "y_text_empty": '""',
    "y_text_escapes": r'"\"\\\/\b\f\n\r\t"',
    "y_text_unicode_escape": r'"\u00e9\u20ac\u0000\u007F"',
    "y_text_surrogate_pair": r'"\ud83d\uDE00"',
    "y_text_escaped_backslash_u": r'"\\u12"',
    "y_text_delete": '"\x7f"',
    "y_text_utf8": '"\u00e9\u20ac\U0001f600"',
    "y_text_noncharacter": '"\uffff\U0010ffff"',
    "y_text_line_separators": '"\u2028\u2029\x85"',
    "y_text_byte_order_mark": '"\ufeff"',
    "y_text_brackets": '"[{]}"',
    "y_text_comment": '"/* no comment */"',
    "y_array_empty": "[]",
    "y_array_mixed": '[null, 1, "1", {}, [[]]]',
    "y_array_blanks": "[ 1\t,\r2 ]",
    "y_object_empty": "{}",
    "y_object_empty_key": '{"": 0}',
    "y_object_key_twice_within": '{"a": 1, "a": 2}',
    "y_object_key_escaped": r'{"\u0000": 1, "\"": 2}',
    "n_nothing": "",
    "n_true_capital": "True",
    "n_null_capital": "NULL",
    "n_word": "nul",
    "n_undefined": "undefined",
    "n_nan": "NaN",
    "n_minus_nan": "-NaN",
    "n_infinity": "Infinity",
    "n_minus_infinity": "-Infinity",
    "n_inf": "inf",
    "n_plus": "+1",
    "n_leading_zero": "01",
    "n_leading_zeros_negative": "-01",
    "n_double_zero": "00",
    "n_point_first": ".5",
    "n_point_last": "5.",
    "n_point_minus": "-.5",
    "n_point_exponent": "1.e5",
    "n_exponent_empty": "1e",
    "n_exponent_sign_only": "1e+",
    "n_exponent_only": "e5",
    "n_exponent_twice": "1e5e5",
    "n_exponent_fraction": "1e0.5",
    "n_minus_alone": "-",
    "n_minus_twice": "--1",
    "n_minus_blank": "- 1",
    "n_hexadecimal": "0x1F",
    "n_octal": "0o7",
    "n_underscore": "1_000",
    "n_thousands": "1 000",
    "n_suffix": "1L",
    "n_full_width_digit": "\uff11",
    "n_arabic_digit": "\u0661",
    "n_full_width_digit_behind": "1\uff11",
    "n_expression": "1+1",
    "n_single_quotes": "'a'",
    "n_no_quotes": "abc",
    "n_typographic_quotes": "\u201ca\u201d",
    "n_text_open": '"a',
    "n_text_closed_only": 'a"',
    "n_text_tab": '"\t"',
    "n_text_line_feed": '"\n"',
    "n_text_nul": '"\x00"',
    "n_text_unit_separator": '"\x1f"',
    "n_text_escape_x": r'"\x41"',
    "n_text_escape_a": r'"\a"',
    "n_text_escape_quote": r'"\'"',
    "n_text_escape_capital_u": r'"\U00e9"',
    "n_text_escape_digit": r'"\0"',
    "n_text_escape_emoji": '"\\\U0001f600"',
    "n_text_escape_cut": '"\\u00"',
    "n_text_escape_no_hex": r'"\u00g9"',
    "n_text_escape_underscore": r'"\u0_41"',
    "n_text_escape_sign": r'"\u+041"',
    "n_text_escape_blank": r'"\u 041"',
    "n_text_escape_full_width": '"\\u\uff10\uff10\uff14\uff11"',
    "n_text_escape_at_end": '"\\',
    "n_array_open": "[1",
    "n_array_closed_only": "1]",
    "n_array_trailing_comma": "[1,]",
    "n_array_leading_comma": "[,1]",
    "n_array_double_comma": "[1,,2]",
    "n_array_comma_only": "[,]",
    "n_array_no_comma": "[1 2]",
    "n_array_colon": "[1: 2]",
    "n_array_closed_as_object": "[1}",
    "n_object_open": '{"a": 1',
    "n_object_trailing_comma": '{"a": 1,}',
    "n_object_double_comma": '{"a": 1,, "b": 2}',
    "n_object_no_value": '{"a":}',
    "n_object_no_colon": '{"a" 1}',
    "n_object_double_colon": '{"a":: 1}',
    "n_object_key_only": '{"a"}',
    "n_object_key_number": "{1: 1}",
    "n_object_key_null": "{null: 1}",
    "n_object_key_no_quotes": "{a: 1}",
    "n_object_key_single_quotes": "{'a': 1}",
    "n_object_comma_for_colon": '{"a", 1}',
    "n_comment": "1 /* one */",
    "n_comment_line": "1 // one",
    "n_comment_hash": "1 # one",
    "n_blank_no_break": "\u00a01",
    "n_blank_form_feed": "\f1",
    "n_blank_vertical_tab": "\v1",
    "n_blank_next_line": "\x851",
    "n_blank_line_separator": "\u20281",
    "n_blank_zero_width": "\u200b1",
    "n_byte_order_mark_within": "\ufeff1",
    "n_nul": "\x001",
    "i_number_huge_exponent": "1e999999999",
    "i_number_tiny_exponent": "1e-999999999",
    "i_number_huge": "9" * 500,
    "i_number_many_digits": "0." + "3" * 500,
    "no_i_text_high_surrogate_alone": r'"\ud800"',
    "no_i_text_low_surrogate_alone": r'"\udc00 "',
    "no_i_text_surrogates_swapped": r'"\udc00\ud800"',
    "no_i_text_surrogate_and_letter": r'"\ud800a"',
    "no_i_text_surrogate_and_half_escape": r'"\uD800\u1"',
    "no_i_text_two_high_surrogates": r'"\ud800\ud800"',
    "no_i_key_surrogate_alone": r'{"\ud800": 1}',
    "no_i_text_latin1": '"\udce9"',
    "no_i_text_overlong": '"\udcc0\udcaf"',
    "no_i_text_utf8_surrogate": '"\udced\udca0\udc80"',
    "no_i_text_utf8_cut": '"\udce2\udc82"',
    "no_i_text_utf8_beyond_unicode": '"\udcf4\udcbf\udcbf\udcbf"',
    "no_i_text_continuation_alone": '"\udc80"',
}

LINE = written(GOOD["step_trainer"]).decode()
LINES_OF_JSON = {
    "y_as_it_is": LINE,
    "y_blanks_around": f" \t\r\n{LINE} \t\r\n",
    "y_blanks_within": LINE.replace(":", "\t : \r").replace(",", "\n, "),
    "y_no_blanks": LINE.replace(" ", ""),
    "y_keys_escaped": LINE.replace("serial", r"\u0073eria\u006c"),
    "n_byte_order_mark_of_no_file": f"\ufeff{LINE}",
    "n_byte_order_mark_and_blanks": f"\ufeff {LINE}",
    "n_two_byte_order_marks": f"\ufeff\ufeff{LINE}",
    "n_byte_order_mark_behind": f"{LINE}\ufeff",
    "n_byte_order_mark_behind_a_blank": f" \ufeff{LINE}",
    "n_byte_order_mark_alone": "\ufeff",
    "n_open": LINE[:-1],
    "n_cut": LINE[:-5],
    "n_closed_twice": f"{LINE}}}",
    "n_comma_behind": f"{LINE},",
    "n_comma_within_behind": f"{LINE[:-1]},}}",
    "n_semicolon_behind": f"{LINE};",
    "n_word_behind": f"{LINE} x",
    "n_nul_behind": f"{LINE}\x00",
    "n_form_feed_behind": f"{LINE}\f",
    "n_no_break_space_in_front": f"\u00a0{LINE}",
    "n_record_separator_in_front": f"\x1e{LINE}",
    "n_comment_in_front": f"/**/{LINE}",
    "n_text": json.dumps(LINE),
    "n_number": "1",
    "n_null": "null",
    "n_true": "true",
    "n_nan": "NaN",
    "n_csv": "1650000000000,device-a,200",
    "n_header": "sensorReadingTime,serialNumber,distanceFromObject",
    "n_single_quotes": LINE.replace('"', "'"),
    "n_utf16": LINE.encode("utf-16").decode("utf-8", "surrogateescape"),
    "n_utf16_without_mark": LINE.encode("utf-16-le").decode("utf-8"),
    "n_parquet": "PAR1",
    "n_xml": "<row/>",
}

# --- an unknown number of rows (R14) ---

MANY = {
    "array": f"[{LINE}]",
    "array of nothing": "[]",
    "array that goes on in the next line": "[",
    "array with blanks": f" \t[{LINE}]",
    "array behind a byte-order mark": f"\ufeff[{LINE}]",
    "array behind other white space": f"\u00a0\u2003[{LINE}]",
    "two documents": f"{LINE}{LINE}",
    "two documents and a blank": f"{LINE} {LINE}",
    "two documents and a comma": f"{LINE}, {LINE}",
    "two documents and a blank and a comma": f"{LINE}\t,{LINE}",
    "two documents and a record separator": f"{LINE}\x1e{LINE}",
    "two documents and a line separator": f"{LINE}\u2028{LINE}",
    "two documents and several": f"{LINE} ,\x1e\u00a0{LINE}",
    "a word between": f"{LINE} and {LINE}",
    "a colon between": f"{LINE}:{LINE}",
    "a zero-width space between": f"{LINE}\u200b{LINE}",
    "an array between": f"{LINE}[]{LINE}",
    "the second one cut": f'{LINE}{{"a',
    "the first one broken": f"{LINE[:-9]}}}{LINE}",
    "in the middle of no UTF-8": f"\udce9{LINE}{LINE}",
    "too long": f"{LINE}{LINE}" + " " * LONGEST_LINE,
    "too deep": "{" * 200 + "}{",
    "a key twice, and objects in a list": f'{{"a": 1, "a": 2, "b": [{{}}, {{}}], {LINE[1:]}',
}
ONE = {
    "a text between": f'{LINE}, "and", {LINE}',
    "cut": LINE[:-3],
    "a record separator in front": f"\x1e{LINE}",
    "a bracket in the end": f"{LINE}[",
    "an array behind": f"{LINE}[]",
    "beginnings": "{{{",
    "ends": "}}}",
    "a key twice": f'{{"serialNumber": "b", {LINE[1:]}',
}

# --- a corpus by source: what the line is, the line, and what is wrong with it ---

STEP, SAMPLE, CUSTOMER = GOOD["step_trainer"], GOOD["accelerometer"], {"customerName": "Ann", **GOOD["customer"]}
TEXT, OPEN = json.dumps(STEP), json.dumps(STEP)[:-1]
FINE = None


def step(**changes):
    return {**STEP, **changes}


def timed(text):
    """The usual line with something else where its time stands."""
    return TEXT.replace(str(TIME), text)


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


def long_step(size):
    """A good row, but for its length."""
    padding = size - len(json.dumps(step(serialNumber="")))
    return json.dumps(step(serialNumber="d" * padding))


LINES = {
    "step_trainer": {
        "as usual": (STEP, FINE),
        "keys in another order": (dict(reversed(STEP.items())), FINE),
        "spaces and tabs around": (f"\t {TEXT} \t", FINE),
        "no spaces": (json.dumps(STEP, separators=(",", ":")), FINE),
        "escaped quotes": (step(serialNumber='de"vi"ce'), FINE),
        "escaped key": (TEXT.replace("serialNumber", "serial\\u004eumber"), FINE),
        "another key that holds one": (
            r'{"a\"serialNumber": "another", ' + TEXT.removeprefix("{").replace("device-a", "behind it"),
            FINE,
        ),
        "braces in a text": (step(serialNumber='{"a": 1}}'), FINE),
        "characters beyond ASCII": (TEXT.replace("device-a", "gerät-\U0001f600"), FINE),
        "byte-order mark in front of a later line": ("\ufeff" + TEXT, "malformed"),
        "the greatest number of 32 bits": (step(distanceFromObject=2**31 - 1), FINE),
        "the least number of 32 bits": (step(distanceFromObject=-(2**31)), FINE),
        "keys in other case": (TEXT.lower(), FINE),
        "keys in capitals beside an unknown one": (TEXT.upper().replace("}", ', "A": 1}'), FINE),
        "unknown key": (step(firmware="1.2"), FINE),
        "unknown key with an object": (step(firmware={"major": [1, {"x": None}]}), FINE),
        "unknown key with null": (step(firmware=None), FINE),
        "unknown key in front": ({"firmware": 1, **STEP}, FINE),
        "known keys inside an unknown one": (step(copy=STEP), FINE),
        "time at the limit": (step(sensorReadingTime=LATEST), FINE),
        "1 MiB": (long_step(LONGEST_LINE), FINE),
        "1 MiB and a byte": (long_step(LONGEST_LINE + 1), "malformed"),
        "20 MB": (long_step(20_000_000), "malformed"),
        "20 MB of nothing": ("x" * 20_000_000, "malformed"),
        "cut off": (TEXT[: TEXT.index("mber")], "malformed"),
        "cut off before the last brace": (OPEN, "malformed"),
        "no JSON": ("no json at all", "malformed"),
        "a number": ("1000", "malformed"),
        "a text": ('"sensorReadingTime"', "malformed"),
        "null": ("null", "malformed"),
        "an array": ([STEP], "malformed"),
        "an array of two": ([STEP, STEP], "malformed"),
        "an empty array": ("[]", "malformed"),
        "two objects": (TEXT + TEXT, "malformed"),
        "two objects and a space": (f"{TEXT} {TEXT}", "malformed"),
        "two objects and a comma": (f"{TEXT}, {TEXT}", "malformed"),
        "an empty object behind": (TEXT + "{}", "malformed"),
        "text behind": (f"{TEXT} x", "malformed"),
        "text and a brace behind": (f"{TEXT} x}}", "malformed"),
        "a brace behind": (TEXT + "}", "malformed"),
        "a space and a brace behind": (f"{TEXT} }}", "malformed"),
        "a bracket behind": (TEXT + "]", "malformed"),
        "a bracket and text behind": (f"{TEXT}] x", "malformed"),
        "an array behind": (f"{TEXT}], [1", "malformed"),
        "a comma behind": (TEXT + ",", "malformed"),
        "text in front": ("x" + TEXT, "malformed"),
        "a byte-order mark behind": (TEXT + "\ufeff", "malformed"),
        "a key twice": (OPEN + ', "distanceFromObject": 201}', "malformed"),
        "a key twice with one value": (OPEN + ', "serialNumber": "device-a"}', "malformed"),
        "a key twice, once null": (OPEN + ', "serialNumber": null}', "malformed"),
        "a key twice but for its case": (OPEN + ', "serialnumber": "device-b"}', "malformed"),
        "a key twice, once escaped": (OPEN + ', "serial\\u004eumber": "device-b"}', "malformed"),
        "an unknown key twice": (OPEN + ', "firmware": 1, "firmware": 2}', "malformed"),
        "a key twice beside a number for a text": (
            json.dumps(step(serialNumber=5)).replace("{", f'{{"sensorReadingTime": {TIME + 1}, '),
            "malformed",
        ),
        "a key twice in place of another": (TEXT.replace("distanceFromObject", "sensorReadingTime"), "malformed"),
        "a text twice in place of another": (
            f'{{"sensorReadingTime": {TIME}, "serialNumber": "a", "serialNumber": "a"}}',
            "malformed",
        ),
        "a key three times in place of all": ("{" + ", ".join(['"distanceFromObject": 1'] * 3) + "}", "malformed"),
        "single quotes": (TEXT.replace('"', "'"), "malformed"),
        "keys without quotes": (TEXT.replace('"serialNumber"', "serialNumber"), "malformed"),
        "a comma too many": (OPEN + ",}", "malformed"),
        "a comment": (OPEN + "/* x */}", "malformed"),
        "a leading zero": (timed(f"0{TIME}"), "malformed"),
        "a hexadecimal number": (timed(hex(TIME)), "malformed"),
        "two numbers": (timed(f"{TIME} 1"), "malformed"),
        "a word for a number": (timed("soon"), "malformed"),
        "a plus in front of a number": (timed(f"+{TIME}"), "malformed"),
        "a comment in front of a number": (timed(f"/* x */ {TIME}"), "malformed"),
        "a colon twice": (timed(f": {TIME}"), "malformed"),
        "nothing for a number": (timed(""), "malformed"),
        "spaces everywhere": (json.dumps(STEP, separators=(" , ", "  :\t")), FINE),
        "a raw control character in a text": (TEXT.replace("device-a", "device\ta"), "malformed"),
        "a wrong escape": (TEXT.replace("device-a", "device\\x"), "malformed"),
        "invalid UTF-8": (TEXT.encode().replace(b"device-a", b"\xff\xfe"), "malformed"),
        "half a character": (TEXT.encode().replace(b"device-a", b"ger\xc3"), "malformed"),
        "an overlong character": (TEXT.encode().replace(b"device-a", b"a\xc0\xafb"), "malformed"),
        "half a surrogate pair, encoded": (TEXT.encode().replace(b"device-a", b"a\xed\xa0\x80b"), "malformed"),
        "half a surrogate pair, escaped": (TEXT.replace("device-a", "a\\ud800b"), "malformed"),
        "invalid UTF-8 in an unknown key": (OPEN.encode() + b', "\xff": 1}', "malformed"),
        "objects a thousand levels deep": (OPEN + ', "a": ' + '{"a":' * 5000 + "1" + "}" * 5001, "malformed"),
        "text for a number": (step(sensorReadingTime=str(TIME)), "wrong_type"),
        "empty text for a number": (step(distanceFromObject=""), "wrong_type"),
        "a fraction for a whole number": (step(sensorReadingTime=TIME + 0.5), "wrong_type"),
        "a decimal point in a whole number": (step(sensorReadingTime=float(TIME)), FINE),
        "an exponent in a whole number": (timed("165e10"), FINE),
        "a number past 64 bits": (step(sensorReadingTime=2**63), "wrong_type"),
        "a number of 900 digits": (timed("1" * 900), "wrong_type"),
        "a number past 32 bits": (step(distanceFromObject=2**31), "wrong_type"),
        "true for a number": (step(distanceFromObject=True), "wrong_type"),
        "an object for a number": (step(distanceFromObject={"mm": 1}), "wrong_type"),
        "an array for a number": (step(sensorReadingTime=[TIME]), "wrong_type"),
        "a number for a text": (step(serialNumber=5), "wrong_type"),
        "a number for a text beside an unknown key": (step(serialNumber=5, firmware=1), "wrong_type"),
        "a number for a text beside an unknown key in place of another": (
            {"sensorReadingTime": TIME, "serialNumber": 5, "firmware": "1"},
            "wrong_type",
        ),
        "true for a text": (step(serialNumber=True), "wrong_type"),
        "an object for a text": (step(serialNumber={"a": 1}), "wrong_type"),
        "an empty object for a text": (step(serialNumber={}), "wrong_type"),
        "an array for a text": (step(serialNumber=["device-a"]), "wrong_type"),
        "a wrong type beside a missing key": ({"sensorReadingTime": str(TIME)}, "wrong_type"),
        "no time": (without(STEP, "sensorReadingTime"), "missing_key"),
        "no device": (without(STEP, "serialNumber"), "missing_key"),
        "no value": (without(STEP, "distanceFromObject"), "missing_key"),
        "null for a key": (step(serialNumber=None), "missing_key"),
        "null for a number": (step(sensorReadingTime=None), "missing_key"),
        "empty key": (step(serialNumber=""), "missing_key"),
        "blank key": (step(serialNumber=" \t\r\n"), "missing_key"),
        "known keys only inside an unknown one": ({"copy": STEP}, "missing_key"),
        "empty object": ("{}", "missing_key"),
        "a missing key beside a future time": (step(serialNumber="", sensorReadingTime=LATEST + 1), "missing_key"),
        "time past the limit": (step(sensorReadingTime=LATEST + 1), "future_time"),
        "the greatest number of 64 bits": (step(sensorReadingTime=2**63 - 1), "future_time"),
        "time in microseconds": (step(sensorReadingTime=MODIFIED * 1000), "future_time"),
    },
    "accelerometer": {
        "as usual": (SAMPLE, FINE),
        "numbers of all kinds": ({**SAMPLE, "x": 1, "y": -0.0, "z": 1e-400}, FINE),
        "exponents": (json.dumps(SAMPLE).replace("0.5", "5E-1").replace("-1.0", "-1e+2"), FINE),
        "many digits": (json.dumps(SAMPLE).replace("0.5", "0." + "5" * 900), FINE),
        "too large for a double": (json.dumps(SAMPLE).replace("0.5", "1e999"), "wrong_type"),
        "too small for a double": (json.dumps(SAMPLE).replace("0.5", "-1e999"), "wrong_type"),
        "NaN as a text": ({**SAMPLE, "x": "NaN"}, "wrong_type"),
        "Infinity as a text": ({**SAMPLE, "x": "Infinity"}, "wrong_type"),
        "a number as a text": ({**SAMPLE, "x": "0.5"}, "wrong_type"),
        "NaN": (json.dumps(SAMPLE).replace("0.5", "NaN"), "malformed"),
        "Infinity": (json.dumps(SAMPLE).replace("0.5", "Infinity"), "malformed"),
        "-Infinity": (json.dumps(SAMPLE).replace("0.5", "-Infinity"), "malformed"),
        "a key twice in place of another": (json.dumps(SAMPLE).replace('"x"', '"y"'), "malformed"),
        "no value": (without(SAMPLE, "z"), "missing_key"),
        "null for a value": ({**SAMPLE, "z": None}, "missing_key"),
        "blank user": ({**SAMPLE, "user": "  "}, "missing_key"),
    },
    "customer": {
        "as usual": ({**CUSTOMER, "phone": "5550100", "shareWithResearchAsOfDate": TIME}, FINE),
        "required keys only": ({"email": "ann@example.com", "lastUpdateDate": TIME}, FINE),
        "explicit nulls": ({**CUSTOMER, "phone": None, "registrationDate": None, "shareWithResearchAsOfDate": None}, FINE),
        "an unknown key beside a null": ({**CUSTOMER, "phone": None, "tier": "gold"}, FINE),
        "empty text where none is needed": ({**CUSTOMER, "phone": "", "birthDay": " "}, FINE),
        "the least number of 64 bits": ({**CUSTOMER, "shareWithResearchAsOfDate": -(2**63)}, FINE),
        "a consent at the limit": ({**CUSTOMER, "shareWithResearchAsOfDate": LATEST}, FINE),
        "a future date in a column without limit": ({**CUSTOMER, "birthDay": "2999-01-01"}, FINE),
        "a number for a phone": ({**CUSTOMER, "phone": 5550100}, "wrong_type"),
        "a number for a phone beside a null": ({**CUSTOMER, "phone": 5550100, "birthDay": None}, "wrong_type"),
        "an object for a name beside a null": ({**CUSTOMER, "customerName": {"a": 1}, "phone": None}, "wrong_type"),
        "an array for a name beside a null": ({**CUSTOMER, "customerName": ["Ann"], "phone": None}, "wrong_type"),
        "a text for a date": ({**CUSTOMER, "registrationDate": "yesterday"}, "wrong_type"),
        "an empty text for a date": ({**CUSTOMER, "shareWithResearchAsOfDate": ""}, "wrong_type"),
        "a key twice, both null": (json.dumps(CUSTOMER)[:-1] + ', "phone": null, "phone": null}', "malformed"),
        "a key twice but for its case, both null": (json.dumps(CUSTOMER)[:-1] + ', "phone": null, "Phone": null}', "malformed"),
        "null for a required number": ({**CUSTOMER, "lastUpdateDate": None}, "missing_key"),
        "an update in the future": ({**CUSTOMER, "lastUpdateDate": LATEST + 1}, "future_time"),
    },
}


# --- strategies ---

# The same lines in every run, and nothing kept between runs.
STEADY = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
NUMBERS = st.one_of(
    st.sampled_from([*WHOLE, *NO_INT, *(value for name, value in VALUES_OF_JSON.items() if "_number" in name)]),
    st.sampled_from([EARLIEST_MS - 1, EARLIEST_MS, LATEST, LATEST + 1, TIME, TIME // 1000, TIME * 1000, 0, 1, -1]).map(str),
    st.integers(-(2**64), 2**64).map(str),
    st.builds("{}{}e{}".format, st.integers(-(10**14), 10**14), st.sampled_from(["", ".0", ".5", ".25"]), st.integers(-16, 16)),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            "ann@example.com",
            " ANN@Example.com",
            "a b",
            "",
            " \t",
            "\u200b",
            "jose\u0301@x",
            "\u03a3@x",
            "} {",
            "[",
            "\x1f@",
            '"\\',
        ]
    ),
    st.text(max_size=8),
).map(json.dumps)
# For a column that it fits.
FITTING = {
    "string": st.sampled_from(["ann@example.com", "Ben@Example.com\u00a0", "an n@x", "ann@x\x1f", "\x1bann@x", "device-b"]).map(
        json.dumps
    ),
    "bigint": st.sampled_from(
        [EARLIEST_MS - 1, EARLIEST_MS, LATEST, LATEST + 1, f"{LATEST + 1}.0", f"{TIME}e0", "1.65e12", f"{TIME}.5", -1]
    ).map(str),
    "int": st.sampled_from(["-1", "2147483647", "2147483648", "1e2", "1.5"]),
    "double": st.sampled_from(["-0.0", "1e308", "1e309", "5e-324", "1"]),
}
TOKENS = st.one_of(NUMBERS, TEXTS, st.sampled_from([token for token in VALUES_OF_JSON.values() if token]))


@st.composite
def lines(draw, source):
    """A line of a source that has gone through a few hands: keys, values, and then bytes."""
    pairs = [(json.dumps(key), json.dumps(value)) for key, value in GOOD[source].items()]
    columns = oracle.SOURCES[source].columns
    more = sorted(set(columns) - set(GOOD[source]))
    for key in draw(st.lists(st.sampled_from(more), max_size=3, unique=True)) if more else ():
        pairs.append((json.dumps(key), draw(FITTING[columns[key]])))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(pairs) - 1))
        key, value = pairs[place]
        what = draw(st.sampled_from(["fit"] * 4 + ["value"] * 2 + ["case", "remove", "again", "other", "null"]))
        if what == "fit":
            kind = next((kind for name, kind in columns.items() if json.dumps(name) == key), "string")
            pairs[place] = (key, draw(FITTING[kind]))
        elif what == "value":
            pairs[place] = (key, draw(TOKENS))
        elif what == "case":
            pairs[place] = (draw(st.sampled_from([key.upper(), key.lower(), key.swapcase()])), value)
        elif what == "again":
            pairs.insert(draw(st.integers(0, len(pairs))), (draw(st.sampled_from([key, key.upper()])), draw(TOKENS)))
        elif what == "other":
            pairs.insert(draw(st.integers(0, len(pairs))), (json.dumps(draw(st.text(max_size=5))), draw(TOKENS)))
        elif what == "null":
            pairs[place] = (key, "null")
        elif len(pairs) > 1:
            del pairs[place]
    pairs = draw(st.permutations(pairs)) if draw(st.booleans()) else pairs
    comma, colon = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", "\r : ")]))
    text = "{" + comma.join(f"{key}{colon}{value}" for key, value in pairs) + "}"
    line = text.encode("utf-8", "surrogateescape")
    whole = [b"%s"] * 12 + [
        b"\xef\xbb\xbf%s",
        b"[%s]",
        b" %s\r",
        b"%s,{}",
        b"%s\x1e{",
        b"%s\xc2\xa0{}",
        b"\x1e%s",
        b"%s}",
        b"\x0b[%s",
    ]
    line = draw(st.sampled_from(whole)) % line
    for _ in range(draw(st.sampled_from([0] * 5 + [1, 2]))):
        place = draw(st.integers(0, len(line)))
        piece = draw(
            st.one_of(st.binary(max_size=2), st.sampled_from([b"}", b"{", b'"', b",", b"[", b"\\", b"0", b"-", b"e", b"."]))
        )
        line = line[:place] + piece + line[place + draw(st.integers(0, 3)) :]
    return line


# Times, most of them plausible; texts without escapes; numbers as programs give them, and some that are hard to round.
_TIMES = st.one_of(
    st.integers(EARLIEST_MS, LATEST), st.sampled_from([EARLIEST_MS - 1, EARLIEST_MS, LATEST, LATEST + 1, 0, -1, TIME])
)
_PLAIN = st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"])
USUAL_VALUES = {
    "string": st.one_of(st.sampled_from(["Ann@Example.com", "device-a", "a"]), st.text(_PLAIN, max_size=6)).map(quoted),
    "bigint": st.one_of(_TIMES, st.integers(-(10**18) + 1, 10**18 - 1)).map(str),
    "int": st.one_of(st.integers(-(10**9) + 1, 10**9 - 1), st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1])).map(str),
    "double": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.floats(-1e3, 1e3).map(repr),
        st.sampled_from(HARD_TO_ROUND),
        st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True, alphabet=ASCII),
    ),
}
# What something is put in for: signs of JSON, and characters that one program or another takes for something else.
PIECES = [
    *'{}[]":,\\/ \t\r\n0123456789+-.eEtfnuax_@', "\x00", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\xad",
    "\u0130", "\u0131", "\u017f", "\u03a3", "\u03c2", "\u0301", "\u1160", "\u200b", "\u200d", "\u2028", "\u2029", "\u212a",
    "\u3000", "\u3164", "\ud7ff", "\ufeff", "\ufffd", "\uffff", "\U0001f600", "\U000e0001", "\U0010ffff", "null", "true", "NaN",
    '""', "{}", "[]", "}{", ",{", "\\u0000", "\\u0041", "\\ud800", "\\n", "-0", "1e", "1.", ".5", "00", "e400", "/**/", '"a":1,',
]  # fmt: skip
NO_UTF8 = [b"\xff", b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]


@st.composite
def usual(draw, source):
    """A line as a program writes it: all keys or those that are required, in order or not, nulls where they are allowed."""
    known = oracle.SOURCES[source]
    pairs = []
    for key, kind in known.columns.items():
        if key in known.required or draw(st.booleans()):
            token = draw(USUAL_VALUES[kind])
            if key in (*known.event_times, *known.consent_times) and draw(st.integers(0, 4)):
                token = str(draw(_TIMES))
            elif key == known.email and draw(st.integers(0, 4)):
                token = '"Ann@Example.com"'
            elif key not in known.required and not draw(st.integers(0, 3)):
                token = "null"
            pairs.append((json.dumps(key), token))
    pairs = draw(st.permutations(pairs)) if not draw(st.integers(0, 4)) else pairs
    comma, colon = draw(st.sampled_from([(", ", ": "), (",", ":"), (",", ": "), (" , ", " :\t")]))
    return "{" + comma.join(f"{key}{colon}{token}" for key, token in pairs) + "}"


@st.composite
def edited(draw, source):
    """A usual line in which something was put in, taken out, exchanged or doubled at one place; or that stayed as it was."""
    text = draw(usual(source))
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 1, 2, 9])))
    what = draw(st.sampled_from(["put in", "put in", "put in", "take out", "double", "swap", "nothing"]))
    piece = {
        "put in": draw(st.sampled_from(PIECES)),
        "take out": "",
        "double": text[start:end] * 2,
        "swap": text[start:end].swapcase(),
        "nothing": text[start:end],
    }[what]
    line = (text[:start] + piece + text[end:]).encode()
    if not draw(st.integers(0, 15)):
        # In the middle of a character, perhaps.
        place = draw(st.integers(0, len(line)))
        line = (
            line[:place]
            + draw(st.sampled_from([b"\xff", b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]))
            + line[place:]
        )
    return line
