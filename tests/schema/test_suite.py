"""Parts of a resolved suite."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.schema import ArrayRef, Build, Case, DataRef, DataSource, Limits, Step, Task
from tests.tasks import CASE

ARRAY = ArrayRef(path="/here/d.npz", key="x", sha256="h")
BUILD = Build(build_id="b", model="m", step=Step(recipe="train"), format="keras", lineage=("train", "int8"))


def test_data_are_equal_on_another_machine():
    """Their content has no paths, and no source where there is none."""
    there = ARRAY.model_copy(update={"path": "/there/d.npz"})
    assert DataRef(inputs=(ARRAY,), labels=ARRAY).content() == DataRef(inputs=(there,), labels=there).content()
    assert "source" not in DataRef(inputs=(ARRAY,)).content()


def test_labels_come_with_arrays_or_with_a_source():
    """The options of the source state which."""
    assert DataRef(inputs=(ARRAY,), labels=ARRAY).labelled and not DataRef(inputs=(ARRAY,)).labelled
    source = DataSource(kind="csv", path="/d.csv", sha256="h", labelled=False)
    assert not DataRef(source=source).labelled


def test_a_task_identifies_its_record():
    """A case by its id and the build whose artifact it runs."""
    case, build = Task(case=CASE, block=2, repetition=1), Task(build=BUILD)
    assert (case.name, build.name) == ("null", "build m > train > int8")
    assert case.identity == {"task": "case", "case_id": "null", "build_id": "-", "block": 2, "repetition": 1, "attempt": 1}
    assert (build.identity["task"], build.identity["case_id"], build.identity["build_id"]) == ("build", None, "b")


@pytest.mark.parametrize("wrong", [{"timeout_s": "60"}, {"timeout_s": 0}, {"memory_bytes": 1}, {"memory": 2**30}])
def test_limits_are_checked(wrong):
    """A number in quotes, an impossible one, an unknown name."""
    with pytest.raises(ValidationError):
        Limits(**wrong)


def test_a_case_of_an_older_run_was_timed_by_its_device():
    """Outside on the CPU, inside elsewhere, one query at a time: what the harness did before it was a choice."""
    old = CASE.model_dump(exclude={"copies", "in_flight"})
    assert [(c.copies, c.in_flight) for c in (Case(**old), Case(**old | {"device": "gpu"}))] == [("outside", 1), ("inside", 1)]
    assert Case(**old | {"copies": "inside"}).copies == "inside"
