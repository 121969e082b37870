"""A suite file is read."""

from __future__ import annotations

import pytest

from harness.errors import SuiteError
from harness.suite import load_suite
from tests.catalogue import CATALOGUE


def test_a_file_that_is_not_a_suite_is_an_error(tmp_path):
    """A missing file, a folder, a file that is not text."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SuiteError):
            load_suite(path, CATALOGUE)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(SuiteError, match="UTF-8"):
        load_suite(tmp_path / "x.yaml", CATALOGUE)
