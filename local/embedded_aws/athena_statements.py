"""What Athena of the embedded AWS lets through: one statement, of a kind that only reads, or one that makes, changes or drops a
table in a scratch database (athena_writes.py sees to the latter). All else is refused here.

A statement is let through because it is known, not because it is not known to be bad: what it begins with must be in the list
below, a query may hold nothing but queries, and its functions must be Athena's. sqlglot takes the text apart, so comments, case
and quotes are the library's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from embedded_aws import athena_functions

# What a query begins with.
_QUERIES = ("SELECT", "WITH", "VALUES", "(")
_READS = "SELECT, SHOW, DESCRIBE, EXPLAIN, PREPARE, EXECUTE and DEALLOCATE only"
# By the first word of a statement, what may be done beside reading.
_SCRATCH = ", and in a database whose name ends in _scratch"
_WRITES = {
    "CREATE": f"{_SCRATCH} CREATE TABLE AS (in awswrangler: ctas_parameters={{'database': ...}}; or ctas_approach=False)",
    "DROP": f"{_SCRATCH} DROP TABLE",
    "ALTER": f"{_SCRATCH} ALTER TABLE with RENAME TO and SET TBLPROPERTIES",
    "UNLOAD": ", and UNLOAD to a bucket that holds no table of the lake (in awswrangler: s3_output; or unload_approach=False)",
}
# Kinds of statements that sqlglot would let stand inside a query, and what DuckDB and others write in one that Athena does not.
_FOREIGN = (
    *(exp.DDL, exp.DML, exp.Command, exp.Drop, exp.Alter, exp.Copy, exp.Into, exp.Lock, exp.Pivot, exp.Parameter),
    *(exp.ILike, exp.SimilarTo, exp.Glob, exp.IntDiv),
)
# Signs that DuckDB and sqlglot understand and Athena does not.
_SIGNS = frozenset(("::", "&", "&&", "|", "^", "~", "{", "}", "==", "<=>", "->>", "#>", "#>>"))


class QueryError(Exception):
    """A statement that Athena would not run either, or that the embedded AWS cannot."""


@dataclass(frozen=True)
class Select:
    query: exp.Query


@dataclass(frozen=True)
class Explain:
    query: exp.Query


@dataclass(frozen=True)
class Prepare:
    name: str
    sql: str


@dataclass(frozen=True)
class Execute:
    """`values`: SQL of the values in place of the question marks."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Deallocate:
    name: str


@dataclass(frozen=True)
class Show:
    """`what`: COLUMNS, CREATE TABLE, DATABASES, TABLES, TBLPROPERTIES, VIEWS, or DESCRIBE. Empty: not given."""

    what: str
    database: str = ""
    table: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class CreateTableAs:
    """`properties`: those of WITH, by name in lower case. `refusal`: what is said when the database is not for writing."""

    table: Show
    properties: dict[str, Property]
    query: exp.Query
    data: bool
    refusal: str


@dataclass(frozen=True)
class Unload:
    query: exp.Query
    location: str
    properties: dict[str, Property]
    refusal: str


@dataclass(frozen=True)
class DropTable:
    table: Show
    if_exists: bool
    refusal: str


@dataclass(frozen=True)
class RenameTable:
    table: Show
    to: Show
    refusal: str


@dataclass(frozen=True)
class SetProperties:
    table: Show
    properties: dict[str, Property]
    refusal: str


Property = str | bool | list[str]
Write = CreateTableAs | Unload | DropTable | RenameTable | SetProperties
Statement = Select | Explain | Prepare | Execute | Deallocate | Show | Write


class _Words(Trino.Tokenizer):
    """Athena takes names of SHOW and DESCRIBE in backticks. No word makes the rest of the text a text."""

    IDENTIFIERS = ('"', "`")
    COMMANDS = frozenset()
    KEYWORDS: ClassVar = {words: kind for words, kind in Trino.Tokenizer.KEYWORDS.items() if " " not in words}


class _Athena(Trino):
    """Trino with the functions of Athena that sqlglot translates. All others stay as they are, to be looked at by name."""

    class Parser(Trino.Parser):
        FUNCTIONS: ClassVar = {
            name: build for name, build in Trino.Parser.FUNCTIONS.items() if name.lower() in athena_functions.TRANSLATED
        }


def first_word(sql: str) -> str:
    return next(iter(_words(sql)), "")


def _words(sql: str) -> list[str]:
    try:
        return [token.text.upper() for token in _tokens(sql)]
    except QueryError:
        return []


def kind(sql: str) -> str:
    """As GetQueryExecution names it, which says that CREATE TABLE AS is a DML."""
    words, first = _words(sql), first_word(sql)
    if first in ("CREATE", "DROP", "ALTER"):
        return "DML" if words[:2] == ["CREATE", "TABLE"] and "AS" in words else "DDL"
    return "DML" if first in (*_QUERIES, "EXECUTE", "INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD") else "UTILITY"


def parse(sql: str, values: tuple[str, ...] = ()) -> Statement:
    """The one statement of the text. `values`: SQL in place of its question marks. Raises QueryError for all that is refused."""
    tokens = _tokens(sql)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise QueryError("MALFORMED_QUERY: there is no statement")
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            raise QueryError(f"MALFORMED_QUERY: line {token.line}:{token.col}: Only one sql statement is allowed")
        if token.text in _SIGNS and token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER):
            raise QueryError(f"SYNTAX_ERROR: line {token.line}:{token.col}: mismatched input '{token.text}'")
    sql = sql[: tokens[-1].end + 1]
    reader = _Reader(sql, tokens)
    if reader.word().upper() in _QUERIES:
        return Select(_query(sql, tokens, values))
    match reader.next():
        case "SHOW":
            found = reader.show()
        case "DESCRIBE" | "DESC":
            found = replace(reader.table(), what="DESCRIBE")
        case "EXPLAIN":
            reader.options()
            return Explain(_query(reader.rest(), reader.tokens, values))
        case "PREPARE":
            name = reader.name()
            reader.expect("FROM")
            found = Prepare(name, reader.rest())
            _query(found.sql, reader.tokens, None)
            return found
        case "EXECUTE":
            return Execute(reader.name(), reader.values())
        case "DEALLOCATE":
            reader.expect("PREPARE")
            found = Deallocate(reader.name())
        case _:
            return _write(_Reader(sql, tokens), values, _refusal(tokens))
    reader.end()
    return found


def _write(reader: _Reader, values: tuple[str, ...], refusal: str) -> Write:
    """A statement that may stand for a scratch database; `refusal` for any other."""
    if reader.take("UNLOAD"):
        query = _query(*reader.brackets(), values)
        reader.expect("TO")
        found = Unload(query, reader.text(), reader.properties("WITH"), refusal)
    elif reader.take("DROP") and reader.take("TABLE"):
        if_exists = reader.take("IF")
        if if_exists:
            reader.expect("EXISTS")
        found = DropTable(reader.table(), if_exists, refusal)
    elif reader.take("CREATE") and reader.take("TABLE"):
        table, properties = reader.table(), reader.properties("WITH")
        if not reader.take("AS"):
            raise QueryError(refusal)
        data = not reader.ends_with("NO", "DATA")
        if data:
            reader.ends_with("DATA")
        return CreateTableAs(table, properties, _query(reader.rest(), reader.tokens, values), data, refusal)
    elif reader.take("ALTER") and reader.take("TABLE"):
        table = reader.table()
        if reader.take("RENAME"):
            reader.expect("TO")
            found = RenameTable(table, reader.table(), refusal)
        elif reader.take("SET") and reader.word() == "TBLPROPERTIES":
            found = SetProperties(table, reader.properties("TBLPROPERTIES"), refusal)
        else:
            raise QueryError(refusal)
    else:
        raise QueryError(refusal)
    reader.end()
    return found


def _refusal(tokens: list[Token]) -> str:
    plain = [token for token in tokens[:2] if token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER)]
    words = " ".join(token.text.upper() for token in plain)
    return f"NOT_SUPPORTED: {words} is refused. Athena of the embedded AWS answers {_READS}{_WRITES.get(words.split(' ')[0], '')}"


def _tokens(sql: str) -> list[Token]:
    try:
        return _Words(Trino()).tokenize(sql)
    except SqlglotError as error:
        raise QueryError(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from None


def _query(sql: str, tokens: list[Token], values: tuple[str, ...] | None) -> exp.Query:
    """The query of the text. `values` None: its question marks stay."""
    try:
        found = _Athena().parse(sql if values is None else _filled(sql, values))
    except SqlglotError as error:
        first = error.errors[0] if getattr(error, "errors", None) else {"description": str(error), "line": 1, "col": 1}
        raise QueryError(f"SYNTAX_ERROR: line {first['line']}:{first['col']}: {first['description']}") from None
    query = found[0] if len(found) == 1 else None
    if isinstance(query, exp.Values):
        width = len(query.expressions[0].expressions) or 1
        columns = [exp.to_identifier(f"_col{number}") for number in range(width)]
        query.set("alias", exp.TableAlias(this=exp.to_identifier("_values"), columns=columns))
        query = exp.select("*").from_(query)
    if not isinstance(query, exp.Query):
        raise QueryError(_refusal(tokens))
    for node in query.walk():
        _check(node)
    return query


def _check(node: exp.Expression) -> None:
    """Raises QueryError when a part of a query is none that Athena has."""
    if isinstance(node, _FOREIGN):
        raise QueryError(f"NOT_SUPPORTED: {type(node).__name__.upper()} in a query is refused")
    if isinstance(node, exp.CTE) and not isinstance(node.this, exp.Query | exp.Values):
        raise QueryError("NOT_SUPPORTED: WITH of the embedded AWS holds queries only")
    # sqlglot gives no DISTINCT, not even none, to a SELECT that it made itself: of "from t", which DuckDB has, or of VALUES.
    if isinstance(node, exp.Select) and "distinct" not in node.args and not isinstance(node.args["from_"].this, exp.Values):
        raise QueryError("SYNTAX_ERROR: a query is SELECT or VALUES")
    if isinstance(node, exp.Distinct) and node.args.get("on"):
        raise QueryError("SYNTAX_ERROR: Athena's DISTINCT has no ON")
    if isinstance(node, exp.Join) and (node.kind in ("SEMI", "ANTI") or node.method == "ASOF"):
        raise QueryError(f"SYNTAX_ERROR: Athena has no {node.kind or node.method} JOIN")
    if isinstance(node, exp.Group) and node.args.get("all") and not node.expressions:
        raise QueryError("SYNTAX_ERROR: GROUP BY ALL wants the columns")
    if isinstance(node, exp.Star) and any(node.args.values()):
        raise QueryError("SYNTAX_ERROR: Athena's * has neither EXCEPT nor REPLACE nor RENAME")
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        raise QueryError(f"FUNCTION_NOT_FOUND: Table function '{node.this.name.lower()}' not registered, it does not exist here")
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and node.name.lower() not in athena_functions.NAMES:
        raise QueryError(f"FUNCTION_NOT_FOUND: Function '{node.name.lower()}' not registered")


def _filled(sql: str, values: tuple[str, ...]) -> str:
    """The text with a value in place of every question mark."""
    marks = [token for token in _tokens(sql) if token.token_type == TokenType.PLACEHOLDER]
    if len(marks) != len(values):
        raise QueryError(
            f"INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected {len(marks)} but found {len(values)}"
        )
    for mark, value in reversed(list(zip(marks, values, strict=True))):
        sql = sql[: mark.start] + _value(value) + sql[mark.end + 1 :]
    return sql


def _value(text: str) -> str:
    """A value as SQL of its own, so that nothing of it can be read as more than a value."""
    try:
        found = _Athena().parse(f"select {text}")
    except SqlglotError:
        found = []
    selected = found[0].selects if len(found) == 1 and isinstance(found[0], exp.Select) else []
    parts = [name for name, part in found[0].args.items() if part] if selected else []
    if len(selected) != 1 or parts != ["expressions"] or selected[0].find(exp.Column, exp.Query, exp.Placeholder, exp.Star):
        raise QueryError("SYNTAX_ERROR: an execution parameter is no SQL value: texts are given with their quotes, as in 'text'")
    _check(selected[0])
    sql = selected[0].sql(dialect="trino", comments=False)
    return sql if isinstance(selected[0], exp.Literal) else f"({sql})"


class _Reader:
    """Reads a statement word by word."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self.sql, self.tokens = sql, tokens

    def word(self) -> str:
        """The word that is next; empty at the end, and for a quoted name or a text, which is no word."""
        if not self.tokens or self.tokens[0].token_type in (TokenType.IDENTIFIER, TokenType.STRING):
            return ""
        return self.tokens[0].text.upper()

    def next(self) -> str:
        word = self.word()
        self.tokens = self.tokens[1:]
        return word

    def take(self, *words: str) -> bool:
        """Whether one of the words is next; then it is read."""
        taken = bool(self.word()) and self.word() in words
        if taken:
            self.next()
        return taken

    def expect(self, *words: str) -> None:
        if not self.take(*words):
            self._fail(f"expecting {' or '.join(words)}")

    def _fail(self, what: str) -> None:
        at = self.tokens[0] if self.tokens else None
        place = f"line {at.line}:{at.col}: mismatched input '{at.text}'" if at else "mismatched input '<EOF>'"
        raise QueryError(f"SYNTAX_ERROR: {place}, {what}")

    def end(self) -> None:
        if self.tokens:
            self._fail("expecting <EOF>")

    def rest(self) -> str:
        if not self.tokens:
            self._fail("expecting a query")
        return self.sql[self.tokens[0].start :]

    def name(self) -> str:
        named = self.tokens and (self.tokens[0].token_type == TokenType.IDENTIFIER or self.word().replace("_", "a").isalnum())
        if not named:
            self._fail("expecting a name")
        text = self.tokens[0].text
        self.tokens = self.tokens[1:]
        return text.lower()

    def text(self) -> str:
        """A text that may be next."""
        if not self.tokens or self.tokens[0].token_type != TokenType.STRING:
            return ""
        text = self.tokens[0].text
        self.tokens = self.tokens[1:]
        return text

    def table(self) -> Show:
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) == 3 and parts[0] == "awsdatacatalog":
            parts = parts[1:]
        if len(parts) > 2:
            self._fail("expecting DATABASE.TABLE")
        return Show("", "" if len(parts) == 1 else parts[0], parts[-1])

    def brackets(self) -> tuple[str, list[Token]]:
        """What is in the brackets that come next, as text and as tokens."""
        if self.word() != "(":
            self._fail("expecting (")
        depth = 0
        for number, token in enumerate(self.tokens):
            depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
            if depth == 0:
                inside, self.tokens = self.tokens[1:number], self.tokens[number + 1 :]
                return self.sql[inside[0].start : inside[-1].end + 1] if inside else "", inside
        self.tokens = []
        self._fail("expecting )")

    def ends_with(self, *words: str) -> bool:
        """Whether the statement ends in WITH and these words; then they are cut off."""
        last = [token.text.upper() for token in self.tokens[-len(words) - 1 :] if token.token_type != TokenType.STRING]
        ends = last == ["WITH", *words]
        if ends:
            self.tokens = self.tokens[: -len(last)]
            self.sql = self.sql[: self.tokens[-1].end + 1] if self.tokens else ""
        return ends

    def properties(self, word: str) -> dict[str, Property]:
        """The list in brackets after the word, if it is next: NAME = VALUE, 'NAME' = VALUE, parted by commas."""
        found: dict[str, Property] = {}
        if not self.take(word):
            return found
        self.expect("(")
        while True:
            name = (self.text() or self.name()).lower()
            self.expect("=")
            found[name] = self.value()
            if not self.take(","):
                break
        self.expect(")")
        return found

    def value(self) -> Property:
        if self.take("ARRAY"):
            found: list[str] = []
            self.expect("[")
            while self.word() != "]":
                found.append(self.text())
                self.take(",")
                if not found[-1]:
                    self._fail("expecting a text")
            self.expect("]")
            return found
        if self.word() in ("TRUE", "FALSE"):
            return self.next() == "TRUE"
        if self.word().isdigit():
            return self.next()
        at = self.tokens[:1]
        if not at or at[0].token_type != TokenType.STRING:
            self._fail("expecting a value")
        return self.text()

    def show(self) -> Show:
        if self.take("COLUMNS"):
            self.expect("IN", "FROM")
            found = replace(self.table(), what="COLUMNS")
            return replace(found, database=self.name()) if self.take("IN", "FROM") else found
        if self.take("CREATE"):
            self.expect("TABLE")
            return replace(self.table(), what="CREATE TABLE")
        if self.take("TBLPROPERTIES"):
            return replace(self.table(), what="TBLPROPERTIES")
        if self.take("DATABASES", "SCHEMAS"):
            self.take("LIKE")
            return Show("DATABASES", pattern=self.text())
        for what in ("TABLES", "VIEWS"):
            if self.take(what):
                database = self.name() if self.take("IN", "FROM") else ""
                self.take("LIKE")
                return Show(what, database, pattern=self.text())
        raise QueryError(
            f"NOT_SUPPORTED: SHOW {self.word()} is refused. Athena of the embedded AWS knows SHOW COLUMNS, CREATE TABLE, "
            "DATABASES, SCHEMAS, TABLES, TBLPROPERTIES and VIEWS"
        )

    def options(self) -> None:
        """Of EXPLAIN: a plan as text is the only one."""
        if self.word() == "ANALYZE":
            raise QueryError("NOT_SUPPORTED: EXPLAIN ANALYZE is refused; EXPLAIN is answered")
        second = self.tokens[1].text.upper() if len(self.tokens) > 1 else ""
        if self.word() == "(" and second in ("FORMAT", "TYPE"):
            self.next()
            given = self.next(), self.next()
            if given not in (("FORMAT", "TEXT"), ("TYPE", "LOGICAL")):
                raise QueryError(f"NOT_SUPPORTED: EXPLAIN ({' '.join(given)}) is refused; EXPLAIN (FORMAT TEXT) is answered")
            self.expect(")")

    def values(self) -> tuple[str, ...]:
        """SQL of the values after USING, parted by the commas that stand in no brackets."""
        if not self.tokens:
            return ()
        self.expect("USING")
        start, depth, found = 0, 0, []
        text = self.rest()
        first = self.tokens[0].start
        for token in self.tokens:
            depth += (token.text in "([") - (token.text in ")]") if token.token_type != TokenType.STRING and token.text else 0
            if token.token_type == TokenType.COMMA and depth == 0:
                found.append(text[start : token.start - first])
                start = token.end + 1 - first
        return (*found, text[start:])
