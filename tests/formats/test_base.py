"""The interface of a model format."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.formats.base import FIRST_PACKAGES, Format, Imported
from harness.schema import FormatSpec


class Opaque(Format):
    """A format that can only be imported."""

    spec = FormatSpec(name="opaque")

    def import_model(self, request):
        """Nothing to check."""
        return Imported(request.source, None)


def test_what_a_format_does_not_read_is_unknown(tmp_path):
    """Inputs are an error with the next step; types and stored inputs are None."""
    assert Opaque().stored_types(tmp_path) is None and Opaque().stored_inputs(tmp_path) is None
    with pytest.raises(EngineError, match="'opaque' cannot be read"):
        Opaque().inputs(tmp_path)


def test_every_format_of_ours_is_recognised_by_one_suffix_or_file():
    """No suffix belongs to two formats, and what is stored otherwise is stored as a known format."""
    formats = plugins.catalogue().formats
    suffixes = [suffix for spec in formats.values() for suffix in spec.suffixes]
    assert len(suffixes) == len(set(suffixes)) and all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
    assert all(spec.stored_as is None or spec.stored_as in formats for spec in formats.values())


@pytest.mark.parametrize("name", ["keras", "h5", "savedmodel", "onnx", "tflite"])
def test_the_ids_of_first_builds_are_kept(name):
    """They are hashes of these packages: artifacts that were cached before are used."""
    assert plugins.catalogue().formats[name].packages == FIRST_PACKAGES
