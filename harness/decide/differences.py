"""Stored runs of several machines -> what is not the same on them, and whether they may be compared all the same.

What forbids a comparison is what would put another cause than the machine behind a ratio, and could have been made equal: another suite
or profile is other work or another measurement; another scope or kind sums other rails or is no measurement; a cap, a governor, turbo or
a maximum, set or locked clock, ECC or TF32 on a card of the same name, or another share of the default power limit, is a setting and not the machine; another version
of an engine that ran the cases, or of the harness, is other software, which can be installed alike.

What is only named may explain a ratio but comes with the machine or cannot be made equal: driver, kernel, system, python, other packages,
virtualisation, temperature, clocks under load, the PCIe link, calibration, the model file built anew on each, the precision an engine chose, something told on one and not
on the other. Host, CPU and card are the point of the comparison: they are printed, and are no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.decide.compare import aligned
from harness.energy.clock_limits import card_of
from harness.energy.scope import host_first
from harness.errors import HarnessError
from harness.frame.results import Result, known, mean
from harness.schema import Domain, Environment, StoredRun

WARMER_K = 5.0
"""From which difference of mean temperatures it is named."""

ROOT_ONLY = "CVE-2020-8694"
"""Since its repair the counters are readable by root alone."""

CLOCKS_APART = 0.02
"""From which relative difference of mean clocks under load it is named."""

MOST = 5
"""Cases that one run lacks which are named."""


@dataclass(frozen=True)
class Difference:
    """Something that is not the same on all machines.

    Attributes:
        what: Its name.
        values: One per run, as text; `not known` where a run does not tell.
        forbids: Whether the machines may not be compared because of it.
        why: One clause.
    """

    what: str
    values: tuple[str, ...]
    forbids: bool
    why: str


def differences(runs: Sequence[StoredRun]) -> list[Difference]:
    """What is not the same on all machines, what forbids the comparison first.

    Args:
        runs: The base, then the others.

    Raises:
        HarnessError: There are fewer than two, or one holds no environment.
    """
    if len(runs) < 2:
        raise HarnessError("a comparison needs two runs", "harness compare RUN RUN")
    found = [
        *_of_headers(runs),
        *_of_settings(runs),
        *_of_software(runs),
        *_of_cards(runs),
        *_under_load(runs),
        *_of_packages(runs),
        *_of_cases(runs),
        *_temperature(runs),
    ]
    other_energy = any(each.forbids and each.what.startswith("energy ") for each in found)
    found += _of_permissions(runs, forbids=other_energy)
    return sorted(found, key=lambda each: not each.forbids)


def cards(environment: Environment) -> dict[str, dict[str, Any]]:
    """What the sensors told of each accelerator, by its domain; the processor's own zones are none."""
    return {d["domain"]: d for d in environment.devices if d.get("name") and d.get("domain") and "zone" not in d}


# --- differences -----------------------------------------------------------------------------------------------------


def _difference(what: str, values: Iterable[Any], why: str, *, forbids: bool) -> Iterator[Difference]:
    """Nothing where they are equal; what one does not tell is no difference that is known, so it forbids nothing."""
    values = list(values)
    told = {str(v) for v in values if v is not None}
    if len({str(v) for v in values}) > 1:
        shown = tuple("not known" if v is None else str(v) for v in values)
        yield Difference(what, shown, forbids and len(told) > 1, why if len(told) > 1 else f"{why}; not known on all")


def _of_headers(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    headers = [run.header for run in runs]
    yield from _difference("suite", (h.suite.sha256[:12] for h in headers), "other work", forbids=True)
    profiles = [h.profile.model_dump() for h in headers]
    for name in profiles[0]:
        values = ("none" if p[name] is None else p[name] for p in profiles)  # no target is one way to measure
        yield from _difference(f"profile: {name}", values, "measured in another way", forbids=True)
    yield from _difference("harness", (h.harness_version for h in headers), "another version may measure in another way", forbids=True)
    yield from _difference("harness commit", (h.commit for h in headers), "code of the same version", forbids=False)
    grids = (f"{h.grid.country} {h.grid.year} {h.grid.g_per_kwh:g} g/kWh" if h.grid else None for h in headers)
    yield from _difference("grid", grids, "the buyer's table uses one for all", forbids=False)


def _environments(runs: Sequence[StoredRun]) -> list[Environment]:
    """The last of each run."""
    if lacking := [run.header.run_id for run in runs if not run.header.environments]:
        raise HarnessError(f"{lacking[0]} does not hold its environment", "run the suite again on that machine")
    return [run.header.environments[-1] for run in runs]


def _of_settings(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    found = _environments(runs)
    for run in runs:
        if len({e.environment_id for e in run.header.environments}) > 1:
            yield Difference("environment", (run.header.run_id,), True, "the run itself was made on more than one")
    if len({e.environment_id for e in found}) < len(found):
        yield Difference("environment", tuple(e.environment_id for e in found), False, "the same machine more than once")
    settings: dict[str, Callable[[Environment], Any]] = {"governor": lambda e: e.governor, "turbo": lambda e: e.turbo}
    for what, of in settings.items():
        yield from _difference(what, map(of, found), "sets the clock, and is no part of the machine", forbids=True)
    for what in ("os", "kernel", "python", "virtual", "cpu_limit"):
        yield from _difference(what, (getattr(e, what) for e in found), "comes with the machine", forbids=False)


def _of_software(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    from harness import plugins

    engines, found = plugins.catalogue().engines, _environments(runs)
    used = {case.engine for run in runs for case in run.header.suite.cases}
    ran = {package for name in used if name in engines for package in engines[name].packages}
    for name in sorted({name for e in found for name in e.versions}):
        why = "an engine that ran the cases" if name in ran else "no engine that ran the cases"
        yield from _difference(name, (e.versions.get(name) for e in found), why, forbids=name in ran)


def _of_cards(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Caps, clocks and drivers of the card that cases ran on, whichever it is of its box."""
    for name in _accelerators(runs):
        own = [cards(e).get(_card(run, name) or "", {}) for run, e in zip(runs, _environments(runs), strict=True)]
        same = len({c.get("name") for c in own}) == 1
        shares = [_capped(c) for c in own]
        yield from _difference(f"{name} power cap, of the default", shares, "a cap is a setting", forbids=True)
        why = "a cap is a setting, and its default is not known" if same and None in shares else "comes with the card"
        yield from _difference(f"{name} power limit, W", (c.get("power_limit_w") for c in own), why, forbids=same and None in shares)
        for key in ("sm_clock_max_hz", "memory_clock_max_hz"):
            why = "a clock is a setting" if same else "of another card"
            yield from _difference(f"{name} {key}", (c.get(key) for c in own), why, forbids=same)
        yield from _difference(f"{name} driver", (c.get("driver") for c in own), "a card wants its own", forbids=False)
        yield from _settings_of_cards(name, own, same=same)
        yield from _difference(f"{name} mig", (c.get("mig") for c in own), "a part of a card draws the whole card's power", forbids=True)


def _settings_of_cards(name: str, own: Sequence[dict[str, Any]], *, same: bool) -> Iterator[Difference]:
    """Clocks that were set, ECC and the PCIe link of one card on each machine.

    Args:
        name: Of the card.
        own: Its facts on each machine.
        same: Whether the cards have one name, so that what differs was set.
    """
    set_by = "a clock is a setting" if same else "of another card"
    for key in ("sm_clock_application_hz", "memory_clock_application_hz"):
        yield from _difference(f"{name} {key}", (c.get(key) for c in own), set_by, forbids=same)
    why = "a setting: it costs memory, bandwidth and power" if same else "of another card"
    states = {True: "on", False: "off"}
    yield from _difference(f"{name} ECC", (states.get(c.get("ecc")) for c in own), why, forbids=same)  # type: ignore[arg-type]
    links = (_link(c.get("pcie_generation_max"), c.get("pcie_width_max")) for c in own)
    yield from _difference(f"{name} PCIe link, at most", links, "comes with the machine", forbids=False)
    for key in ("compute_capability", "cuda_driver_version", "persistence"):
        yield from _difference(f"{name} {key}", (c.get(key) for c in own), "comes with the card or its driver", forbids=False)


def _link(generation: Any, width: Any) -> str | None:
    return None if generation is None or width is None else f"generation {generation:.0f} x{width:.0f}"


def _under_load(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """What the cards did while cases ran on them: clocks that ran apart, clocks that were held, the PCIe link."""
    for device in _accelerators(runs):

        def means(what: str, device: str = device) -> list[float | None]:
            return [_mean_condition(run, f"{_card(run, device)} {what}", device) for run in runs]

        for clock in ("sm_clock", "memory_clock"):
            found = means(clock)
            if None not in found and max(known(found)) > (1 + CLOCKS_APART) * min(known(found)):
                shown = tuple(f"{value / 1e6:.0f} MHz" for value in known(found))
                yield Difference(f"{device} {clock} in the windows", shown, False, "the card chose it, or its clock was held")
        held = (None if share is None else "set" if share > 0.5 else "free" for share in means("clocks_set"))
        yield from _difference(f"{device} clocks", held, "applications or locked clocks are a setting", forbids=True)
        links = (_link(*each) for each in zip(means("pcie_generation"), means("pcie_width"), strict=True))
        yield from _difference(f"{device} PCIe link in the windows", links, "comes with the machine", forbids=False)


def _accelerators(runs: Sequence[StoredRun]) -> list[str]:
    """The devices that some case ran on, beside the processor."""
    return sorted({case.device for run in runs for case in run.header.suite.cases} - {"cpu"})


def _card(run: StoredRun, device: str) -> str | None:
    """The domain of the accelerator that cases on a device ran on."""
    return next((card_of(d.name) for d in run.header.domains if d.device == device), None)


def _mean_condition(run: StoredRun, name: str, device: str | None = None) -> float | None:
    """Mean of a condition over the windows of the cases that are ok; null where none holds it.

    Args:
        run: One of those compared.
        name: Of the condition.
        device: Of the cases; null: of all.
    """
    cases = {case.case_id for case in run.header.suite.cases if device in (None, case.device)}
    return mean(known(r.conditions.get(name) for r in run.records if r.status == "ok" and r.task == "case" and r.case_id in cases))


def _of_packages(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Caps of the processor's own domains."""
    found = _environments(runs)
    own = [{d["domain"]: d.get("power_limit_w") for d in e.devices if d.get("domain") and "zone" in d} for e in found]
    same = len({e.cpu for e in found}) == 1
    for name in sorted({name for each in own for name in each}):
        why = "a cap is a setting" if same else "of another processor"
        yield from _difference(f"{name} power cap, W", (each.get(name) for each in own), why, forbids=same)


def _capped(card: dict[str, Any]) -> str | None:
    limit, default = card.get("power_limit_w"), card.get("power_limit_default_w")
    return f"{limit / default:.2f}" if limit and default else None


def _of_cases(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """What each case has in common, told once for the cases that share the same difference."""
    cases = aligned(runs)
    common = [case_id for case_id in cases[0] if all(case_id in each for each in cases)]
    for run, own in zip(runs, cases, strict=True):
        lacking = list(dict.fromkeys(i for each in cases for i in each if i not in own))
        if lacking:
            rest = f" and {len(lacking) - MOST} more" if len(lacking) > MOST else ""
            named = "; ".join(lacking[:MOST]) + rest
            yield Difference("case" if len(lacking) == 1 else "cases", (named,), False, f"not measured in {run.header.run_id}, so left out")
    if not common:
        yield Difference("cases", tuple(str(len(each)) for each in cases), True, "none was measured in every run")
    facts: dict[str, tuple[Callable[[Result], Any], str, bool]] = {
        "energy scope": (lambda r: "+".join(sorted(r.rails)) or None, "other rails are summed, and they have none in common", True),
        "energy kind": (lambda r: r.kind, "other evidence", True),
        "power reading": (_reading, "it is a mean over another time", True),
        "calibrated": (_calibrated, "the intervals hold it", False),
        "model file": (lambda r: r.ok[-1].artifact.sha256[:12] if r.ok[-1].artifact else None, "built anew on each", False),
        "TF32": (_tf32, "float32 products in another precision: a setting", True),
        "precision": (lambda r: next((k.precision_ran for k in r.ok if k.precision_ran), None), "what the engine chose there", False),
    }
    yield from _cut(cases, common)
    for what, (of, why, forbids) in facts.items():
        told = {d: i for i in reversed(common) for d in _difference(what, (of(each[i]) for each in cases), why, forbids=forbids)}
        for difference, first in told.items():
            yield Difference(f"{what} ({first}{', ...' if len(common) > 1 else ''})", difference.values, difference.forbids, why)


def _cut(cases: Sequence[Mapping[str, Result]], common: Sequence[str]) -> Iterator[Difference]:
    """Cases whose energies sum other rails on one machine than on another, and what they are compared over."""
    cut = {}
    for case_id in reversed(common):
        own = [each[case_id] for each in cases]
        if own[0].only is not None:
            whole = tuple(replace(r, only=None).scope_label or "not known" for r in own)
            cut[whole, "+".join(sorted(own[0].only, key=host_first))] = case_id
    for (whole, left), first in cut.items():
        several = ", ..." if len(common) > 1 else ""
        yield Difference(f"energy scope ({first}{several})", whole, False, f"compared over the widest common scope: {left}")


def _summed(result: Result) -> list[Domain]:
    """The domains of the scope."""
    names = (result.scope or "").split("+")
    return [d for d in result.run.header.domains if d.name in names]


def _reading(result: Result) -> str | None:
    """Which of a card's power readings was sampled; null where a counter or nothing was."""
    return "+".join(str(d.detail["reading"]) for d in _summed(result) if d.detail.get("reading")) or None


def _tf32(result: Result) -> str | None:
    """Whether TensorFloat-32 was allowed; null where the engine does not report it, as on a CPU."""
    found = next((r.engine_facts["tf32"] for r in result.ok if r.engine_facts.get("tf32") is not None), None)
    return None if found is None else "on" if found else "off"


def _calibrated(result: Result) -> str:
    return "+".join(d.name for d in _summed(result) if d.detail.get("calibration")) or "no"


def _of_permissions(runs: Sequence[StoredRun], *, forbids: bool) -> Iterator[Difference]:
    """RAPL counters that one run could read and another was refused: why their scopes differ."""
    values = tuple(map(_rapl, runs))
    if any("root-only" in value for value in values) and len(set(values)) > 1:
        why = (
            "RAPL is root-only on stock kernels, so a run as root and a run as a user get different scopes: "
            "run both alike, or grant access with the udev rule that `harness doctor` prints on that machine"
        )
        yield Difference("RAPL counters", values, forbids, why)


def _rapl(run: StoredRun) -> str:
    """Whether the counters were readable; the sensor's message names the reason of a refusal by its number, in old runs too."""
    left_out = [str(d.get("left_out", "")) for e in run.header.environments[-1:] for d in e.devices]
    refused = any(ROOT_ONLY in text for text in (run.header.unavailable.get("rapl", ""), *left_out))
    if any(d.sensor == "rapl" for d in run.header.domains):
        return "readable, some root-only" if refused else "readable"
    return "root-only" if refused else "not there"


def _temperature(runs: Sequence[StoredRun]) -> Iterator[Difference]:
    """Mean over the measured windows, of each thermometer of the processor and of the card that cases ran on."""
    found = [_thermometers(run, _accelerators(runs)) for run in runs]
    for name in sorted({name for each in found for name in each}) or ["temperature"]:
        values = [_mean_condition(run, each.get(name, name)) for run, each in zip(runs, found, strict=True)]
        shown = tuple("not known" if v is None else f"{v:.0f} degC" for v in values)
        if None in values or max(known(values)) - min(known(values)) > WARMER_K:
            yield Difference(name, shown, False, "cooling is part of the machine, the room is not")


def _thermometers(run: StoredRun, accelerators: Sequence[str]) -> dict[str, str]:
    """Names of a run's temperatures, by what they are called on every machine."""
    found = [d for d in run.header.domains if d.quantity == "temperature" and d.device in ("cpu", *accelerators)]
    return {d.name if d.device == "cpu" else d.name.replace(card_of(d.name), d.device): d.name for d in found}
