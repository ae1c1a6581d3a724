"""Fixtures: an embedded AWS in a process of its own, on 127.0.0.1 and a free port, stopped by its process id."""

from collections.abc import Iterator

import pytest
from embedded import EmbeddedAWS


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAWS]:
    embedded = EmbeddedAWS(tmp_path_factory.mktemp("embedded_aws"))
    try:
        embedded.wait_ready()
        yield embedded
    finally:
        embedded.stop()
