"""Athena's functions, each in an example of Trino's documentation, or in one of ours where that has none.

athena_functions.txt has an example a line: what follows SELECT, `==>`, and the answer: `|` between columns, `/` between rows.
"""

import re

import pytest
from embedded import ROOT
from embedded_aws import athena_functions

EXAMPLES = [
    line.split(" ==> ")
    for line in (ROOT / "local" / "tests" / "athena_functions.txt").read_text().splitlines()
    if not line.startswith("#")
]
# Forms of functions that are answered in others: they are refused, or fail in DuckDB, and never answer something else.
FORMS = [
    "array_sort(array[3, 2], (x, y) -> if(x < y, 1, -1))",
    "strpos('abcabc', 'c', 2)",
    "split('a,b,c', ',', 2)",
    "regexp_position('a1b2', '[0-9]', 3)",
    "regexp_replace('new york', '(n)', x -> upper(x[1]))",
    "approx_percentile(x, 2, 0.5) from (values 1) as t(x)",
    "map_agg(k, v) filter (where k > 1) from (values (1, 2)) as t(k, v)",
    "normalize('a', NFKD)",
    "format_datetime(timestamp '2022-10-20 05:10:00', 'GG')",
    "transform_values(map(array[1], array[1]), (k, v) -> transform(array[1], v -> v + k))",
]


@pytest.mark.parametrize(("sql", "answer"), EXAMPLES, ids=[sql[:60] for sql, _ in EXAMPLES])
def test_an_example_has_the_documented_answer(query, sql: str, answer: str) -> None:
    rows = query(f"select {sql}")[2]
    assert " / ".join(" | ".join("null" if value is None else value for value in row) for row in rows) == answer


def test_every_function_is_in_an_example_or_named_as_missing() -> None:
    tried = set(re.findall(r"\w+", " ".join(sql for sql, _ in EXAMPLES)))
    assert sorted(athena_functions.NAMES - athena_functions.MISSING - tried) == []
    assert sorted(athena_functions.MISSING - athena_functions.NAMES) == []
    page = (ROOT / "docs" / "report.md").read_text()
    named = re.search(r"^Not answered: (.*?)\.$", page, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", named[1])) == sorted(athena_functions.MISSING)


@pytest.mark.parametrize("name", sorted(athena_functions.MISSING))
def test_a_missing_function_is_refused_by_its_name(query, name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"^FAILED: NOT_SUPPORTED: Athena of the embedded AWS does not answer {name};"):
        query(f"select {name}(1)")


@pytest.mark.parametrize("sql", FORMS)
def test_a_form_that_is_not_answered_is_refused(query, sql: str) -> None:
    with pytest.raises(RuntimeError, match=r"^FAILED: NOT_SUPPORTED: Athena of the embedded AWS does not answer "):
        query(f"select {sql}")
