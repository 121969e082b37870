"""Text of `plan` beyond the list of tasks, and what a run lacks on this machine."""

from __future__ import annotations

from dataclasses import replace

from harness import plugins
from harness.cli.planning import lacking, plan_lines
from harness.suite.environments import Need
from harness.venvs import VirtualEnvironment
from tests.factories import case, stored

SUITE = stored([case(), case("int8"), case(engine="tensorflow", device="gpu")], []).header.suite
MISSING = Need(
    VirtualEnvironment("torch", "/box/.venv-torch", False, False, ("engine torch",), (), "make torch"), (SUITE.cases[0].case_id,)
)
INSTALLED = Need(replace(MISSING.environment, installed=True), MISSING.case_ids)


def lines(need, cached=()):
    return list(plan_lines(SUITE, plugins.catalogue(), cached, [need]))


def test_cases_are_counted_by_device_and_environments_named():
    """With the command that sets up one that is missing; installation and builds are apart from the duration."""
    first, *_, quick, _, _ = lines(MISSING)
    assert "3 cases (2 on cpu, 1 on gpu)" in first
    assert "  environment  torch: missing: set it up with `make torch` (1 of 3 cases need it)" in lines(MISSING)
    assert quick.endswith("about 1 minute, and 1 for the builds, and the installation of torch")
    cached = {build.build_id for build in SUITE.builds}
    *_, environment, quick, _, _ = lines(INSTALLED, cached)
    assert environment.endswith("torch: installed in /box/.venv-torch (1 of 3 cases need it)") and quick.endswith(" 1 minute")


def test_what_is_lacking_has_its_number_of_cases_and_the_next_step():
    """A device without a sensor and an environment that is not installed; nothing on a machine that has both."""
    device, environment = lacking(SUITE, {"cpu"}, [MISSING])
    assert device[0] == 1 and "no sensor finds a device gpu here, on which 1 of 3 cases run" in device[1]
    assert "`--device cpu` runs the other 2" in device[2] and "`--device gpu` runs them without energy" in device[2]
    assert environment == (1, "the environment torch is not installed, which 1 of 3 cases need", "set it up with `make torch`")
    assert list(lacking(SUITE, {"cpu", "gpu"}, [INSTALLED])) == []
