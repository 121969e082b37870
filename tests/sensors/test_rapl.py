"""The RAPL sensor on powercap trees on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import SensorError
from harness.sensors import rapl
from harness.sensors.rapl import ROOT_VARIABLE, Rapl
from tests.instruments.powercap import Zone, plant, running

PACKAGE = Zone("intel-rapl:0", "package-0")
CORE = Zone("intel-rapl:0:0", "core", ("constant", 30.0))
UNCORE = Zone("intel-rapl:0:1", "uncore", ("constant", 5.0))
DRAM = Zone("intel-rapl:0:2", "dram", ("constant", 8.0), start_j=3.0)
PSYS = Zone("intel-rapl:1", "psys", ("constant", 90.0), start_j=7.0)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that opens the sensor on a tree of these zones."""

    def of(*zones: Zone, root: Path = tmp_path / "powercap"):
        monkeypatch.setenv(ROOT_VARIABLE, str(root))
        plant(root, *zones)
        sensor = Rapl()
        return sensor, {domain.name: domain for domain in sensor.open()}

    return of


def test_a_client_nests_core_in_package_in_psys(opened):
    """DRAM is not part of the package; the parent is named so that it is not added to its child."""
    _, domains = opened(PACKAGE, CORE, UNCORE, DRAM, PSYS)
    parents = {name: domain.parent for name, domain in domains.items()}
    assert parents == {"package": "psys", "core": "package", "uncore": "package", "dram": "psys", "psys": None}


def test_a_package_without_psys_has_no_parent(opened):
    """None, not a name that does not exist."""
    _, domains = opened(PACKAGE, DRAM)
    assert domains["package"].parent is None and domains["dram"].parent is None


def test_two_sockets_are_numbered_with_their_zones(opened):
    """Their counters differ, so neither is a mirror."""
    other = Zone("intel-rapl:1", "package-1", start_j=5000.0)
    inside = Zone("intel-rapl:1:0", "dram", start_j=17.0)
    _, domains = opened(PACKAGE, DRAM, other, inside)
    assert set(domains) == {"package:0", "dram:0", "package:1", "dram:1"}
    assert domains["dram:1"].detail["zone"] == "intel-rapl:1:0"


def test_values_and_wrap_are_in_joules(opened):
    """The zone counts in microjoules."""
    sensor, domains = opened(Zone("intel-rapl:0", "package-0", wrap_j=65.532610987, start_j=12.5))
    assert sensor.read("package") == pytest.approx(12.5, abs=0.5)
    assert domains["package"].wrap_j == pytest.approx(65.532611) and domains["package"].gain == 0.05


@pytest.fixture
def as_sysfs(monkeypatch):
    """A function that makes the file system of a path count as sysfs."""

    def of(path: Path):
        monkeypatch.setattr(rapl, "mounted_types", lambda: {path.stat().st_dev: "sysfs"})

    return of


def test_the_type_of_the_file_system_decides_the_kind(opened, tmp_path, as_sysfs):
    """A mount of the real sysfs at any path is hardware; files in any other file system are a simulation."""
    _, domains = opened(PACKAGE, DRAM, root=tmp_path / "host" / "sys" / "class" / "powercap")
    assert {domain.kind for domain in domains.values()} == {"simulated"}
    as_sysfs(tmp_path)
    _, domains = opened(PACKAGE, DRAM)
    assert {domain.kind for domain in domains.values()} == {"counter"}


def test_each_zone_has_the_kind_of_its_own_file_system(tmp_path):
    """Links are followed: a link in a plain folder to a zone in sysfs is hardware, a file in it is not."""
    plain = rapl.Zone("intel-rapl:0", "package-0", tmp_path)
    (tmp_path / "energy_uj").write_text("1")
    types = {tmp_path.stat().st_dev: "ext4", Path("/proc/self").stat().st_dev: "sysfs"}
    assert rapl.zone_kind(plain, types) == "simulated"
    (tmp_path / "energy_uj").unlink()
    (tmp_path / "energy_uj").symlink_to("/proc/uptime")
    assert rapl.zone_kind(plain, types) == "counter"
    assert rapl.zone_kind(plain, {}) == "simulated"
    (tmp_path / "energy_uj").unlink()
    assert rapl.zone_kind(plain, types) == "simulated"


def test_types_of_mounted_file_systems(tmp_path):
    """By device number, as the kernel lists them; /proc is a file system of its own."""
    types = rapl.mounted_types()
    assert types[Path("/proc/self").stat().st_dev] == "proc"
    assert types.get(tmp_path.stat().st_dev) != "sysfs"


@pytest.fixture
def host(tmp_path):
    """The kernel's layout: nested zones below devices, links to them in class."""
    sysfs = tmp_path / "host" / "sys"
    zones = sysfs / "devices" / "virtual" / "powercap" / "intel-rapl"
    plant(tmp_path / "flat", PACKAGE, DRAM, CORE)
    zones.mkdir(parents=True)
    shutil.move(tmp_path / "flat" / "intel-rapl:0", zones)
    for inside in (DRAM, CORE):
        shutil.move(tmp_path / "flat" / inside.id, zones / "intel-rapl:0")
    classes = sysfs / "class" / "powercap"
    classes.mkdir(parents=True)
    for zone in (zones, zones / "intel-rapl:0", zones / "intel-rapl:0" / DRAM.id, zones / "intel-rapl:0" / CORE.id):
        (classes / zone.name).symlink_to(os.path.relpath(zone, classes))
        (zone / "subsystem").symlink_to(os.path.relpath(classes, zone))
    return sysfs


@pytest.mark.parametrize("root", ["", "class/powercap", "devices/virtual/powercap", "devices/virtual/powercap/intel-rapl"])
def test_any_mount_with_the_zones_works(host, monkeypatch, root):
    """All of sysfs, its class folder with the targets of its links, or the folder of the zones; each zone once."""
    monkeypatch.setenv(ROOT_VARIABLE, str(host / root))
    assert {domain.name: domain.parent for domain in Rapl().open()} == {"package": None, "dram": None, "core": "package"}


def test_zones_are_found_without_the_links(host, monkeypatch):
    """A mount of devices alone, with the folder above it as the root."""
    shutil.rmtree(host / "class")
    monkeypatch.setenv(ROOT_VARIABLE, str(host))
    assert [domain.name for domain in Rapl().open()] == ["package", "core", "dram"]


def test_the_advised_mount_works_and_a_mount_of_the_links_is_explained(host, tmp_path, monkeypatch):
    """The zones alone work at another path; the class folder alone has links that lead out of it."""
    mounted = tmp_path / "powercap"
    shutil.copytree(host / "devices" / "virtual" / "powercap", mounted, symlinks=True)
    monkeypatch.setenv(ROOT_VARIABLE, str(mounted))
    assert [domain.name for domain in Rapl().open()] == ["package", "core", "dram"]
    links = tmp_path / "a" / "links"
    shutil.copytree(host / "class" / "powercap", links, symlinks=True)
    monkeypatch.setenv(ROOT_VARIABLE, str(links))
    with pytest.raises(SensorError, match=f"are links to {tmp_path}/devices/virtual/powercap") as caught:
        Rapl().open()
    assert "-v /sys/devices/virtual/powercap:/powercap:ro" in caught.value.hint


def test_a_container_that_hides_the_zones_is_explained(host, monkeypatch):
    """Container engines mount an empty folder over the targets of the links."""
    shutil.rmtree(host / "devices" / "virtual" / "powercap" / "intel-rapl")
    monkeypatch.setenv(ROOT_VARIABLE, str(host / "class" / "powercap"))
    with pytest.raises(SensorError, match="which is not visible here") as caught:
        Rapl().open()
    assert f"-e {ROOT_VARIABLE}=/powercap" in caught.value.hint


def test_mirrors_of_a_multi_die_processor_are_one_counter(tmp_path, monkeypatch):
    """Four dies with their socket's counter are read once, and the reason is kept."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "powercap"))
    dies = [Zone(f"intel-rapl:{i}", f"package-0-die-{i}", update_period_s=0.005) for i in range(3)]
    tree = plant(tmp_path / "powercap", dies[0])
    for die in dies[1:]:
        folder = tree.root / die.id
        folder.mkdir()
        (folder / "name").write_text(die.name)
        (folder / "energy_uj").symlink_to(tree.root / "intel-rapl:0" / "energy_uj")
    with running(tree):
        sensor = Rapl()
        domains = sensor.open()
    assert [domain.name for domain in domains] == ["package"]
    assert sensor.dropped == {die.id: "the same counter as intel-rapl:0" for die in dies[1:]}


def test_two_dies_with_independent_counters_are_both_read(tmp_path, monkeypatch):
    """Also while both run at the same power."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "powercap"))
    dies = [Zone(f"intel-rapl:{i}", f"package-0-die-{i}", update_period_s=0.005, start_j=1000.0 + i) for i in range(2)]
    with running(plant(tmp_path / "powercap", *dies)):
        assert [domain.name for domain in Rapl().open()] == ["package:0", "package:1"]


def test_the_second_interface_to_a_package_is_left_out(opened):
    """The MMIO interface has the same package as the MSR."""
    mmio = Zone("intel-rapl-mmio:0", "package-0", start_j=77.0)
    inside = Zone("intel-rapl-mmio:0:0", "dram", start_j=78.0)
    sensor, domains = opened(PACKAGE, DRAM, mmio, inside)
    assert {domain.detail["zone"] for domain in domains.values()} == {"intel-rapl:0", "intel-rapl:0:2"}
    assert set(sensor.dropped) == {"intel-rapl-mmio:0", "intel-rapl-mmio:0:0"}
    assert "another interface" in sensor.describe()[-2]["left_out"]


def test_power_limit_of_a_zone(opened):
    """The long-term limit; None for a zone without one, often DRAM."""
    sensor, domains = opened(PACKAGE, DRAM)
    (Path(domains["package"].detail["path"]) / "constraint_0_power_limit_uw").write_text("125000000\n")
    assert {d["domain"]: d["power_limit_w"] for d in sensor.describe()} == {"package": 125.0, "dram": None}


def test_mmio_alone_is_used(opened):
    """Some clients have no other interface."""
    _, domains = opened(Zone("intel-rapl-mmio:0", "package-0"))
    assert list(domains) == ["package"]


def test_no_zones_are_explained(tmp_path, monkeypatch):
    """A virtual machine or a container: the message names the folder, the hint what to mount."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(SensorError, match="no RAPL counters") as caught:
        Rapl().open()
    assert "modprobe intel_rapl_msr" in caught.value.hint and "nothing (HARNESS_POWERCAP)" in caught.value.what


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drop the privileges of root, to whom no file mode applies, if the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def test_counters_that_only_root_may_read_have_a_udev_rule(monkeypatch):
    """A rule that can be pasted and a group, with the risk; not "run as root"."""
    root = Path(tempfile.mkdtemp())  # the test runner's own folder is closed to others
    root.chmod(0o755)
    try:
        monkeypatch.setenv(ROOT_VARIABLE, str(root))
        tree = plant(root, PACKAGE, DRAM)
        for zone in tree.zones:
            (root / zone.id / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
        with unprivileged(), pytest.raises(SensorError, match="CVE-2020-8694") as caught:
            Rapl().open()
    finally:
        shutil.rmtree(root)
    rule = next(line for line in caught.value.hint.splitlines() if line.startswith("echo"))
    assert rule == f"echo '{rapl.UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-powercap.rules"
    assert "'" not in rapl.UDEV_RULE and "chgrp energy" in rapl.UDEV_RULE
    assert "udevadm control --reload" in caught.value.hint and "CVE-2020-8694" in caught.value.hint


def test_a_zone_that_fails_at_the_start_is_left_out(tmp_path, monkeypatch):
    """EIO on DRAM (offset 0 of a process's memory gives one) does not affect the package."""
    root = tmp_path / "powercap"
    plant(root, PACKAGE)
    (root / "intel-rapl:0:2").mkdir()
    (root / "intel-rapl:0:2" / "name").write_text("dram")
    (root / "intel-rapl:0:2" / "energy_uj").symlink_to("/proc/self/mem")
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    sensor = Rapl()
    assert [domain.name for domain in sensor.open()] == ["package"]
    assert "failed" in sensor.dropped["intel-rapl:0:2"]


def test_a_failed_read_raises(opened, tmp_path):
    """EIO, a zone that disappears, and invalid text: an error each time, never a number."""
    sensor, _ = opened(PACKAGE, DRAM)
    counter = tmp_path / "powercap" / "intel-rapl:0" / "energy_uj"
    counter.write_text("none\n")
    with pytest.raises(SensorError, match="failed: it contains no number"):
        sensor.read("package")
    counter.unlink()
    counter.symlink_to("/proc/self/mem")
    with pytest.raises(SensorError, match="Input/output error"):
        sensor.read("package")
    shutil.rmtree(counter.parent)
    with pytest.raises(SensorError, match="has disappeared"):
        sensor.read("package")
    assert sensor.read("dram") >= 3.0


def test_an_unreadable_package_of_two_is_missing_from_the_sum(opened, tmp_path):
    """The other one alone would pass for the whole, so both are domains and the sum has a missing part."""
    sensor, _ = opened(PACKAGE, Zone("intel-rapl:1", "package-1"))
    counter = tmp_path / "powercap" / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    counter.symlink_to("/proc/self/mem")
    assert [domain.name for domain in sensor.open()] == ["package:0", "package:1"]
    with pytest.raises(SensorError, match="Input/output error"):
        sensor.read("package:0")
    assert sensor.read("package:1") > 0


def test_a_file_that_is_being_rewritten_is_readable(opened, monkeypatch):
    """It is empty for a moment between two writes."""
    sensor, _ = opened(PACKAGE)
    shown = iter([b"", b"\n", b"7000000\n"])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(shown))
    assert [domain.name for domain in sensor.open()] == ["package"]
