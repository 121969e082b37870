"""What must hold before a run begins or goes on: a folder that can be written, a window that is long enough, files that have not changed."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.energy.scope import device_detail
from harness.errors import SuiteError
from harness.schema import PROFILES, Domain, Environment, Header, Model, Profile, StoredRun
from harness.store.files import write_error

PROBE_SLACK = 0.02
"""By how much two probes of one counter may differ: the length that one names holds before the next."""


def check_writable(folder: Path) -> None:
    """Refuse before anything is built what could not be stored.

    Raises:
        StoreError: The folder cannot be made or written, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe_file:
            probe_file.write(b"\0" * 4096)
    except OSError as error:
        raise write_error(folder, error) from None


def check_window(profile: Profile, domains: Sequence[Domain]) -> None:
    """Refuse a window that holds too few ticks of a counter for the profile's accuracy.

    Raises:
        SuiteError: Which counter, and the length that would do.
    """
    for domain in domains:
        needed_s = profile.window_ticks * (domain.update_period_s or 0.0) if domain.quantity == "energy" else 0.0
        too_short = profile.window_s < needed_s * (1 - PROBE_SLACK)
        if too_short and profile.window_s != PROFILES[profile.name].window_s:  # the profile's own is lengthened instead
            raise SuiteError(
                f"a window of {profile.window_s:g} s is too short: the counter of {domain.name} ticks each {domain.update_period_s:.3g} s, "
                f"and {profile.name} takes {profile.window_ticks:g} ticks",
                f"give --window {math.ceil(needed_s * 100) / 100:g}, or leave it out",
            )


def check_card(header: Header, here: Sequence[Domain]) -> None:
    """A run that has cases on a card goes on with that card.

    Args:
        header: Of the run.
        here: The domains now.

    Raises:
        SuiteError: The card that cases run on now is another one, or none.
    """
    for device in sorted({case.device for case in header.suite.cases} - {"cpu"}):
        then, now = (device_detail(domains, device) for domains in (header.domains, here))
        if then.get("uuid") and then["uuid"] != now.get("uuid"):
            instead = f"cases on {device} would now run on {now['uuid']}" if now.get("uuid") else f"no card is read for {device} now"
            own = "the CUDA_VISIBLE_DEVICES that it was begun with" if then.get("mig") else f"CUDA_VISIBLE_DEVICES={then['uuid']}"
            raise SuiteError(
                f"{header.run_id} was begun on the card {then['uuid']}, and {instead}", f"resume it with {own}, or start a new run"
            )


def check_files(stored: StoredRun) -> None:
    """The user's files must be what they were when the run began.

    Raises:
        SuiteError: One has changed or gone.
    """
    from harness.formats.fingerprint import fingerprint

    for model in stored.header.suite.models:
        for path, sha256 in _files_of(model).items():
            if not Path(path).exists() or fingerprint(Path(path)).sha256 != sha256:
                raise SuiteError(f"{path} has changed or gone since the run began", "put it back, or start a new run")


def _files_of(model: Model) -> dict[str, str]:
    """Every file and folder of the user's that a model draws on, with the hash it had; functions are left out."""
    data = [ref for ref in (model.train, model.test) if ref]
    files = {array.path: array.sha256 for ref in data for array in (*ref.inputs, *([ref.labels] if ref.labels else []))}
    files |= {ref.source.path: ref.source.sha256 for ref in data if ref.source and ref.source.kind != "function"}
    return files | ({model.path: model.sha256} if model.path and model.format != "python" else {})


def differences(first: Environment, here: Environment) -> str:
    """What of the machine and its versions is not as it was, by name."""
    a, b = first.model_dump(mode="json"), here.model_dump(mode="json")
    names = [name for name in a if a[name] != b[name] and name not in ("environment_id", "boot_id", "devices")]
    return ", ".join(names) or "its devices"


def unused(results: Path, run_id: str) -> str:
    """The id, or with a number behind it where a run of the same second exists."""
    taken = (f"{run_id}-{n}" if n else run_id for n in range(1000))
    return next(name for name in taken if not (results / name).exists())
