"""Follows every column of every SELECT back to the tables it comes from, and says what contradicts the contracts.

Reads one JSON document from standard input, as lineage.go writes it, and writes a JSON list of mistakes, a line of text each.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

# The contracts' types as DuckDB has them; the others have the same name.
TEXT = {"string": "text"}


@dataclass(frozen=True)
class Origins:
    """The personal columns, as table.column, that a value comes from: as they are, and through SHA-256 only."""

    plain: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()

    def __or__(self, other: Origins) -> Origins:
        return Origins(self.plain | other.plain, self.hashed | other.hashed)

    def through_sha256(self) -> Origins:
        return Origins(hashed=self.plain | self.hashed)


@dataclass(frozen=True)
class Column:
    """A column of a table or of a SELECT. `type`: as contracts name it, `unknown` where that cannot be told."""

    type: str
    origins: Origins = Origins()


Columns = dict[str, Column]

# What the reader adds to a row of a landing file.
FILE_COLUMNS = {"file_path": Column("string"), "file_modified": Column("bigint")}


class Mistake(Exception):
    pass


@dataclass
class Job:
    """The SELECTs of one job, each with the origins of its columns once it has been followed."""

    made: dict[str, Any]
    project: Project
    known: dict[str, Columns] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.table, self.source, self.reads = self.made["target"], self.made["source"], self.made.get("reads", [])
        self.zone, self.landing = self.project.tables[self.table]["zone"], self.made.get("landing")
        # The tables beside the target that SELECTs make, and read again.
        self.kept = self.made["keeps"] if self.made["kind"] == "customers" else []

    def mistakes(self) -> list[str]:
        found = []
        for table in (self.table, *self.kept):
            select = f"{self.project.tables[table]['zone']}/{table}"
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
            schema = {
                name: {column: TEXT.get(one.type, one.type) for column, one in columns.items()}
                for name, columns in sources.items()
            }
            query = qualify(query, schema=schema, dialect="duckdb", quote_identifiers=False)
            query = annotate_types(query, schema=schema, dialect="duckdb")
            _require_one_type(query, path)
            root = build_scope(query)
            types = {one.alias_or_name: _type(one) for one in root.expression.selects}
            return {name: Column(kind, _output(root, name, (), sources)) for name, kind in types.items()}
        except SqlglotError as error:
            raise Mistake(f"{path}: {' '.join(str(error).split())}") from error

    def source_columns(self, name: str, select: str, path: str) -> Columns:
        """The columns of what a SELECT reads under a name: a table, or a SELECT that runs before it in the same job."""
        if name == self.landing or name in self.reads or name in self.kept:
            self.read.add(name)
            columns = self.project.columns(name)
            return columns | FILE_COLUMNS if name == self.landing else columns
        if name == "erased":  # of the erasure ledger the people and devices that the job met, by what it knows them by (R17)
            self.read.add("erasure_ledger")
            return {"subject": Column("string"), "erased_at": Column("bigint")}
        if name == f"{self.source}_rejected":  # of the columns of the landing table what could be read, and the line itself
            line = self.project.columns(self.made["quarantine"])["line"]
            return {**self.source_columns(self.landing, select, path), "line": line}
        if name == f"{self.source}_passing":
            return {**self.select(f"{self.zone}/{self.source}_gated"), "in_table": Column("boolean")}
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
        def read(column: dict[str, Any]) -> Column:
            this = frozenset({f"{table}.{column['name']}"})
            plain, hashed = (this if column.get(kind) else frozenset() for kind in ("personal", "pseudonym"))
            return Column(column["type"], Origins(plain, hashed))

        return {column["name"]: read(column) for column in self.tables[table]["columns"]}

    def contradictions(self, select: str, table: str, given: Columns) -> list[str]:
        """What the columns of a SELECT, by name, are against the contract of its table."""
        path, contract = f"sql/{select}.sql", self.tables[table]
        found = []
        for column in contract["columns"]:
            name = column["name"]
            if name not in given:
                if column.get("required"):
                    found.append(f"{path}: column {name} is missing, {table}.json requires it")
                continue
            found += self._contradicting_type(path, table, column, given[name].type)
            origins, personal, pseudonym = given[name].origins, column.get("personal"), column.get("pseudonym")
            if origins.plain and not personal:
                rule = "marks it a pseudonym" if pseudonym else "does not mark it personal"
                if not contract["personal_data"]:
                    rule = "declares the table free of personal data"
                found.append(f"{path}: column {name} carries personal data ({_list(origins.plain)}), but {table}.json {rule}")
            elif origins.hashed and not personal and not pseudonym:
                found.append(
                    f"{path}: column {name} stands for a person ({_list(origins.hashed)}): mark it pseudonym in {table}.json"
                )
        unknown = sorted(set(given) - {column["name"] for column in contract["columns"]} - {"reason"})
        if "reason" in given and given["reason"].type != "string":
            found.append(f"{path}: column reason has type {given['reason'].type}, want string")
        return found + [f"{path}: column {name} is not in {table}.json" for name in unknown]

    def _contradicting_type(self, path: str, table: str, column: dict[str, Any], given: str) -> list[str]:
        name, wanted = column["name"], column["type"]
        if given == wanted:
            return []
        if given == "unknown":
            return [f"{path}: column {name}: its type cannot be told; write cast(... as {wanted}), as {table}.json says"]
        return [f"{path}: column {name} has type {given}, {table}.json says {wanted}"]


def _type(node: exp.Expression) -> str:
    """The type of a value as contracts name it; as DuckDB does where they know none."""
    name = node.type.sql(dialect="duckdb").lower() if node.type else "unknown"
    return next((ours for ours, duckdb in TEXT.items() if duckdb == name), name)


def _require_one_type(query: exp.Expression, path: str) -> None:
    """Fails where a UNION would bring its columns to one type by itself: each engine has rules of its own for that."""
    for union in query.find_all(exp.SetOperation):
        for one, other in zip(union.left.selects, union.right.selects, strict=False):
            if _type(one) != _type(other):
                name, types = one.alias_or_name, f"{_type(one)} and {_type(other)}"
                raise Mistake(f"{path}: column {name} of a UNION has the types {types}; cast one of them")


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
        return sources[source.name].get(node.name, Column("unknown")).origins
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
    project = Project({table["table"]: table for table in document["tables"] or ()}, document["selects"])
    mistakes = [mistake for job in document["jobs"] or () for mistake in Job(job, project).mistakes()]
    json.dump(list(dict.fromkeys(mistakes)), sys.stdout)


if __name__ == "__main__":
    main()
