"""Build steps."""

from __future__ import annotations

from harness.schema import Build, Prepares, Step, Target


def test_a_build_of_an_older_run_runs_anywhere():
    """Stored builds have no target."""
    stored = {"build_id": "b", "model": "m", "step": {"recipe": "source"}, "format": "onnx"}
    assert Build.model_validate(stored).target is None


def test_a_target_survives_storage():
    """With what it depends on, None among it."""
    target = Target(engine="e", device="gpu", batch_size=1, threads=1, depends_on={"driver": "580.65", "tensorrt": None})
    build = Build(build_id="b", model="m", step=Step(recipe="tensorrt"), format="tensorrt", target=target)
    assert Build.model_validate_json(build.model_dump_json()) == build


def test_an_engine_prepares_for_cards_unless_it_declares_other_devices():
    """All cases on them, if no options are declared."""
    assert (Prepares(format="plan").devices, Prepares(format="plan").options) == (("gpu",), {})
