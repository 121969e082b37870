"""What `harness plan` prints: builds, cases, unsupported cells, environments and durations; and what a run lacks on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.summary import minutes
from harness.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from harness.schema import Catalogue, Suite
    from harness.suite.environments import Need


def plan_lines(suite: Suite, catalogue: Catalogue, cached: Collection[str], needed: Sequence[Need]) -> Iterator[str]:
    """The tasks of a suite, what it needs, and the expected duration for each profile.

    Args:
        suite: The resolved suite.
        catalogue: Installed plug-ins.
        cached: Ids of the builds in the cache.
        needed: Separate environments that it needs.
    """
    from harness.run.plan import build_s, expected_s, needed_builds
    from harness.schema import PROFILES
    from harness.suite.options import applied_text

    builds = needed_builds(suite, cached)
    missing = [build for build in builds if build.build_id not in cached]
    yield f"{suite.name}: {counted(len(suite.cases), 'case')}{_by_device(suite)}, {counted(len(builds), 'build')}, in the cache: {len(builds) - len(missing)}"
    for build in builds:
        yield f"  build  {'cached ' if build.build_id in cached else ''}{build.model}: {' > '.join(build.lineage)}"
    for case in suite.cases:
        applied = applied_text(case, catalogue)
        yield f"  case   {case.case_id}{f' ({case.engine} applies {applied})' if applied else ''}"
    for pair in suite.impossible:
        yield f"  unsupported  {pair.case_id}: {pair.reason}"
    for need in needed:
        yield f"  environment  {_environment(need, len(suite.cases))}"
    to_install = [need.environment.name for need in needed if not need.environment.installed]
    apart = [
        *([f"{minutes(sum(build_s(build, catalogue) for build in missing))} for the builds"] if missing else []),
        *([f"the installation of {', '.join(to_install)}"] if to_install else []),
    ]
    for profile in PROFILES.values():
        duration = minutes(*expected_s(suite, profile, catalogue))
        yield f"{profile.name}: about {duration} minute{'' if duration == '1' else 's'}{''.join(f', and {each}' for each in apart)}"


def _by_device(suite: Suite) -> str:
    """Number of cases on each device, if any is not on the CPU."""
    counts = {device: sum(case.device == device for case in suite.cases) for device in sorted({case.device for case in suite.cases})}
    return f" ({', '.join(f'{count} on {device}' for device, count in counts.items())})" if set(counts) - {"cpu"} else ""


def _environment(need: Need, cases: int) -> str:
    """An environment, whether it is installed, and how many cases need it."""
    here = need.environment
    state = f"missing: set it up with `{here.setup}`" if not here.installed else f"installed in {here.folder}"
    return f"{here.name}: {state} ({len(need.case_ids)} of {counted(cases, 'case')} need it)"


def lacking(suite: Suite, present: Collection[str], needed: Sequence[Need]) -> Iterator[tuple[int, str, str]]:
    """What a suite needs and this machine lacks: number of its cases, what is lacking, and the next step.

    Args:
        suite: The resolved suite.
        present: Devices that this machine has, or that the user names.
        needed: Separate environments that the suite needs.
    """
    for device in sorted({case.device for case in suite.cases} - set(present)):
        count = sum(case.device == device for case in suite.cases)
        others = ", ".join(sorted({case.device for case in suite.cases} & set(present)))
        rest = f"; `--device {others}` runs the other {len(suite.cases) - count}" if others and "," not in others else ""
        hint = f"run `harness doctor` for the reason{rest}; `--device {device}` runs them without energy if their engine finds the device"
        yield count, f"no sensor finds a device {device} here, on which {_share(count, suite)} run", hint
    for need in needed:
        if not need.environment.installed:
            count = len(need.case_ids)
            what = f"the environment {need.environment.name} is not installed, which {_share(count, suite)} need"
            yield count, what, f"set it up with `{need.environment.setup}`"


def _share(count: int, suite: Suite) -> str:
    return f"all {count} cases" if count == len(suite.cases) else f"{count} of {len(suite.cases)} cases"
