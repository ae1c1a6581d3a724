"""Follows every column of every SELECT back to the tables it comes from, and says what contradicts the contracts.

Reads one JSON document from standard input, as lineage.go writes it, and writes a JSON list of mistakes, a line of text each.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

# What the reader adds to a row of a landing file.
FILE_COLUMNS = ("file_path", "file_modified")
# The zones whose tables the job of the customers keeps for later runs, and reads again.
KEPT = ("consent", "suspension")


@dataclass(frozen=True)
class Origins:
    """The personal columns, as table.column, that a value comes from: as they are, and through SHA-256 only."""

    plain: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()

    def __or__(self, other: Origins) -> Origins:
        return Origins(self.plain | other.plain, self.hashed | other.hashed)

    def through_sha256(self) -> Origins:
        return Origins(hashed=self.plain | self.hashed)


Columns = dict[str, Origins]


class Mistake(Exception):
    pass


@dataclass
class Job:
    """The SELECTs of one job, each with the origins of its columns once it has been followed."""

    table: str
    zone: str
    kind: str
    source: str
    reads: list[str]
    project: Project
    known: dict[str, Columns] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    @property
    def landing(self) -> str:
        return "" if self.kind == "derived" else f"{self.source}_landing"

    def mistakes(self) -> list[str]:
        found = []
        outputs = {f"{self.zone}/{self.table}": self.table}
        if self.kind == "customers":
            outputs |= {f"{zone}/{self.source}_{zone}": f"{self.source}_{zone}" for zone in KEPT}
        for select, table in outputs.items():
            try:
                found += self.project.contradictions(select, table, self.select(select))
            except Mistake as mistake:
                found.append(str(mistake))
        if not found:
            unread = [name for name in self.reads if name not in self.read]
            found += [f"{self.table}.json: job.reads: none of its SELECTs reads {name}" for name in unread]
        return found

    def select(self, select: str) -> Columns:
        """The columns of a SELECT, by name."""
        if select not in self.known:
            self.known[select] = self._follow(select)
        return self.known[select]

    def _follow(self, select: str) -> Columns:
        path = f"sql/{select}.sql"
        if select not in self.project.selects:
            raise Mistake(f"{path}: missing; the job of {self.table} needs it")
        try:
            query = parse_one(self.project.selects[select], dialect="duckdb")
            sources = {name: self.source_columns(name, select, path) for name in _read(query)}
            schema = {name: dict.fromkeys(columns, "unknown") for name, columns in sources.items()}
            root = build_scope(qualify(query, schema=schema, dialect="duckdb", quote_identifiers=False))
            return {name: _output(root, name, (), sources) for name in root.expression.named_selects}
        except SqlglotError as error:
            raise Mistake(f"{path}: {' '.join(str(error).split())}") from error

    def source_columns(self, name: str, select: str, path: str) -> Columns:
        """The columns of what a SELECT reads under a name: a table, or a SELECT that runs before it in the same job."""
        kept = self.kind == "customers" and name in [f"{self.source}_{zone}" for zone in KEPT]
        if name == self.landing or name in self.reads or kept:
            self.read.add(name)
            columns = self.project.columns(name)
            return {**columns, **dict.fromkeys(FILE_COLUMNS, Origins())} if name == self.landing else columns
        if name == f"{self.source}_rejected":  # of the columns of the landing table what could be read, and the line itself
            line = {"line": Origins(frozenset({f"{self.source}_quarantine.line"}))}
            return {**self.source_columns(self.landing, select, path), **line}
        if name == f"{self.source}_passing":
            return {**self.select(f"{self.zone}/{self.source}_gated"), "in_table": Origins()}
        if name == f"{self.source}_current":
            return self.select(f"consent/{self.source}_consent")
        for zone in (self.zone, "landing"):
            other = f"{zone}/{name}"
            if other in self.project.selects and other != select and name not in self.project.tables:
                return self.select(other)
        if name in self.project.tables:
            raise Mistake(f"{path}: reads {name}, which job.reads in {self.table}.json does not name")
        raise Mistake(f"{path}: reads {name}: there is no contract {name}.json and no SELECT sql/{self.zone}/{name}.sql")


@dataclass
class Project:
    tables: dict[str, dict]
    selects: dict[str, str]

    def columns(self, table: str) -> Columns:
        def origins(name: str, column: dict) -> Origins:
            this = frozenset({f"{table}.{name}"})
            return Origins(this if column["personal"] else frozenset(), this if column["pseudonym"] else frozenset())

        return {name: origins(name, column) for name, column in self.tables[table]["columns"].items()}

    def contradictions(self, select: str, table: str, given: Columns) -> list[str]:
        """What the columns of a SELECT, by name, carry against the contract of its table."""
        path, contract = f"sql/{select}.sql", self.tables[table]
        found = []
        for name, column in contract["columns"].items():
            origins = given.get(name)
            if origins is None:
                if column["required"]:
                    found.append(f"{path}: column {name} is missing, {table}.json requires it")
                continue
            if origins.plain and not column["personal"]:
                rule = "marks it a pseudonym" if column["pseudonym"] else "does not mark it personal"
                if not contract["personal_data"]:
                    rule = "declares the table free of personal data"
                found.append(f"{path}: column {name} carries personal data ({_list(origins.plain)}), but {table}.json {rule}")
            elif origins.hashed and not column["personal"] and not column["pseudonym"]:
                found.append(
                    f"{path}: column {name} stands for a person ({_list(origins.hashed)}): mark it pseudonym in {table}.json"
                )
        unknown = sorted(set(given) - set(contract["columns"]) - {"reason"})
        return found + [f"{path}: column {name} is not in {table}.json" for name in unknown]


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _read(query: exp.Expression) -> set[str]:
    """Names of the tables and views that a query reads; a CTE may have the name of the table that it reads itself."""
    return {
        source.name
        for scope in build_scope(query.copy()).traverse()
        for source in scope.sources.values()
        if isinstance(source, exp.Table)
    }


def _origins(node: exp.Expression, scope: Scope, path: tuple[str, ...], sources: dict[str, Columns]) -> Origins:
    """Where the value of an expression comes from. `path`: the fields wanted of it, when it is a struct."""
    if isinstance(node, exp.Column):
        return _of_column(node, scope, path, sources)
    if isinstance(node, exp.Dot):
        return _origins(node.this, scope, (node.expression.name, *path), sources)
    if isinstance(node, exp.Struct) and path:
        for member in node.expressions:
            if path[0] in (member.alias_or_name, member.this.name if isinstance(member, exp.PropertyEQ) else None):
                return _origins(member, scope, path[1:], sources)
    inner = [other for other in scope.subquery_scopes if other.expression is node]
    if inner:
        return _union(_output(inner[0], name, path, sources) for name in inner[0].expression.named_selects)
    found = _union(_origins(child, scope, path, sources) for child in node.iter_expressions())
    is_sha256 = isinstance(node, exp.SHA2) and node.text("length") in ("256", "0")
    return found.through_sha256() if is_sha256 else found


def _of_column(node: exp.Column, scope: Scope, path: tuple[str, ...], sources: dict[str, Columns]) -> Origins:
    source = scope.sources.get(node.table)
    if isinstance(source, exp.Table):
        return sources[source.name].get(node.name, Origins())
    if not isinstance(source, Scope):
        raise Mistake(f"column {node.sql(dialect='duckdb')} cannot be followed; write where it comes from")
    return _output(source, node.name, path, sources)


def _output(scope: Scope, name: str, path: tuple[str, ...], sources: dict[str, Columns]) -> Origins:
    """A column of a SELECT, or of a UNION, which takes its columns by their places."""
    place = scope.expression.named_selects.index(name)

    def at_place(branch: Scope) -> Origins:
        if branch.set_operation_scopes:
            return _union(at_place(inner) for inner in branch.set_operation_scopes)
        return _origins(branch.expression.selects[place], branch, path, sources)

    return at_place(scope)


def _union(found) -> Origins:
    total = Origins()
    for origins in found:
        total |= origins
    return total


def main() -> None:
    document = json.load(sys.stdin)
    project = Project(document["tables"], document["selects"])
    mistakes = [mistake for job in document["jobs"] for mistake in Job(**job, project=project).mistakes()]
    json.dump(list(dict.fromkeys(mistakes)), sys.stdout)


if __name__ == "__main__":
    main()
