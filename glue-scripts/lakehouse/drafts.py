"""The drafts of a run: makes tables equal to what the rules accept, checks them, and publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from lakehouse import checks, contracts, queries, tables
from lakehouse.contracts import Contract
from lakehouse.engines import Engine, Rows
from lakehouse.errors import DoesNotAddUp
from lakehouse.tables import Draft, Tables

OP = "_op"
# So many small data files, and they are put together.
MOST_FILES = 8


@dataclass(frozen=True)
class Written:
    """Rows that a draft has more, different and less than the version before."""

    inserted: int = 0
    updated: int = 0
    removed: int = 0

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.removed


class Drafts:
    """The drafts of a run by table, each made when it is asked for the first time, and gone when the run ends.

    `seen`: versions of tables when the run looked for what is new. When one has another by now, another run was ahead.
    `checked`: what checks have found so far, by table.
    """

    def __init__(self, engine: Engine, tables: Tables, seen: Mapping[str, str] | None = None) -> None:
        self._engine, self._tables, self._seen = engine, tables, dict(seen or {})
        self._open = ExitStack()
        self._drafts: dict[str, Draft] = {}
        self._changed: set[str] = set()
        self.checked: dict[str, checks.Outcomes] = {}

    def __enter__(self) -> Drafts:
        return self

    def __exit__(self, *failure) -> None:
        self._open.__exit__(*failure)

    def __getitem__(self, table: str) -> Draft:
        if table not in self._drafts:
            draft = self._open.enter_context(self._tables.draft(contracts.load(table)))
            if not draft.began_with(self._seen.get(table, draft.version)):
                raise tables.conflict(draft.name)
            self._drafts[table] = draft
        return self._drafts[table]

    def rows(self, table: str, between: dict[str, tuple[int, int]] | None = None) -> Rows:
        """What a draft holds now."""
        return self._engine.table(*self[table].head(), between)

    def versions(self) -> dict[str, str]:
        """Of the tables that were seen or written, as the run leaves them."""
        return {**self._seen, **{name: draft.version for name, draft in self._drafts.items()}}

    def make_equal(self, table: str, accepted: Rows, scope: Rows | None = None, others: dict[str, Rows] | None = None) -> Written:
        """Writes what makes the table equal to the accepted rows, or the part of it that `scope` is: insert, update and delete
        follow from the difference. `others`: what relationships are to."""
        draft, contract, engine = self[table], contracts.load(table), self._engine
        if draft.was_empty:
            return self._append(draft, contract, accepted, others or {})
        changes = difference(engine, accepted, self.rows(table) if scope is None else scope, contract)
        return self.change(table, changes, others)

    def add(self, table: str, rows: Rows) -> Written:
        """Writes rows whose keys are not in the table."""
        return self._append(self[table], contracts.load(table), rows, {})

    def change(self, table: str, changes: Rows, others: dict[str, Rows] | None = None) -> Written:
        """Writes rows that are each marked with an operation: insert, update or delete."""
        draft, contract, engine = self[table], contracts.load(table), self._engine
        changes = engine.keep(changes)
        counts = dict(engine.fetch(f"select {OP}, count(*) from changes group by {OP}", changes=changes))
        written = Written(counts.get("insert", 0), counts.get("update", 0), counts.get("delete", 0))
        if not written.total:
            return written
        put = engine.sql(f"select {queries.listed(contract.names)} from changes where {OP} <> 'delete'", changes=changes)
        self._require(contract, checks.rows(engine, put, contract))
        engine.change(draft, changes, only_inserts=written.inserted == written.total)
        wanted = draft.rows_before + written.inserted - written.removed
        if (now := draft.rows_now()) != wanted:
            raise DoesNotAddUp(
                f"{contract.table}: {draft.rows_before} rows with {written.inserted} more and {written.removed} less "
                f"are {now} in the draft; nothing was published"
            )
        self._changed.add(table)
        keys = queries.listed(contract.key)
        same = queries.same(contract.key, "whole", "put")
        near = self.rows(table, bounds(engine, put, contract))
        touched = engine.sql(f"select {keys} from whole semi join put on {same}", whole=near, put=put)
        # Of the others, which may be many, only relationships ask.
        whole = self.rows(table) if any(check.check == "relationships" for check in contract.checks) else near
        self._require(contract, checks.table(engine, whole, touched, contract, others or {}))
        return written

    def _append(self, draft: Draft, contract: Contract, rows: Rows, others: dict[str, Rows]) -> Written:
        self._engine.append(draft, rows)
        written = Written(draft.rows_now() - draft.rows_before)
        if written.total:
            self._changed.add(contract.table)
            whole = self._engine.table(*draft.head())
            self._require(contract, checks.table(self._engine, whole, whole, contract, others, with_rows=True))
        return written

    def _require(self, contract: Contract, found: checks.Outcomes) -> None:
        """Keeps in mind what checks have found, and fails when one did not hold."""
        self.checked.setdefault(contract.table, {}).update(found)
        checks.require(contract, found)

    def publish(self, order: tuple[str, ...]) -> None:
        """Publishes what has changed: tables in that order, then the others."""
        for table in (*order, *(other for other in self._drafts if other not in order)):
            if table in self._changed:
                self._publish(table)

    def publish_again(self, table: str, rows: Rows) -> None:
        """Makes a table that has been published equal to other rows."""
        del self._drafts[table]
        if self.make_equal(table, rows).total:
            self._publish(table)

    def _publish(self, table: str) -> None:
        self[table].publish()
        compact(self._engine, self._tables, contracts.load(table))
        self[table].follow()
        self._seen[table] = self[table].version


def difference(engine: Engine, accepted: Rows, current: Rows, contract: Contract) -> Rows:
    """What makes `current` equal to `accepted`, by key: the contract's columns and the operation, no equal rows."""
    same_key = queries.same(contract.key, "accepted", "present")
    values = [name for name in contract.names if name not in contract.key]
    changed = " or ".join(f'accepted."{name}" is distinct from present."{name}"' for name in values) or "false"
    columns = ", ".join(
        f'coalesce(accepted."{name}", present."{name}") as "{name}"' if name in contract.key else f'accepted."{name}"'
        for name in contract.names
    )
    first = contract.key[0]
    return engine.sql(
        f"""select * from (
            select {columns}, case
                when present."{first}" is null then 'insert'
                when accepted."{first}" is null then 'delete'
                when {changed} then 'update'
            end as {OP}
            from accepted full outer join present on {same_key}
        ) where {OP} is not null""",
        accepted=accepted,
        present=current,
    )


def bounds(engine: Engine, rows: Rows, contract: Contract) -> dict[str, tuple[int, int]]:
    """Between which times the keys of rows lie. Iceberg reads no data file whose bounds lie outside: to look for what has just
    arrived, nothing older is read."""
    times = [column.name for column in contract.columns if column.name in contract.key and column.is_time]
    if not times:
        return {}
    asked = ", ".join(f'min("{name}"), max("{name}")' for name in times)
    (found,) = engine.fetch(f"select {asked} from asked", asked=rows)
    pairs = {name: (found[2 * place], found[2 * place + 1]) for place, name in enumerate(times)}
    # Without rows there is nothing to look for.
    return {name: (0, 0) if pair[0] is None else pair for name, pair in pairs.items()}


def compact(engine: Engine, of: Tables, contract: Contract, most_files: int = MOST_FILES) -> None:
    """Puts small data files together once there are that many more than the rows ask for. The table's rows stay the same."""
    loaded = of.load(contract.table)
    snapshot = loaded.current_snapshot()
    number = int(tables.said(snapshot, "total-data-files") or 0)
    if number <= most_files + int(tables.said(snapshot, "total-records") or 0) // tables.ROWS_PER_FILE:
        return
    rearrange(engine, of, contract)


def rearrange(engine: Engine, of: Tables, contract: Contract) -> None:
    """Puts rows into other data files. When another run is ahead, that one does it."""
    try:
        with of.draft(contract) as draft:
            engine.compact(draft)
            draft.publish()
    except tables.Conflict:
        pass
