"""What the tests of the API ask: two environments, north and south, each on an embedded server of its own."""

import pytest
from tests.fakes.served_gateway import served_from, two_regions


@pytest.fixture
def home(tmp_path):
    return two_regions(tmp_path)


@pytest.fixture
async def served(home):
    async with served_from(home) as served:
        yield served
