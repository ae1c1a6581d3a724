"""Rows about people for the tests of single SELECTs, as the tables have them."""

from lakehouse import contracts

ANN, BEN, CLEO, DAN, EVE = (f"{name}@example.com" for name in ("ann", "ben", "cleo", "dan", "eve"))
EARLY, LATE = 1_700_000_000_000, 1_700_000_001_000  # ms; modification times of files


def customer(email, updated=1000, research=None, serial=None, **other):
    row = {"email": email, "lastupdatedate": updated, "sharewithresearchasofdate": research, "serialnumber": serial}
    return {"file_path": "a.json", "file_modified": EARLY, **row, **other}


def trusted(*rows):
    """The same without the file: rows of customer_trusted or customer_curated."""
    return [{name: value for name, value in row.items() if not name.startswith("file_")} for row in rows]


def known(*rows, **changes):
    """The same as customer_consent has them."""
    names = contracts.load("customer_consent").names
    rows = [{"fingerprint": "f", **row, **changes} for row in rows]
    return [{name: value for name, value in row.items() if name in names} for row in rows]


def suspend(desk, *people):
    """Who is suspended, each with a device or none: known as `suspended`."""
    desk.rows("suspended", {"email": "string", "serialnumber": "string"}, people)


def made(desk, zone, name):
    """The rows of a SELECT, known by its name."""
    desk.view_of(zone, name)
    return desk.fetched(desk.named[name])
