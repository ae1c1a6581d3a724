"""Fixtures: an embedded AWS in a process of its own, on 127.0.0.1 and a free port, stopped by its process id."""

from collections.abc import Iterator

import pytest
from embedded import ROOT, EmbeddedAWS


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
