"""Forgets people on request (R17): takes their lines out of landing and quarantine, and notes who is refused from now on; the
runs of the other jobs take them out of the tables. At the end, proves that nothing of them is left."""

from __future__ import annotations

import json
import math
import secrets
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from lakehouse import (
    contracts,
    engines,
    erased,
    intake,
    ledger,
    process,
    proof,
    quarantine,
    queries,
    requests,
    rewriting,
    storage,
)
from lakehouse.contracts import Job
from lakehouse.drafts import OP, Drafts
from lakehouse.engines import Engine, Rows
from lakehouse.errors import LakehouseError
from lakehouse.intake import Rewritten
from lakehouse.lines import MALFORMED
from lakehouse.maintenance import DAY_MS
from lakehouse.requests import Line, Request
from lakehouse.rewriting import Taken, Theirs
from lakehouse.storage import Object, Store
from lakehouse.tables import Tables
from lakehouse.traces import Finder, Person, sha256

NAME = "erase_people"
ERASE, PROVE = "erase", "prove"
# Requests that were proven before and are to be once more; what was proven, by request and run.
PROOFS, CERTIFICATES = "erasure/proofs/", "erasure/certificates/"
# Why a device leads to nobody.
_OF_OTHERS = "serialNumber: others are named with it, the e-mail is not"
_OF_SEVERAL = "serialNumber: of several people, want the e-mail too"
# What SELECTs ask for a person or a device.
_NAMED = {"email": "string", "serialnumber": "string"}


@dataclass(frozen=True)
class Options:
    """`results_uri`: the bucket of query results; empty: there is none. `request`: the one to prove; empty: all that wait."""

    lake_uri: str
    database: str
    step: str = ERASE
    results_uri: str = ""
    request: str = ""
    run_id: str = ""
    metrics_namespace: str = ""
    lake_name: str = ""
    region: str = ""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a step as a process: prints what it did as a line of JSON."""
    process.process(NAME, parse, _work, argv)


def parse(argv: Sequence[str]) -> Options:
    """The job's own arguments; those that Glue adds for itself are ignored."""
    given = process.arguments()
    given.add_argument("--step", default=ERASE, choices=(ERASE, PROVE))
    given.add_argument("--JOB_RUN_ID", dest="run_id", default="")
    for name in ("results_uri", "request", "metrics_namespace", "lake_name"):
        given.add_argument(f"--{name}", default="")
    values, _ = given.parse_known_args(argv)
    process.require_place(values)
    return Options(**vars(values))


def _work(options: Options) -> None:
    done = erase(options) if options.step == ERASE else prove(options)
    print(json.dumps({"job": NAME, "step": options.step, **done}), flush=True)


def erase(options: Options, now: int | None = None) -> dict[str, object]:
    """Takes people out of landing and quarantine, and notes them in the ledger. Says what it did, without a name. `now`, in ms:
    until when what is delivered of them is refused."""
    with _Erasure.begun(options) as work:
        return work.erase(now or int(time.time() * 1000))


def prove(options: Options) -> dict[str, object]:
    """Proves that nothing is left of the people of each request, and ends it. Fails when something is, once that is noted."""
    with _Erasure.begun(options) as work:
        return work.prove()


@dataclass
class _Erasure:
    options: Options
    run_id: str
    store: Store
    tables: Tables
    engine: Engine

    @classmethod
    def begun(cls, options: Options) -> _Erasure:
        store, of = storage.open_store(options.lake_uri), Tables(options.lake_uri, options.database, options.region)
        run_id = options.run_id or f"local-{uuid.uuid4().hex}"
        return cls(options, run_id, store, of, engines.start(engines.DUCKDB, options.lake_uri))

    def __enter__(self) -> _Erasure:
        return self

    def __exit__(self, *_) -> None:
        self.engine.close()

    def erase(self, now: int) -> dict[str, object]:
        entries = intake.rewritten(self.store)
        if any(one.content for one in entries.values()):
            rewriting.finish(self.store, entries)
        lines = requests.read(self.store, contracts.load(requests.TABLE).prefix)
        waiting = requests.pending(self.store)
        if not lines and not waiting:
            return {"requests": 0}
        known, refused = self._resolved(lines, waiting, entries, now)
        if refused:
            requests.quarantine(self.engine, self.tables, self.run_id, refused)
        # Who they are is known once their records are gone, also to a run after this one died.
        requests.save_pending(self.store, known)
        people = [person for request in known.values() for person in request.people]
        taken, rows = Taken(), 0
        if people:
            finder = Finder(people)
            theirs = _theirs(known.values(), now, finder)
            rows_of = self._quarantined(finder, theirs)
            # A quarantine forgets, and then only the proof has seen the line.
            files = {file for _, file, *_ in rows_of} | {key for name in waiting for key in self._left(name)}
            taken = self._take_out(theirs, files, entries)
            rows = self._take_out_of_quarantine(rows_of)
        for request in known.values():
            request.lines, request.quarantined = request.lines + taken.lines, request.quarantined + rows
            request.rewritten, request.removed = request.rewritten + taken.rewritten, request.removed + taken.removed
        self._note(known)
        requests.save_pending(self.store, known)
        _put(self.options, {"ErasureRequestsMalformed": len(refused), **self._oldest(known)})
        return {
            "requests": len(known),
            "refused": len(refused),
            "people": len(people),
            "lines": taken.lines,
            "rewritten": taken.rewritten,
            "removed": taken.removed,
            "quarantined": rows,
            "unreadable": taken.unreadable,
        }

    # --- who it is about ---

    def _resolved(
        self, lines: Sequence[Line], waiting: Mapping[str, Request], entries: Mapping[str, Rewritten], now: int
    ) -> tuple[dict[str, Request], list[Line]]:
        """Requests with the people that they are about, and lines that cannot be done."""
        refused = [line for line in lines if line.reason]
        known = dict(waiting)
        # Those of an earlier run are not asked anew whose a device is: by now somebody else may have it.
        resolved = {(name, *place) for name, request in known.items() for place in request.objects.items()}
        asked = [line for line in lines if not line.reason and (line.id, line.object.key, line.object.version) not in resolved]
        earlier = [person for request in known.values() for person in request.people]
        owners = self._owners(asked, earlier, entries)
        devices: dict[str, set[str]] = {}
        for serial, emails in owners.items():
            for email in emails - {""}:
                devices.setdefault(email, set()).add(serial)
        told = [(line, _tells(line, owners, devices)) for line in asked]
        refused += [line.refused(MALFORMED, "id", "id: names whom it is about, and is kept") for line, tells in told if tells]
        asked = [line for line, tells in told if not tells]
        wanted = {person.email for person in earlier}
        named = {name: [(one.email, {*one.serials, *one.shared}) for one in request.people] for name, request in known.items()}
        for line in asked:
            others = owners.get(line.serial, set()) - {""}
            if line.email and others and line.email not in others:
                refused.append(line.refused(requests.SEVERAL, "serialNumber", _OF_OTHERS))
                continue
            if not line.email and len(others) > 1:
                refused.append(line.refused(requests.SEVERAL, "serialNumber", _OF_SEVERAL))
                continue
            email = line.email or next(iter(others), "")
            wanted.add(email)
            request = known.setdefault(line.id, Request(requested_at=line.object.modified))
            request.objects[line.object.key], request.erased_at = line.object.version, now
            request.requested_at = min(request.requested_at, line.object.modified)
            named.setdefault(line.id, []).append((email, {line.serial} - {""}))
        for name, people in named.items():
            for email, serials in people:
                _add(known[name].people, email, serials | devices.get(email, set()), owners, wanted)
        return known, refused

    def _owners(self, asked: Sequence[Line], earlier: Sequence[Person], entries: Mapping[str, Rewritten]) -> dict[str, set[str]]:
        """Everybody who is named with the devices of the people who are asked for: addresses by serial number."""
        engine = self.engine
        (job,) = (job for job in contracts.jobs() if job.kind == "customers")
        contract = contracts.load(job.landing)
        objects, _ = intake.delivered(self.store, contract.prefix, entries)
        landed = engine.read(contract, self.store, [one for one in objects if one.size])
        columns = queries.listed(_NAMED)
        sources = {"landed": landed.rows, "rejected": landed.rejected}
        sources |= {name: self._table(name) for name in job.keeps}
        text = " union ".join(f"select {columns} from {name}" for name in sources)
        named = engine.keep(engine.sql(text, **sources))
        people = [(line.email or None, line.serial or None) for line in asked]
        people += [(person.email or None, serial) for person in earlier for serial in (*person.serials, *person.shared, None)]
        people = engine.rows(_NAMED, people)
        # Also of whom a device alone is named.
        theirs = engine.sql(
            "select email from people union "
            "select named.email from named semi join people on named.serialnumber = people.serialnumber",
            named=named,
            people=people,
        )
        serials = engine.sql(
            "select serialnumber from named semi join theirs on named.email = theirs.email union select serialnumber from people",
            named=named,
            people=people,
            theirs=theirs,
        )
        found: dict[str, set[str]] = {}
        text = "select named.serialnumber, email from named semi join serials on named.serialnumber = serials.serialnumber"
        for serial, email in engine.fetch(text, named=named, serials=serials):
            found.setdefault(serial, set()).add(email or "")
        return found

    def _table(self, table: str) -> Rows:
        loaded = self.tables.load(table)
        return self.engine.table(loaded, loaded.current_snapshot())

    # --- landing ---

    def _take_out(self, theirs: Mapping[Job, Theirs], files: set[str], entries: dict[str, Rewritten]) -> Taken:
        """`files`: others than those that the index knows of, which may hold lines of theirs."""
        taken = Taken()
        for job, lines in theirs.items():
            taken += rewriting.take_out(self.store, lines, self._objects(job, lines.subjects, files, entries), entries)
        return taken

    def _left(self, name: str) -> Iterator[str]:
        """Keys of objects in which the last proof of a request has found something."""
        return (one["key"] for one in (self._certificate(name) or {"left": ()})["left"])

    def _objects(self, job: Job, subjects: Iterable[str], files: set[str], entries: dict[str, Rewritten]) -> list[Object]:
        """The landing objects of a job that may hold lines of these subjects: the index knows those that the job has read."""
        present = sorted(self.store.list(contracts.load(job.landing).prefix), key=lambda one: one.key)
        present = [entries[one.key].delivered_as(one) if one.key in entries else one for one in present if one.size]
        if not job.subject:
            return present  # there is no index of records: they are few
        read = intake.followed(intake.load(self.store, job), entries)
        (index,) = job.keeps
        named = self.engine.rows({"subject": "string"}, [(one,) for one in sorted(subjects)])
        named = self.engine.sql("select sha2(subject, 256) as subject from named", named=named)
        text = "select distinct file from known semi join named on known.subject = named.subject"
        held = {file for (file,) in self.engine.fetch(text, known=self._table(index), named=named)} | files
        return [one for one in present if one.key in held or read.get(one.key) != one.version]

    # --- quarantine ---

    def _quarantined(self, finder: Finder, theirs: Mapping[Job, Theirs]) -> list[tuple[str, str, str, int]]:
        """Table, file, version and position of the rows in quarantine that are theirs, as their lines in landing are."""
        found = []
        of_lines = {job.quarantine: lines.is_theirs_of_bad for job, lines in theirs.items()}
        text = "select file, version, position, line, encoding from present where line is not null"
        for contract in contracts.load_all():
            if contract.zone == "quarantine":
                for *place, line, encoding in self.engine.fetch(text, present=self._table(contract.table)):
                    raw = quarantine.as_delivered(line, encoding)
                    if finder.in_text(raw) and of_lines.get(contract.table, finder.in_text)(raw):
                        found.append((contract.table, *place))
        return found

    def _take_out_of_quarantine(self, found: Iterable[tuple[str, str, str, int]]) -> int:
        by_table: dict[str, list[tuple[str, str, int]]] = {}
        for table, *place in found:
            by_table.setdefault(table, []).append(tuple(place))
        rows = 0
        with Drafts(self.engine, self.tables) as opened:
            for table, places in by_table.items():
                contract = contracts.load(table)
                gone = self.engine.rows({name: contract.types[name] for name in contract.key}, places)
                same = queries.same(contract.key, "present", "gone")
                text = f"select *, 'delete' as {OP} from present semi join gone on {same}"
                rows += opened.change(table, self.engine.sql(text, present=opened.rows(table), gone=gone)).removed
            opened.publish(())
        return rows

    # --- the proof ---

    def prove(self) -> dict[str, object]:
        waiting = requests.pending(self.store)
        known = {**waiting, **self._asked_again()}
        if self.options.request:
            if self.options.request not in known:
                raise LakehouseError(
                    f"no request {self.options.request} waits for its proof: `make erasure-proof` asks for it again"
                )
            known = {self.options.request: known[self.options.request]}
        if not known:
            return {"requests": 0}
        results = storage.open_store(self.options.results_uri) if self.options.results_uri else None
        of_requests = (contracts.load(requests.TABLE).prefix, PROOFS, requests.PENDING)
        proofs = proof.prove(self.store, results, self.tables, {name: one.people for name, one in known.items()}, of_requests)
        digests = {name: self._certify(known[name], found) for name, found in proofs.items()}
        done = {name for name, found in proofs.items() if found.verdict == proof.ERASED}
        self._note({name: known[name] for name in done}, "proven", digests)
        self._note({name: one for name, one in known.items() if name not in done}, "not_proven", digests)
        for name in done:
            waiting.pop(name, None)
            self._end(known[name])
        self._end_refused([known[name] for name in done])
        requests.save_pending(self.store, waiting)
        left = sum(len(found.left) for found in proofs.values())
        _put(self.options, {"ErasureProofHits": left, **self._oldest(waiting)})
        if len(done) < len(known):
            open_ones = ", ".join(sorted(known.keys() - done))
            unreadable = max(len(found.unreadable) for found in proofs.values())
            raise LakehouseError(
                f"{open_ones}: {left} traces are left, and {unreadable} objects cannot be looked into; "
                f"{CERTIFICATES}<request>/{self.run_id}.json say where; remove them, and run the pipeline again"
            )
        return {"requests": len(known), "traces": left}

    def _certify(self, request: Request, found: proof.Proof) -> str:
        done = {
            "lines": request.lines,
            "rewritten": request.rewritten,
            "removed": request.removed,
            "quarantined": request.quarantined,
        }
        certificate = found.certificate(request.requested_at, request.erased_at, int(time.time() * 1000), done)
        text = json.dumps(certificate, indent=1, ensure_ascii=False)
        self.store.write(f"{CERTIFICATES}{found.request}/{self.run_id}.json", text.encode())
        return certificate["digest"]

    def _end(self, request: Request) -> None:
        """Removes what names these people: the request itself. What was put under its name since is another one."""
        there = {one.key: one for prefix in (contracts.load(requests.TABLE).prefix, PROOFS) for one in self.store.list(prefix)}
        for key, version in request.objects.items():
            if key in there and there[key].version == version:
                with suppress(storage.Changed):
                    self.store.replace(there[key], None)

    def _end_refused(self, ended: Sequence[Request]) -> None:
        """Removes what names these people, asks for nothing that can be done, and was put aside by the time they were erased."""
        finder = Finder(person for request in ended for person in request.people)
        until = min((request.erased_at for request in ended), default=0)
        asked = requests.read(self.store, contracts.load(requests.TABLE).prefix)
        wanted = {line.object for line in asked if not line.reason}
        for one in {line.object for line in asked if finder.in_text(line.line)} - wanted:
            # S3 tells whole seconds.
            if one.modified < until - 1000:
                with suppress(storage.Changed):
                    self.store.replace(one, None)

    def _asked_again(self) -> dict[str, Request]:
        """Requests that were proven before, and are to be once more: the person is named anew, and must be who it was."""
        found: dict[str, Request] = {}
        for line in requests.read(self.store, PROOFS):
            before = self._certificate(line.id)
            if line.reason or before is None or not self._is_about(line):
                if not self.options.request or line.id != self.options.request:
                    continue  # others are proven all the same
                raise LakehouseError(f"{line.object.key}: no request of that name was about that person; remove the object")
            request = found.setdefault(line.id, Request())
            request.objects[line.object.key] = line.object.version
            request.people.append(Person(line.email, (line.serial,) if line.serial else ()))
            request.requested_at, request.erased_at = (before["times"][what]["ms"] for what in ("requested", "erased"))
            for what in ("lines", "rewritten", "removed", "quarantined"):
                setattr(request, what, before["done"][what])
        return found

    def _certificate(self, name: str) -> dict[str, Any] | None:
        """The last certificate of a request."""
        there = [one for one in self.store.list(f"{CERTIFICATES}{name}/")] if name else []
        return json.loads(self.store.read(max(there, key=lambda one: one.modified).key) or b"") if there else None

    def _is_about(self, line: Line) -> bool:
        secret, ledger_rows = self.store.read(erased.SECRET) or b"", self._table(erased.LEDGER)
        text = f"select distinct subject from ledger where request_id = {queries.literal(line.id)}"
        names = {name for (name,) in self.engine.fetch(text, ledger=ledger_rows)}
        return all(erased.keyed(secret, sha256(one)) in names for one in (line.email, line.serial) if one)

    # --- what is noted and told ---

    def _note(self, known: Mapping[str, Request], step: str = "erased", certificates: Mapping[str, str] | None = None) -> None:
        secret = self.store.read(erased.SECRET)
        if secret is None:
            if self.tables.rows(erased.LEDGER):
                raise erased.lost()
            secret = secrets.token_bytes(32)
            self.store.write(erased.SECRET, secret)
        now = int(time.time() * 1000)
        rows = []
        for name, request in known.items():
            for kind, subject, until in _subjects(request):
                done = (request.lines, request.rewritten + request.removed, request.quarantined)
                hashed = erased.keyed(secret, subject)
                rows.append((name, hashed, kind, step, until, *done, (certificates or {}).get(name), self.run_id, now))
        ledger.append_rows(self.engine, self.tables, erased.LEDGER, rows)

    def _oldest(self, known: Mapping[str, Request]) -> dict[str, int]:
        now = int(time.time() * 1000)
        oldest = min((request.requested_at for request in known.values()), default=now)
        return {"ErasureRequestOpenDays": (now - oldest) // DAY_MS}


def _put(options: Options, values: Mapping[str, int]) -> None:
    data = [ledger.metric(name, value, Lake=options.lake_name) for name, value in values.items()]
    process.put(options, lambda cloudwatch, namespace, _: cloudwatch.put_metric_data(Namespace=namespace, MetricData=data))


def _tells(line: Line, owners: Mapping[str, set[str]], devices: Mapping[str, set[str]]) -> bool:
    """Whether the name of a request says whom it is about. `devices`: by address."""
    emails = {line.email} if line.email else {"", *owners.get(line.serial, ())}
    serials = {line.serial}.union(*(devices.get(email, ()) for email in emails)) - {""}
    return Finder(Person(email, tuple(serials)) for email in emails).in_text(line.id.encode())


def _add(people: list[Person], email: str, serials: set[str], owners: Mapping[str, set[str]], wanted: set[str]) -> None:
    """Adds a person, or what is new of one: a device is theirs alone when nobody is named with it who is not to be forgotten."""
    same = (one for one in people if one.email == email and (email or {*one.serials, *one.shared} & serials))
    before = next(same, Person(email))
    shared = {serial for serial in {*serials, *before.serials, *before.shared} if owners.get(serial, set()) - wanted - {""}}
    alone = {*serials, *before.serials, *before.shared} - shared
    person = replace(before, serials=tuple(sorted(alone)), shared=tuple(sorted(shared)))
    people[:] = [*(one for one in people if one is not before), person]


def _theirs(known: Iterable[Request], now: int, finder: Finder) -> dict[Job, Theirs]:
    """Which lines are theirs, by the job that reads them. Of who asked before now, those that were delivered by then: somebody
    may have come back since."""
    emails: dict[str, float] = {}
    serials: dict[str, float] = {}
    for request in known:
        until = math.inf if request.erased_at == now else request.erased_at
        for person in request.people:
            if person.email:
                emails[person.email] = max(until, emails.get(person.email, until))
            serials |= {serial: max(until, serials.get(serial, until)) for serial in person.serials}
    theirs = {}
    for job in contracts.jobs():
        if job.landing:
            contract = contracts.load(job.landing)
            theirs[job] = Theirs(contract, contract.address or job.subject, emails if contract.address else serials, finder)
    return theirs


def _subjects(request: Request) -> Iterator[tuple[str, str, int]]:
    """What a request is about: kind, SHA-256, hex, of what names it, and until when it is refused."""
    # What a device measured is told by its own clock (R12): of one that others have too, who measured what cannot be told.
    ahead = max(time.ahead for job in contracts.jobs() if job.landing for time in contracts.load(job.landing).times)
    for person in request.people:
        if person.email:
            yield "person", sha256(person.email), request.erased_at
        for serial in person.serials:
            yield "device", sha256(serial), request.erased_at
        for serial in person.shared:
            yield "shared_device", sha256(serial), request.erased_at + ahead
