"""Translation of Keras 3 models to legacy Keras, in the toolkit's environment."""

from __future__ import annotations

import pytest

from harness import venvs
from tests.variants.made import toolkit

needs_toolkit = pytest.mark.skipif(not (venvs.folder("tfmot") / "bin/python").exists(), reason="make tfmot")


@pytest.mark.slow
@needs_toolkit
def test_models_are_the_same_in_legacy_keras_or_are_refused():
    """Sequential, shared, nested, recurrent; a layer or function that legacy Keras lacks is named."""
    graphs = toolkit()["graphs"]
    assert {graphs[name] for name in ("sequential", "shared", "recurrent")} == {"same"}
    assert "'odd'" in graphs["unknown layer"] and "RMSNormalization" in graphs["unknown layer"]
    assert "'hard'" in graphs["unknown function"]
