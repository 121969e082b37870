"""The interface of an engine that generates text."""

from pathlib import Path

import pytest

from harness.engines.base import Load
from harness.engines.tokens import TokenEngine
from harness.errors import EngineError
from harness.schema import EngineSpec


class Writer(TokenEngine):
    """An engine that generates text."""

    spec = EngineSpec(name="writer", formats=("gguf",), unit="output_token", scenarios=("closed", "poisson"))

    def open_tokens(self, load, requests):
        """Open nothing."""


def test_it_answers_no_queries_of_arrays():
    """Opening it as any other engine is refused, with the scenarios that it has."""
    with pytest.raises(EngineError, match="generates text") as refused:
        Writer().open(Load(Path("/m.gguf"), "gguf", "cpu", 1, 1))
    assert "closed or poisson" in str(refused.value)
