"""Conditions for starting or resuming a run."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.energy.cards import CAP_TOLERANCE, cap_share
from harness.energy.scope import device_detail, for_card
from harness.errors import SuiteError
from harness.schema import PROFILES, Domain, Environment, Header, Model, Profile, StoredRun, Suite
from harness.store.files import write_error

PROBE_SLACK = 0.02
"""Relative difference allowed between two probes of one counter: a window length named by one is accepted by the next."""


def check_writable(folder: Path) -> None:
    """Check that results can be stored, before anything is built.

    Raises:
        StoreError: The folder cannot be created or written, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe_file:
            probe_file.write(b"\0" * 4096)
    except OSError as error:
        raise write_error(folder, error) from None


def check_window(profile: Profile, domains: Sequence[Domain]) -> None:
    """Check that a requested window holds enough ticks of each counter.

    Raises:
        SuiteError: It does not; names the counter and a sufficient length.
    """
    if profile.window_s == PROFILES[profile.name].window_s:
        return  # the profile's own window is lengthened instead
    for domain in domains:
        needed_s = profile.window_ticks * (domain.update_period_s or 0.0) if domain.quantity == "energy" else 0.0
        if profile.window_s < needed_s * (1 - PROBE_SLACK):
            raise SuiteError(
                f"a window of {profile.window_s:g} s is too short: the counter of {domain.name} ticks every {domain.update_period_s:.3g} s, "
                f"and the profile {profile.name} requires {profile.window_ticks:g} ticks",
                f"use --window {math.ceil(needed_s * 100) / 100:g}, or remove it",
            )


def check_card(header: Header, here: Sequence[Domain]) -> None:
    """Check that the cases of a run would continue on the same GPU.

    Raises:
        SuiteError: They would run on another GPU, or none can be read.
    """
    for device, card in sorted({(case.device, case.card or "") for case in header.suite.cases if case.device != "cpu"}):
        then, now = (device_detail(for_card(domains, card or None), device) for domains in (header.domains, here))
        if then.get("uuid") and then["uuid"] != now.get("uuid"):
            problem = f"cases on {device} would now run on {now['uuid']}" if now.get("uuid") else f"no GPU can be read for {device} now"
            variable = "the CUDA_VISIBLE_DEVICES that it was started with" if then.get("mig") else f"CUDA_VISIBLE_DEVICES={then['uuid']}"
            raise SuiteError(
                f"{header.run_id} was started on {then['uuid']}, and {problem}", f"resume it with {variable}, or start a new run"
            )


def check_power_cap(suite: Suite, here: Environment, domains: Sequence[Domain]) -> None:
    """Check that the cards of the cases have their default power limit, if the suite requires it.

    A limit that is not reported prevents no run; the acceptance of the run is then inconclusive.

    Raises:
        SuiteError: One has another limit.
    """
    if suite.acceptance is None or not suite.acceptance.default_power_cap:
        return
    uuids = {case.card or device_detail(domains, case.device).get("uuid") for case in suite.cases if case.device != "cpu"}
    for facts in here.devices:
        share = cap_share(facts)
        if facts.get("uuid") in uuids - {None} and share is not None and abs(share - 1) > CAP_TOLERANCE:
            raise SuiteError(
                f"the power limit of {facts.get('domain')} is {facts['power_limit_w']:g} W, not its default of "
                f"{facts['power_limit_default_w']:g} W (`default_power_cap` under `acceptance` in the suite)",
                f"set it with `nvidia-smi -i {facts['uuid']} -pl {facts['power_limit_default_w']:g}` as root, or remove the rule from the suite",
            )


def check_environment(header: Header, here: Environment) -> None:
    """Check that a run would continue on the same machine with the same versions.

    Raises:
        SuiteError: It would not; names the differences.
    """
    first = header.environments[0]
    if here.environment_id != first.environment_id:
        a, b = first.model_dump(mode="json"), here.model_dump(mode="json")
        names = [name for name in a if a[name] != b[name] and name not in ("environment_id", "boot_id", "devices")]
        raise SuiteError(
            f"{header.run_id} was started on another machine or with other versions (different: {', '.join(names) or 'devices'})",
            "resume it there, or start a new run here",
        )


def check_sensors(header: Header, here: Sequence[Domain]) -> None:
    """Check that a run would continue with the same sensors.

    Raises:
        SuiteError: It would not; names the domains.
    """
    now, then = ({(d.name, d.kind) for d in domains} for domains in (here, header.domains))
    if now != then:
        raise SuiteError(
            f"{header.run_id} was started with other sensors: {', '.join(sorted({name for name, _ in now ^ then}))}",
            "make the same sensors readable (`harness doctor`), or start a new run",
        )


def check_files(stored: StoredRun) -> None:
    """Check that the user's files are the ones that the run started with.

    Raises:
        SuiteError: One has changed or is missing.
    """
    from harness.formats.fingerprint import fingerprint

    for model in stored.header.suite.models:
        for path, sha256 in _files_of(model).items():
            if not Path(path).exists() or fingerprint(Path(path)).sha256 != sha256:
                raise SuiteError(f"{path} has changed or is missing since the run was started", "restore it, or start a new run")


def _files_of(model: Model) -> dict[str, str]:
    """Hash of each file and folder that a model uses, by path."""
    data = [ref for ref in (model.train, model.test) if ref]
    files = {array.path: array.sha256 for ref in data for array in (*ref.inputs, *([ref.labels] if ref.labels else []))}
    files |= {ref.source.path: ref.source.sha256 for ref in data if ref.source and ref.source.kind != "function"}
    return files | ({model.path: model.sha256} if model.path and model.format != "python" else {})


def unused_id(results: Path, run_id: str) -> str:
    """The run id, with a number appended if a run with it exists."""
    taken = (f"{run_id}-{n}" if n else run_id for n in range(1000))
    return next(name for name in taken if not (results / name).exists())
