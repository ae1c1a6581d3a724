"""How fast the rules can be on one node: DuckDB makes the rows, PyIceberg commits them, a process for each table.

single_node.py LANDING WAREHOUSE TABLE. A trial that does less than the jobs, to see what the rest costs: rules R1 to R6, lines
judged strictly and counted by reason, each key once, a draft on a branch that is read back before it is published, a row of
a ledger. No quarantine, no index, no later run: every table begins empty. Prints `<table> <rows> <seconds>s`.
"""

import glob
import json
import os
import sys
import time

import duckdb
import pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

CUSTOMER = {
    **dict.fromkeys(("customerName", "email", "phone", "birthDay", "serialNumber"), "VARCHAR"),
    **dict.fromkeys(("registrationDate", "lastUpdateDate", "shareWithResearchAsOfDate"), "BIGINT"),
    **dict.fromkeys(("shareWithPublicAsOfDate", "shareWithFriendsAsOfDate"), "BIGINT"),
}
ACCELEROMETER = {"user": "VARCHAR", "timestamp": "BIGINT", "x": "DOUBLE", "y": "DOUBLE", "z": "DOUBLE"}
STEP_TRAINER = {"sensorReadingTime": "BIGINT", "serialNumber": "VARCHAR", "distanceFromObject": "INTEGER"}

PEOPLE = """
    select email as subject, max_by(sharewithresearchasofdate, lastupdatedate) as since,
      max_by(serialnumber, lastupdatedate) as serial
    from customer_consent group by 1"""
DEVICES = f"""
    select serial as subject, max(since) as since from ({PEOPLE})
    where subject in (select email from customer_curated) group by 1"""
CURATED = 'select * from customer_trusted where email in (select "user" from accelerometer_trusted)'
LEARNING = """
    select sha256(c.email || ' ' || c.serialnumber) as subject_id, s.sensorreadingtime, s.distancefromobject, a.x, a.y, a.z
    from accelerometer_trusted a
    join customer_curated c on a."user" = c.email
    join step_trainer_trusted s on s.serialnumber = c.serialnumber and s.sensorreadingtime = a."timestamp" """

started = time.time()
landing, warehouse, table = sys.argv[1:]
os.makedirs(warehouse, exist_ok=True)
catalog = SqlCatalog("trial", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=f"file://{os.path.abspath(warehouse)}")
catalog.create_namespace_if_not_exists("trial")
db = duckdb.connect()
db.execute("set preserve_insertion_order = false")


def data_files(name: str, snapshot: int | None = None) -> list[str]:
    scan = catalog.load_table(f"trial.{name}").scan(snapshot_id=snapshot)
    return [task.file.file_path.removeprefix("file://") for task in scan.plan_files()]


def see(*names: str) -> None:
    for name in names:
        db.execute(f"create view {name} as select * from read_parquet({data_files(name)})")


def judged(source: str, columns: dict[str, str], required: list[str]) -> str:
    """Each line typed, and why it is bad: first its keys, which must be the columns, each once; then its values."""
    files, keys = sorted(glob.glob(f"{landing}/{source}/landing/*.json*")), list(columns)
    lines = f"""read_csv({files}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '', escape = '', header = false,
        auto_detect = false, max_line_size = 1100000)"""
    wrong = " or ".join(f'"{key}" is null' for key in required)
    missing = " or ".join(f"trim(\"{key}\") = ''" for key in required if columns[key] == "VARCHAR")
    return f"""
        select {", ".join(f'"{key}" as "{key.lower()}"' for key in keys)},
          case when keys is null then 'malformed'
            when keys <> {keys} and (
              not list_has_all({keys}, keys) or len(list_distinct(keys)) < len(keys) or not list_has_all(keys, {required})
            ) then 'malformed'
            when {wrong} then 'wrong_type' when {missing} then 'missing_key' end as bad
        from (
          select keys, unnest(row) from (
            select try(json_keys(line)) as keys, try(from_json(line, '{json.dumps(columns)}')) as row
            from {lines} where line <> ''
          )
        )"""


def counts(query: str) -> dict[str, int]:
    return dict(db.sql(query).fetchall())


def publish(name: str, query: str, order: str) -> int:
    """Writes a draft on a branch, reads it back and publishes it; the number of rows."""
    rows = db.sql(f"select * from ({query}) order by {order}").to_arrow_table()
    compressed = {"write.parquet.compression-codec": "zstd"}
    made = catalog.create_table(f"trial.{name}", schema=rows.schema, properties=compressed)
    made.append(rows.slice(0, 0))  # a branch begins at a snapshot
    made.manage_snapshots().create_branch(snapshot_id=made.current_snapshot().snapshot_id, branch_name="draft").commit()
    made.append(rows, branch="draft")
    draft = made.refs()["draft"].snapshot_id
    first = order.split(",")[0]
    found = db.sql(f"select count(*), count({first}) from read_parquet({data_files(name, draft)})").fetchall()
    if found != [(rows.num_rows, rows.num_rows)]:
        raise SystemExit(f"the draft of {name} is not what was written")
    made.manage_snapshots().set_current_snapshot(snapshot_id=draft).remove_branch("draft").commit()
    return rows.num_rows


def customers() -> tuple[int, dict[str, int]]:
    records = judged("customer", CUSTOMER, ["email", "serialNumber", "lastUpdateDate"])
    db.execute(f"create temp table records as select * replace (lower(trim(email)) as email) from ({records})")
    reasons = counts(
        "select coalesce(bad, if(sharewithresearchasofdate is null, 'no_consent', 'passed')), count(*) from records group by 1"
    )
    consent = "select email, serialnumber, lastupdatedate, sharewithresearchasofdate from records where bad is null"
    publish("customer_consent", consent, "email")
    current = "row_number() over (partition by email order by lastupdatedate desc) = 1"
    latest = f"select * exclude (bad) from records where bad is null qualify {current}"
    return publish(table, f"select * from ({latest}) where sharewithresearchasofdate > 0", "email"), reasons


def readings(source: str, columns: dict[str, str], subject: str, moment: str, who: str) -> tuple[int, dict[str, int]]:
    db.execute(f"""
        create temp table gated as
        select j.*, coalesce(bad, case when p.subject is null then 'unknown_customer' when p.since is null then 'no_consent'
          when j."{moment}" < p.since then 'before_consent' end) as reason
        from (select * replace (lower(trim("{subject}")) as "{subject}") from ({judged(source, columns, list(columns))})) j
        left join ({who}) p on j."{subject}" = p.subject""")
    reasons = counts("select coalesce(reason, 'passed'), count(*) from gated group by 1")
    rows = publish(table, "select distinct * exclude (bad, reason) from gated where reason is null", f'"{subject}", "{moment}"')
    return rows, reasons | {"duplicate": reasons.get("passed", 0) - rows}


match table:
    case "customer_trusted":
        rows, reasons = customers()
    case "accelerometer_trusted":
        see("customer_consent")
        rows, reasons = readings("accelerometer", ACCELEROMETER, "user", "timestamp", PEOPLE)
    case "customer_curated":
        see("customer_trusted", "accelerometer_trusted")
        rows, reasons = publish(table, CURATED, "email"), {}
    case "step_trainer_trusted":
        see("customer_consent", "customer_curated")
        rows, reasons = readings("step_trainer", STEP_TRAINER, "serialnumber", "sensorreadingtime", DEVICES)
    case "machine_learning_curated":
        see("accelerometer_trusted", "customer_curated", "step_trainer_trusted")
        rows, reasons = publish(table, LEARNING, "subject_id, sensorreadingtime"), {}
entry = pyarrow.table({"job": [table], "rows": [rows], "reasons": [json.dumps(reasons)]})
try:
    ledger = catalog.load_table("trial.ledger")
except NoSuchTableError:
    ledger = catalog.create_table("trial.ledger", schema=entry.schema)
ledger.append(entry)
print(f"{table} {rows} {time.time() - started:.2f}s")
