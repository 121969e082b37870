"""Environment of a run: machine, operating system, CPU, clock policy and software."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import __version__, venvs
from harness.schema import Environment
from harness.userfiles import system_text
from harness.virtual import hypervisor

VOLATILE = (
    "pids", "hidden_pids", "sm_clock_now_hz", "memory_clock_now_hz", "clocks_set", "memory_temperature_degc", "pcie_generation", "pcie_width",
    "ecc_errors_corrected", "ecc_errors_uncorrected", "memory_used_bytes",
)  # fmt: skip
"""Facts of a device that change from minute to minute, and so do not make another environment."""
CONTROL_GROUPS = Path("/sys/fs/cgroup")
CONTAINERS = ("docker", "podman", "kubepods", "containerd", "lxc", "libpod")


def environment(
    devices: Iterable[Mapping[str, Any]] = (), packages: Iterable[str] = (), separate: Mapping[str, str] | None = None
) -> Environment:
    """The environment of this process.

    Args:
        devices: Facts that each sensor reports of its device.
        packages: Distributions whose versions matter; those that are not installed are left out.
        separate: Versions in separate virtual environments, of distributions that ours does not have.
    """
    import psutil

    cpu, flags = _cpu()
    count = psutil.cpu_count() or 1
    here = Environment(
        environment_id="",
        host=platform.node(),
        os=_os_name(),
        kernel=platform.release(),
        python=platform.python_version(),
        cpu=cpu,
        cpu_flags=flags,
        cpu_count=count,
        cpu_count_physical=psutil.cpu_count(logical=False),
        cpu_limit=cpu_limit(count),
        memory_bytes=psutil.virtual_memory().total,
        governor=system_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        turbo=turbo(),
        virtual=virtual(flags),
        versions={**(separate or {}), **{name: v for name, v in venvs.versions(None, sorted(set(packages))).items() if v}},
        harness_version=__version__,
        harness_commit=commit(),
        devices=tuple(dict(device) for device in devices),
        boot_id=system_text("/proc/sys/kernel/random/boot_id") or None,
        timezone=datetime.now().astimezone().tzname(),
    )
    return here.model_copy(update={"environment_id": identity(here)})


def identity(environment: Environment) -> str:
    """Hash of all facts that do not change from minute to minute, twelve hexadecimal digits."""
    later = {"cpu_limit"} if environment.cpu_limit is None else set()  # a later field, left out so that older ids stay valid
    fixed = environment.model_dump(mode="json", exclude={"environment_id", "devices", "boot_id", "timezone", *later})
    stable = [{key: value for key, value in device.items() if key not in VOLATILE} for device in environment.devices]
    return hashlib.sha256(json.dumps([fixed, stable], sort_keys=True, default=str).encode()).hexdigest()[:12]


def turbo() -> bool | None:
    """Whether the CPU may exceed its nominal clock; None: not reported."""
    if (no_turbo := system_text("/sys/devices/system/cpu/intel_pstate/no_turbo")) in ("0", "1"):
        return no_turbo == "0"
    boost = system_text("/sys/devices/system/cpu/cpufreq/boost")
    return boost == "1" if boost in ("0", "1") else None


def cpu_limit(count: int) -> float | None:
    """Number of CPUs that this process may use at once; None: all."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    quotas = [int(quota) / int(period) for quota, period in control_groups("cpu.max") if quota != "max"]
    granted = min([float(allowed), *quotas])
    return granted if granted < count else None


def control_groups(name: str) -> list[list[str]]:
    """Words of a file in each control group (version 2) of this process, innermost first; groups without the file are left out."""
    own = next((line.removeprefix("0::/") for line in system_text("/proc/self/cgroup").splitlines() if line.startswith("0::/")), "")
    groups = CONTROL_GROUPS / own
    texts = [system_text(group / name) for group in (groups, *groups.parents) if group.is_relative_to(CONTROL_GROUPS)]
    return [text.split() for text in texts if text]


def virtual(flags: Sequence[str]) -> str | None:
    """Hypervisor and container that we run in; None on bare metal, or unknown."""
    layers = []
    if "hypervisor" in flags:
        vendor = " ".join(filter(None, (system_text("/sys/class/dmi/id/sys_vendor"), system_text("/sys/class/dmi/id/product_name"))))
        layers.append(vendor or "virtual machine")
    elif guest := hypervisor():  # other architectures have no such flag, and some hypervisors hide it
        layers.append(guest)
    if container := _container():
        layers.append(container)
    return ", ".join(layers) or None


def commit() -> str | None:
    """Git commit of the harness, with `+` if files differ from it; None outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    head, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--untracked-files=no", "--", "harness")
    return head and head + ("" if changed == "" else "+")  # also if git fails


def _cpu() -> tuple[str, tuple[str, ...]]:
    """Name and flags of the CPU; py-cpuinfo takes a second, so it is used only if /proc/cpuinfo lacks them."""
    fields: dict[str, str] = {}
    for line in system_text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name, flags = fields.get("model name"), fields.get("flags") or fields.get("Features")
    if not name or not flags:
        import cpuinfo

        info = cpuinfo.get_cpu_info()
        name, flags = name or info.get("brand_raw"), flags or " ".join(info.get("flags", ()))
    return name or platform.processor() or "unknown", tuple(sorted(set(flags.split())))


def _os_name() -> str:
    if sys.platform == "linux":
        try:
            return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
        except OSError:
            return "Linux"
    return f"{platform.system()} {platform.version()}"


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    cgroup = system_text("/proc/1/cgroup")
    return next((name for name in CONTAINERS if name in cgroup), os.environ.get("container"))  # noqa: SIM112 - systemd writes it so


def _git(root: Path, *arguments: str) -> str | None:
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_")
    }  # in a git hook these variables name another repository
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True, env=own)  # noqa: S607 - git is where the user has it
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
