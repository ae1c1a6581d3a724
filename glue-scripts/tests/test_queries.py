"""That the SELECTs give what their contracts say, on both engines, and that each of them is used."""

from dataclasses import replace

import pytest
from lakehouse import contracts, queries
from lakehouse.errors import LakehouseError
from support import LANDING, SCRIPTS, TARGETS, both_engines

STEPS = contracts.load("step_trainer_trusted")
COMPLETE = {"sensorreadingtime": "bigint", "serialnumber": "string", "distancefromobject": "int", "reason": "string"}


def but(*names, **others):
    """The columns of COMPLETE without some, and with others."""
    return {**{name: kind for name, kind in COMPLETE.items() if name not in names}, **others}


@pytest.fixture
def nothing(desk):
    """No row in anything that a SELECT reads."""
    for name in (*LANDING, *TARGETS, "customer_consent", "customer_suspension"):
        desk.view(name, [])
    desk.view("customer_current", [], contracts.load("customer_consent"))
    said = ("email", "lastupdatedate", "serialnumber")
    columns = {name: contracts.load("customer_suspension").types[name] for name in said}
    desk.rows("customer_rejected", {**columns, "file_modified": "bigint", "line": "string"}, [])
    for zone, name in (
        ("landing", "customer_records"),
        ("trusted", "suspended"),
        ("trusted", "people"),
        ("trusted", "devices"),
        ("curated", "subjects"),
    ):
        desk.view_of(zone, name)
    for source in ("accelerometer", "step_trainer"):
        desk.rows(f"{source}_passing", {**contracts.load(f"{source}_trusted").types, "in_table": "boolean"}, [])
    return desk


@both_engines
@pytest.mark.parametrize("consent_gate", ["as-of", "ever"])
@pytest.mark.parametrize("table", TARGETS)
def test_every_select_gives_its_contracts_columns_and_the_reason(nothing, table, consent_gate):
    """And nothing for nothing: no row appears that was not in the source. (`gate` checks the columns.)"""
    assert nothing.gate(table, consent_gate) == []


@both_engines
@pytest.mark.parametrize("source", ["accelerometer", "step_trainer"])
def test_first_gates_give_what_the_second_ones_need_and_the_file(nothing, source):
    rows = queries.select(nothing.engine, "trusted", f"{source}_gated", {"consent_gate": "as-of"}, **nothing.named)
    assert list(rows.columns) == [*contracts.load(f"{source}_trusted").names, "file_path", "reason"]
    assert nothing.fetched(rows) == []


@both_engines
@pytest.mark.parametrize("zone", ["consent", "suspension"])
def test_what_is_kept_of_everybody_has_the_columns_of_its_contract(nothing, zone):
    rows = queries.select(nothing.engine, zone, f"customer_{zone}", **nothing.named)
    assert list(rows.columns.items()) == list(contracts.load(f"customer_{zone}").types.items())
    assert nothing.fetched(rows) == []


@both_engines
def test_suspended_are_people_and_their_devices(nothing):
    rows = nothing.named["suspended"]
    assert list(rows.columns.items()) == [("email", "string"), ("serialnumber", "string")]
    assert nothing.fetched(rows) == []


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("accelerometer_gated", ["suspended", "people"]),
        ("step_trainer_gated", ["suspended", "devices"]),
        ("customer_trusted", ["suspended"]),
        ("suspended", []),
    ],
)
def test_every_gate_asks_who_is_suspended(name, shared):
    """And the SELECT that says so is run before those that read it."""
    assert queries.shared("trusted", name) == shared


@both_engines
@pytest.mark.parametrize("name", ["people", "devices"])
def test_what_gates_ask_about_is_one_form_for_people_and_devices(nothing, name):
    rows = nothing.named[name]
    assert list(rows.columns.items()) == [
        ("subject", "string"),
        ("refusal", "string"),
        ("passes_from", "bigint"),
        ("early", "string"),
        ("erased_at", "bigint"),
    ]
    assert nothing.fetched(rows) == []


@pytest.mark.parametrize("file", sorted(SCRIPTS.glob("sql/*/*.sql")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_select_is_one_that_the_jobs_run(file):
    """Others would be rules that nobody applies."""
    jobs = contracts.jobs()
    names = {name for job in jobs for name in (job.target, f"{job.source}_gated", job.subjects)}
    code = "".join(module.read_text() for module in SCRIPTS.glob("lakehouse/*.py"))
    shared = {name for job in jobs for name in queries.shared(contracts.load(job.target).zone, job.target)}
    assert file.stem in names | shared or f'"{file.stem}"' in code


@both_engines
def test_what_a_select_reads_beside_tables_is_made_of_them(nothing):
    """And what is at hand already is not made anew."""
    tables = {name: nothing.named[name] for name in ("customer_consent", "customer_suspension", "customer_curated", "erased")}
    known = queries.with_shared(nothing.engine, "trusted", "step_trainer_gated", tables)
    assert set(known) == {*tables, "suspended", "devices"}
    given = tables | {"suspended": nothing.named["suspended"]}
    assert queries.with_shared(nothing.engine, "trusted", "step_trainer_gated", given)["suspended"] is given["suspended"]


def test_missing_required_column_is_an_error():
    with pytest.raises(LakehouseError, match=r"sql/trusted/step_trainer_trusted\.sql: column distancefromobject is missing"):
        queries.check_columns(but("distancefromobject"), STEPS)


@both_engines
def test_missing_column_that_is_not_required_is_null_then(desk):
    note = contracts.Column("note", "string", json_key="note", since=2)
    wider = replace(STEPS, columns=(*STEPS.columns, note))
    queries.check_columns(COMPLETE, wider)
    desk.rows("given", COMPLETE, [(1, "a", 2, None)])
    filled = desk.engine.sql(f"select {queries.filled(desk.named['given'], wider)} from given", given=desk.named["given"])
    assert dict(filled.columns) == wider.types
    assert desk.fetched(filled) == [(1, "a", 2, None)]


def test_other_type_is_an_error():
    with pytest.raises(LakehouseError, match="column distancefromobject has type bigint, the contract says int"):
        queries.check_columns(but(distancefromobject="bigint"), STEPS)


def test_column_without_contract_is_an_error():
    with pytest.raises(LakehouseError, match="column stray is not in the contract of step_trainer_trusted"):
        queries.check_columns(but(stray="int"), STEPS)


@pytest.mark.parametrize("columns", [but("reason"), but(reason="int")], ids=["none", "no text"])
def test_select_without_reason_is_an_error(columns):
    with pytest.raises(LakehouseError, match="the last column must be `reason`"):
        queries.check_columns(columns, STEPS)


def test_unknown_select_says_what_to_add():
    with pytest.raises(LakehouseError, match=r"no SELECT for nowhere: add sql/trusted/nowhere\.sql"):
        queries.text("trusted", "nowhere")


@pytest.mark.parametrize("value", ["as-of' or true --", "as-of\\"])
def test_a_parameter_stays_a_text(value):
    with pytest.raises(LakehouseError, match="holds a quote or a backslash"):
        queries.text("trusted", "accelerometer_gated", {"consent_gate": value})
