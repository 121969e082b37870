"""A stored run made by hand, and its empty folder."""

from __future__ import annotations

import numpy as np
import pytest

from harness.schema import Trace
from harness.store import Store
from tests import factories

EMPTY = Trace({}, {})
NOTHING = np.zeros((3, 0)), np.zeros(0)


@pytest.fixture(name="run")
def digits_run():
    """A stored run made by hand."""
    return factories.digits()


@pytest.fixture
def store(tmp_path, run):
    """Its folder, without records."""
    return Store.create(tmp_path, run.header)
