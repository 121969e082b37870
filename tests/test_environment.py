"""What is recorded of the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import environment as module
from harness.environment import environment
from harness.run import machine
from tests import factories


@pytest.fixture
def files(monkeypatch):
    """Small system files by path, in place of this machine's."""
    shown: dict[str, str] = {}
    monkeypatch.setattr(module, "system_text", lambda path: shown.get(str(path), ""))
    return shown


def test_it_describes_this_machine():
    """Every fact that decides whether two results may be compared."""
    here = environment(packages=["numpy", "no-such-package"])
    assert here.cpu != "unknown" and here.cpu_flags and here.cpu_count >= 1 and here.memory_bytes > 1e6
    assert set(here.versions) == {"numpy"}, "what is not installed is absent"
    assert here.harness_version and len(here.environment_id) == 12


def test_the_id_stays_the_same_from_one_minute_to_the_next():
    """Processes on the GPU come and go; the boot changes; neither makes another environment."""
    first = environment([{"uuid": "GPU-1", "pids": [1]}])
    assert environment([{"uuid": "GPU-1", "pids": [2, 3]}]).environment_id == first.environment_id
    assert first.devices[0]["pids"] == [1], "the record keeps them"


def test_another_card_or_another_package_is_another_environment():
    """Each can change a result."""
    first = environment([{"uuid": "GPU-1", "power_limit_w": 300}])
    assert environment([{"uuid": "GPU-1", "power_limit_w": 200}]).environment_id != first.environment_id
    assert environment([{"uuid": "GPU-1", "power_limit_w": 300}], ["numpy"]).environment_id != first.environment_id


@pytest.mark.parametrize(
    ("shown", "limit"),
    [
        ({}, None),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        (
            {
                "/proc/self/cgroup": "1:cpu:/\n0::/a/b\n",
                "/sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "/sys/fs/cgroup/a/cpu.max": "50000 100000",
            },
            0.5,
        ),
        ({"/sys/fs/cgroup/cpu.max": "99900000 100000"}, None),
    ],
)
def test_cpus_that_may_not_be_used_are_counted_out(files, monkeypatch, shown, limit):
    """By a control group around us; a quota of more than there is limits nothing."""
    files.update(shown)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: range(8))
    assert module.cpu_limit(8) == limit


def test_an_affinity_makes_another_environment(monkeypatch):
    """Half of the CPUs give other figures; where all may be used the id is that of older versions."""
    all_cpus = environment()
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: range(all_cpus.cpu_count))
    assert environment().cpu_limit is None
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: [])
    few = environment()
    assert few.cpu_limit == 0
    assert few.environment_id != module.identity(few.model_copy(update={"cpu_limit": None}))


def test_the_id_of_a_stored_environment_stays_what_it_was():
    """Whatever later versions ask of a machine: else `verify` would hold each old run for changed."""
    assert module.identity(factories.environment()) == "99ce1c5a1753"


def test_the_memory_that_is_left_is_also_the_control_groups(files, monkeypatch):
    """Page cache that the kernel gives back is not used up."""
    free = machine.available_memory_bytes()
    files.update(
        {
            "/sys/fs/cgroup/memory.max": "1000",
            "/sys/fs/cgroup/memory.current": "900",
            "/sys/fs/cgroup/memory.stat": "anon 500\ninactive_file 300",
        }
    )
    assert machine.available_memory_bytes() == 400
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert machine.available_memory_bytes() == pytest.approx(free, rel=0.5)


@pytest.mark.parametrize(
    ("shown", "turbo"),
    [
        ({"/sys/devices/system/cpu/intel_pstate/no_turbo": "1"}, False),
        ({"/sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, True),
        ({"/sys/devices/system/cpu/cpufreq/boost": "0"}, False),
        ({}, None),
    ],
)
def test_turbo_is_reported_or_none(files, shown, turbo):
    """Intel's file has the opposite meaning of the general one; without either it is None, not False."""
    files.update(shown)
    assert module.turbo() is turbo


def test_a_guest_names_its_hypervisor(files, monkeypatch):
    """As far as the firmware reports it, also without a CPU flag; None on bare metal."""
    monkeypatch.setattr(module, "_container", lambda: None)
    monkeypatch.setattr(module, "hypervisor", lambda: None)
    assert module.virtual(("avx2",)) is None
    monkeypatch.setattr(module, "hypervisor", lambda: "KVM")
    assert module.virtual(("asimd",)) == "KVM"
    assert module.virtual(("hypervisor",)) == "virtual machine"
    files["/sys/class/dmi/id/sys_vendor"] = "QEMU"
    files["/sys/class/dmi/id/product_name"] = "Standard PC"
    assert module.virtual(("hypervisor",)) == "QEMU Standard PC"
    monkeypatch.setattr(module, "_container", lambda: "docker")
    assert module.virtual(("hypervisor",)) == "QEMU Standard PC, docker"


def test_the_cpu_of_an_arm_machine_comes_from_cpuinfo(files, monkeypatch):
    """Where /proc/cpuinfo has no name, py-cpuinfo is asked."""
    files["/proc/cpuinfo"] = "processor\t: 0\nFeatures\t: fp asimddp i8mm\n"
    fake = type(sys)("cpuinfo")
    fake.get_cpu_info = lambda: {"brand_raw": "Neoverse-N1", "flags": []}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cpuinfo", fake)
    assert module._cpu() == ("Neoverse-N1", ("asimddp", "fp", "i8mm"))


@pytest.mark.parametrize(("changes", "commit"), [("", "abc"), (" M harness/energy/windows.py", "abc+"), (None, "abc+")])
def test_a_commit_is_clean_where_git_reports_it(monkeypatch, changes, commit):
    """Not where git fails."""
    monkeypatch.setattr(module, "_git", lambda root, what, *arguments: "abc" if what == "rev-parse" else changes)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert module.commit() == commit


def test_the_commit_is_that_of_the_harness_whatever_repository_a_hook_runs_in(monkeypatch, tmp_path):
    """Git names that to its hooks by variables."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(
        ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "x"], check=True
    )
    head = module._git(tmp_path, "rev-parse", "HEAD")
    assert head
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert module._git(tmp_path, "rev-parse", "HEAD") == head


def test_an_unknown_commit_is_none(monkeypatch):
    """No git, no checkout: None."""
    monkeypatch.setattr(module, "_git", lambda root, *arguments: None)
    assert module.commit() is None
