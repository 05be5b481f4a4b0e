"""Fixtures of the whole house."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A store and an executor over a fresh project folder, in this process."""
    async with house(tmp_path) as running:
        yield running
