"""Differences between runs of several machines, and whether they prevent a comparison.

A difference prevents a comparison if it is another cause of a ratio than the machine and could have been avoided: another suite or
profile is other work or another measurement; another scope or kind sums other rails or is not a measurement; a cap, a governor, turbo, a
maximum, set or locked clock, ECC or TF32 on a card of the same name, or another share of the default power limit is a setting; another
version of the harness or of an engine that ran the cases is other software.

Other differences may explain a ratio but belong to the machine or cannot be avoided: driver, kernel, system, Python, other packages,
virtualisation, temperature, clocks under load, the PCIe link, calibration, model files built on each machine, the precision an engine
chose, and everything reported by only one of the machines. Host, CPU and card are what is compared, and no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.decide.compare import aligned
from harness.energy.clock_limits import card_of
from harness.energy.scope import for_card, host_first
from harness.errors import HarnessError
from harness.frame.results import Result, calibrated, known, mean, tf32
from harness.schema import Environment, StoredRun

WARMER_K = 5.0
"""Difference of mean temperatures above which it is listed, in kelvin."""
CLOCKS_APART = 0.02
"""Relative difference of mean clocks under load above which it is listed."""
ROOT_ONLY = "CVE-2020-8694"
"""Named by the sensor if only root may read the RAPL counters, as since the fix of this vulnerability."""


@dataclass(frozen=True)
class Difference:
    """A property that is not the same on all machines.

    Attributes:
        name: Name of the property.
        values: One value per run, None if unknown; or the runs or cases concerned.
        reason: Code of why it matters or does not: a key of `harness.report.differences.REASONS`.
        prevents: Whether the machines are not comparable because of it.
        unit: Unit of the values.
        cases: Cases concerned, if it is a property of cases.
        detail: Value for the text of the reason.
    """

    name: str
    values: tuple[Any, ...]
    reason: str
    prevents: bool = False
    unit: str = ""
    cases: tuple[str, ...] = ()
    detail: str = ""

    @property
    def is_known(self) -> bool:
        """Whether two machines report different values, rather than some report none."""
        return len({str(value) for value in self.values if value is not None}) > 1


def differences(runs: Sequence[StoredRun]) -> list[Difference]:
    """Differences between the runs, those that prevent a comparison first.

    Args:
        runs: The base, then the others.

    Raises:
        HarnessError: There are fewer than two, or one does not store its environment.
    """
    if len(runs) < 2:
        raise HarnessError(
            "a comparison needs two runs", "use `harness compare RUN RUN`, or a single run whose suite names several cards (gpu:UUID)"
        )
    listed = [
        *_headers(runs),
        *_machines(runs),
        *_software(runs),
        *_cards(runs),
        *_under_load(runs),
        *_package_caps(runs),
        *_cases(runs),
        *_temperatures(runs),
    ]
    other_energy = any(each.prevents and each.name.startswith("energy ") for each in listed)
    return sorted([*listed, *_permissions(runs, prevents=other_energy)], key=lambda each: not each.prevents)


def cards(environment: Environment) -> dict[str, dict[str, Any]]:
    """Facts of each accelerator as reported by the sensors, by domain; without the processor's zones."""
    return {d["domain"]: d for d in environment.devices if d.get("name") and d.get("domain") and "zone" not in d}


def _difference(name: str, values: Iterable[Any], reason: str, *, prevents: bool = False, detail: str = "") -> Iterator[Difference]:
    """Nothing if the values are equal; a value that is unknown prevents nothing."""
    difference = Difference(name, tuple(values), reason, detail=detail)
    if len(set(map(str, difference.values))) > 1:
        yield replace(difference, prevents=prevents and difference.is_known)


def _headers(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    headers = [run.header for run in runs]
    yield from _difference("suite", (h.suite.sha256[:12] for h in headers), "other_work", prevents=True)
    profiles = [h.profile.model_dump() for h in headers]
    for name in profiles[0]:
        values = ("none" if p[name] is None else p[name] for p in profiles)  # without a target it is measured in another way
        yield from _difference(f"profile: {name}", values, "other_method", prevents=True)
    yield from _difference("harness", (h.harness_version for h in headers), "other_version", prevents=True)
    yield from _difference("harness commit", (h.commit for h in headers), "other_commit")
    grids = (f"{h.grid.country} {h.grid.year} {h.grid.g_per_kwh:g} g/kWh" if h.grid else None for h in headers)
    yield from _difference("grid", grids, "one_grid")


def _environments(runs: Sequence[StoredRun]) -> list[Environment]:
    """Last environment of each run."""
    if missing := [run.header.run_id for run in runs if not run.header.environments]:
        raise HarnessError(f"{missing[0]} does not store its environment", "run the suite again on that machine")
    return [run.header.environments[-1] for run in runs]


def _machines(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    environments = _environments(runs)
    for run in runs:
        if len({e.environment_id for e in run.header.environments}) > 1:
            yield Difference("environment", (run.header.run_id,), "several_environments", prevents=True)
    ids = [e.environment_id for e in environments]
    if len(set(ids)) < len(ids):
        yield Difference("environment", tuple(ids), "same_machine")
    for name in ("governor", "turbo"):
        yield from _difference(name, (getattr(e, name) for e in environments), "clock_setting", prevents=True)
    for name in ("os", "kernel", "python", "virtual", "cpu_limit"):
        yield from _difference(name, (getattr(e, name) for e in environments), "machine")


def _software(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    from harness import plugins

    engines, environments = plugins.catalogue().engines, _environments(runs)
    used = {case.engine for run in runs for case in run.header.suite.cases}
    ran = {package for name in used if name in engines for package in engines[name].packages}
    for name in sorted({name for e in environments for name in e.versions}):
        reason = "engine" if name in ran else "not_an_engine"
        yield from _difference(name, (e.versions.get(name) for e in environments), reason, prevents=name in ran)


def _cards(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Caps, clocks, drivers and settings of the card that cases ran on, whichever card of its machine it is."""
    for device in _accelerators(runs):
        facts = [cards(e).get(_card(run, device) or "", {}) for run, e in zip(runs, _environments(runs), strict=True)]
        same = len({card.get("name") for card in facts}) == 1

        def compared(
            label: str, key: str, reason: str, *, prevents: bool = False, of: Any = facts, at: str = device
        ) -> Iterator[Difference]:
            return _difference(f"{at} {label}", (card.get(key) for card in of), reason, prevents=prevents)

        shares = [_share_of_default(card) for card in facts]
        yield from _difference(f"{device} power cap, of the default", shares, "cap", prevents=True)
        limit = same and None in shares
        yield from compared("power limit, W", "power_limit_w", "cap_without_default" if limit else "card", prevents=limit)
        for key in ("sm_clock_max_hz", "memory_clock_max_hz"):
            yield from compared(key, key, "clock" if same else "other_card", prevents=same)
        yield from compared("driver", "driver", "driver")
        for key in ("sm_clock_application_hz", "memory_clock_application_hz"):
            yield from compared(key, key, "clock" if same else "other_card", prevents=same)
        yield from compared("ECC", "ecc", "ecc" if same else "other_card", prevents=same)
        links = (_link(card.get("pcie_generation_max"), card.get("pcie_width_max")) for card in facts)
        yield from _difference(f"{device} PCIe link, maximum", links, "machine")
        for key in ("compute_capability", "cuda_driver_version", "persistence"):
            yield from compared(key, key, "card_or_driver")
        yield from compared("mig", "mig", "mig", prevents=True)


def _share_of_default(card: dict[str, Any]) -> str | None:
    limit, default = card.get("power_limit_w"), card.get("power_limit_default_w")
    return f"{limit / default:.2f}" if limit and default else None


def _link(generation: Any, width: Any) -> str | None:
    return None if generation is None or width is None else f"generation {generation:.0f} x{width:.0f}"


def _under_load(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Clocks, locked clocks and PCIe link of the cards while cases ran on them."""
    for device in _accelerators(runs):

        def means(name: str, device: str = device) -> list[float | None]:
            return [_mean_condition(run, f"{_card(run, device)} {name}", device) for run in runs]

        for clock in ("sm_clock", "memory_clock"):
            clocks = means(clock)
            if None not in clocks and max(known(clocks)) > (1 + CLOCKS_APART) * min(known(clocks)):
                yield Difference(
                    f"{device} {clock} in the windows", tuple(hz / 1e6 for hz in known(clocks)), "clock_under_load", unit="MHz"
                )
        held = (None if share is None else "set" if share > 0.5 else "free" for share in means("clocks_set"))
        yield from _difference(f"{device} clocks", held, "locked_clocks", prevents=True)
        links = (_link(*each) for each in zip(means("pcie_generation"), means("pcie_width"), strict=True))
        yield from _difference(f"{device} PCIe link in the windows", links, "machine")


def _accelerators(runs: Sequence[StoredRun]) -> list[str]:
    """Devices of the cases other than the CPU, as their ids have them: one for each card that the suite chose."""
    return sorted({case.device_text for run in runs for case in run.header.suite.cases} - {"cpu"})


def _card(run: StoredRun, device: str) -> str | None:
    """Domain of the accelerator that cases on a device (`Case.device_text`) ran on."""
    own = next(((case.device, case.card) for case in run.header.suite.cases if case.device_text == device), (device, None))
    return next((card_of(d.name) for d in for_card(run.header.domains, own[1]) if d.device == own[0]), None)


def _mean_condition(run: StoredRun, name: str, device: str | None = None) -> float | None:
    """Mean of a condition over the windows of completed cases on a device, by default on any; None if not recorded."""
    cases = {case.case_id for case in run.header.suite.cases if device in (None, case.device_text)}
    return mean(known(r.conditions.get(name) for r in run.records if r.status == "ok" and r.task == "case" and r.case_id in cases))


def _package_caps(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    environments = _environments(runs)
    caps = [{d["domain"]: d.get("power_limit_w") for d in e.devices if d.get("domain") and "zone" in d} for e in environments]
    same = len({e.cpu for e in environments}) == 1
    for name in sorted({name for each in caps for name in each}):
        yield from _difference(f"{name} power cap, W", (each.get(name) for each in caps), "cap" if same else "other_cpu", prevents=same)


def _cases(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Cases that one run lacks, and differing properties of cases, each once for all cases with the same values."""
    cases = aligned(runs)
    common = [case_id for case_id in cases[0] if all(case_id in each for each in cases)]
    for run, own in zip(runs, cases, strict=True):
        if missing := dict.fromkeys(case_id for each in cases for case_id in each if case_id not in own):
            yield Difference("case" if len(missing) == 1 else "cases", tuple(missing), "case_missing", detail=run.header.run_id)
    if not common:
        yield Difference("cases", tuple(len(each) for each in cases), "no_common_case", prevents=True)
    yield from _reduced_scopes(cases, common)
    properties: dict[str, tuple[Callable[[Result], Any], str, bool]] = {
        "energy scope": (lambda r: "+".join(sorted(r.rails)) or None, "no_common_scope", True),
        "energy kind": (lambda r: r.kind, "other_kind", True),
        "power reading": (_reading, "other_reading", True),
        "calibrated": (lambda r: calibrated(r.run.header.domains, r.scope) or "no", "calibration", False),
        "model file": (lambda r: r.ok[-1].artifact.sha256[:12] if r.ok[-1].artifact else None, "built_on_each", False),
        "TF32": (tf32, "tf32", True),
        "precision": (lambda r: next((k.precision_ran for k in r.ok if k.precision_ran), None), "engine_choice", False),
    }
    for name, (of, reason, prevents) in properties.items():
        first = {d: i for i in reversed(common) for d in _difference(name, (of(each[i]) for each in cases), reason, prevents=prevents)}
        yield from (replace(difference, cases=_first_of(case_id, common)) for difference, case_id in first.items())


def _first_of(first: str, common: Sequence[str]) -> tuple[str, ...]:
    """The first case, and `...` if there may be more."""
    return (first, "...") if len(common) > 1 else (first,)


def _reduced_scopes(cases: Sequence[Mapping[str, Result]], common: Sequence[str]) -> Iterator[Difference]:
    """Cases whose energies sum other rails on one machine than on another, with the scope that they are compared over."""
    first = {}
    for case_id in reversed(common):
        own = [each[case_id] for each in cases]
        if own[0].only is not None:
            scopes = tuple(replace(r, only=None).scope_label for r in own)
            first[scopes, "+".join(sorted(own[0].only, key=host_first))] = case_id
    for (scopes, left), case_id in first.items():
        yield Difference("energy scope", scopes, "common_scope", cases=_first_of(case_id, common), detail=left)


def _reading(result: Result) -> str | None:
    """Power readings that were sampled; None for counters."""
    names = (result.scope or "").split("+")
    return "+".join(str(d.detail["reading"]) for d in result.run.header.domains if d.name in names and d.detail.get("reading")) or None


def _permissions(runs: Sequence[StoredRun], *, prevents: bool) -> Iterator[Difference]:
    """RAPL counters that one run could read and another could not, which explains their scopes."""
    values = tuple(map(_rapl, runs))
    if any("root-only" in value for value in values):
        yield from (replace(each, prevents=prevents) for each in _difference("RAPL counters", values, "rapl"))


def _rapl(run: StoredRun) -> str:
    """Whether the counters were readable; the sensor's message has the reason of a refusal by its number, in old runs too."""
    left_out = [str(d.get("left_out", "")) for e in run.header.environments[-1:] for d in e.devices]
    refused = any(ROOT_ONLY in text for text in (run.header.unavailable.get("rapl", ""), *left_out))
    if any(d.sensor == "rapl" for d in run.header.domains):
        return "readable, some root-only" if refused else "readable"
    return "root-only" if refused else "not present"


def _temperatures(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Mean over the measured windows of each thermometer of the processor and of the cards that cases ran on."""
    means = [_mean_temperatures(run, _accelerators(runs)) for run in runs]
    for name in sorted({name for each in means for name in each}) or ["temperature"]:
        values = [each.get(name) for each in means]
        if None in values or max(known(values)) - min(known(values)) > WARMER_K:
            yield Difference(name, tuple(values), "cooling", unit="°C")


def _mean_temperatures(run: StoredRun, accelerators: Sequence[str]) -> dict[str, float | None]:
    """Mean temperatures of a run by names shared by all machines; of a card over the cases that ran on it."""
    names = [d.name for d in run.header.domains if d.quantity == "temperature"]
    cpu = [d.name for d in run.header.domains if d.quantity == "temperature" and d.device == "cpu"]
    cards_ = {device: card for device in accelerators if (card := _card(run, device))}
    means = {name: _mean_condition(run, name) for name in cpu}
    for device, card in cards_.items():
        means |= {name.replace(card, device): _mean_condition(run, name, device) for name in names if card_of(name) == card}
    return means
