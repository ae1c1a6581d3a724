"""Fixtures: an embedded AWS in a process of its own, on 127.0.0.1 and a free port, stopped by its process id."""

from collections.abc import Callable, Iterator

import athena_lake
import pytest
from embedded import ROOT, Answer, EmbeddedAWS, ask
from pyiceberg.table import Table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test that waits for the end of a minute comes last: the others run meanwhile."""
    items.sort(key=lambda item: item.name == "test_the_timeout_is_kept")


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAWS]:
    work = tmp_path_factory.mktemp("embedded_aws")
    # By another name, so that the class archive that the tests' small jobs leave is not the one of the pipeline.
    (work / "setup").mkdir()
    (work / "setup" / "jars").symlink_to(ROOT / ".stedi" / "jars")
    embedded = EmbeddedAWS(work, jars=work / "setup" / "jars")
    try:
        embedded.wait_ready()
        yield embedded
    finally:
        embedded.stop()


@pytest.fixture(scope="session")
def readings(aws: EmbeddedAWS) -> Table:
    """The Iceberg table of the lake of the tests of Athena."""
    return athena_lake.make(aws)


@pytest.fixture(scope="session")
def query(aws: EmbeddedAWS, readings: Table) -> Callable[..., Answer]:
    """Asks that lake."""
    return lambda sql, *values: ask(aws.client("athena"), sql, athena_lake.DATABASE, "queries", *values)
