"""What a child is started with: the case's own, and what its variant promises."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.orders import case_order
from harness.schema import Artifact
from harness.suite import load_suite


@pytest.mark.parametrize(
    ("variant", "precision"),
    [
        ("dense", None),
        ("float16", None),
        ("int8", "int8"),
        ("dynamic_int8", "int8"),
        ("[{prune: {}}, int8]", "int8"),
        ("{prune: {}}", None),
    ],
)
def test_the_order_says_what_the_variant_promises_to_run_in(tmp_path, variant, precision):
    """Of a chain the last step that promises anything; float16 keeps its weights small and promises nothing."""
    path = tmp_path / "suite.yaml"
    path.write_text(f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [litert], variants: [{variant}]}}\n")
    suite = load_suite(path, plugins.catalogue())
    case = suite.cases[0]
    made = {b.build_id: Artifact(build_id=b.build_id, format=b.format, path=str(tmp_path), sha256="-", bytes=1) for b in suite.builds}
    assert case_order(case, suite, made, 2**30).precision == precision
