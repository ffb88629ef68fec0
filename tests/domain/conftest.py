"""Partners of their own instead of an empty database: tenancy keeps tests apart, and a partner is written in one go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from portal.extensions import db
from tests.domain.office import Office


@pytest.fixture(scope="session")
def shared_engine(_database: Any) -> Engine:
    """A migrated database of each kind, as the tests before left it."""
    with _database.app.app_context():
        return db.engine


@pytest.fixture
def office(shared_engine: Engine) -> Iterator[Office]:
    """A partner that works from 8:00 to 18:00 every day."""
    office = Office(shared_engine, hours=(8 * 60, 18 * 60))
    yield office
    office.close()


@pytest.fixture
def neighbour(shared_engine: Engine) -> Iterator[Office]:
    """Another partner in the same database."""
    office = Office(shared_engine)
    yield office
    office.close()
