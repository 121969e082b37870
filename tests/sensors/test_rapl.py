"""The real RAPL sensor on powercap trees on disk."""

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
    """A function that opens the sensor on a tree of the zones given."""

    def of(*zones: Zone, root: Path = tmp_path / "powercap"):
        monkeypatch.setenv(ROOT_VARIABLE, str(root))
        plant(root, *zones)
        sensor = Rapl()
        return sensor, {domain.name: domain for domain in sensor.open()}

    return of


def test_a_client_nests_core_in_package_in_psys(opened):
    """DRAM lies beside the package, not in it; a parent is named, so that nobody adds it to its child."""
    _, domains = opened(PACKAGE, CORE, UNCORE, DRAM, PSYS)
    parents = {name: domain.parent for name, domain in domains.items()}
    assert parents == {"package": "psys", "core": "package", "uncore": "package", "dram": "psys", "psys": None}


def test_a_package_without_psys_has_no_parent(opened):
    """Null, not a name that is not there."""
    _, domains = opened(PACKAGE, DRAM)
    assert domains["package"].parent is None and domains["dram"].parent is None


def test_two_sockets_are_numbered_with_what_is_in_them(opened):
    """Their counters differ, so both are real."""
    other = Zone("intel-rapl:1", "package-1", start_j=5000.0)
    inside = Zone("intel-rapl:1:0", "dram", start_j=17.0)
    _, domains = opened(PACKAGE, DRAM, other, inside)
    assert set(domains) == {"package:0", "dram:0", "package:1", "dram:1"}
    assert domains["dram:1"].detail["zone"] == "intel-rapl:1:0"


def test_values_in_joules_with_the_wrap_told(opened):
    """The zone counts in microjoules."""
    sensor, domains = opened(Zone("intel-rapl:0", "package-0", wrap_j=65.532610987, start_j=12.5))
    assert sensor.read("package") == pytest.approx(12.5, abs=0.5)
    assert domains["package"].wrap_j == pytest.approx(65.532611) and domains["package"].gain == 0.05


@pytest.fixture
def as_sysfs(monkeypatch):
    """A function after which the file system that a path lies in passes for sysfs."""

    def of(path: Path):
        monkeypatch.setattr(rapl, "mounted_types", lambda: {path.stat().st_dev: "sysfs"})

    return of


def test_the_type_of_the_file_system_decides_the_kind(opened, tmp_path, as_sysfs):
    """A mount of the real sysfs at any path is hardware; files of any other file system are a simulation, whatever their path."""
    _, domains = opened(PACKAGE, DRAM, root=tmp_path / "host" / "sys" / "class" / "powercap")
    assert {domain.kind for domain in domains.values()} == {"simulated"}
    as_sysfs(tmp_path)
    _, domains = opened(PACKAGE, DRAM)
    assert {domain.kind for domain in domains.values()} == {"counter"}


def test_each_zone_has_the_kind_of_its_own_file_system(tmp_path):
    """The links are followed: a link in a plain folder to a zone in sysfs is hardware, a file beside it is not."""
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


def test_the_types_of_what_is_mounted(tmp_path):
    """By device number, as the kernel lists them; /proc is a file system of its own."""
    types = rapl.mounted_types()
    assert types[Path("/proc/self").stat().st_dev] == "proc"
    assert types.get(tmp_path.stat().st_dev) != "sysfs"


@pytest.fixture
def host(tmp_path):
    """The layout of the kernel: zones nested below devices, links to them in class."""
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
def test_any_mount_that_holds_the_zones_may_be_named(host, monkeypatch, root):
    """All of sysfs, its class folder with what the links lead to, or the folder of the zones; each zone once."""
    monkeypatch.setenv(ROOT_VARIABLE, str(host / root))
    assert {domain.name: domain.parent for domain in Rapl().open()} == {"package": None, "dram": None, "core": "package"}


def test_the_zones_are_found_where_the_links_are_not_mounted(host, monkeypatch):
    """A mount of devices alone, with the folder above it named."""
    shutil.rmtree(host / "class")
    monkeypatch.setenv(ROOT_VARIABLE, str(host))
    assert [domain.name for domain in Rapl().open()] == ["package", "core", "dram"]


def test_the_mount_that_is_advised_works_and_that_of_the_links_says_why_not(host, tmp_path, monkeypatch):
    """The zones alone, at another path; the class folder alone holds links that lead out of it."""
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


def test_a_container_that_hides_the_zones_is_named(host, monkeypatch):
    """Engines lay an empty folder over what the links lead to."""
    shutil.rmtree(host / "devices" / "virtual" / "powercap" / "intel-rapl")
    monkeypatch.setenv(ROOT_VARIABLE, str(host / "class" / "powercap"))
    with pytest.raises(SensorError, match="which is not visible here") as caught:
        Rapl().open()
    assert f"-e {ROOT_VARIABLE}=/powercap" in caught.value.hint


def test_the_mirrors_of_a_multi_die_part_are_one_counter(tmp_path, monkeypatch):
    """Four dies that show their socket's counter are read once, and the reason is kept."""
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


def test_two_dies_with_counters_of_their_own_are_both_read(tmp_path, monkeypatch):
    """Also while both move at the same power."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "powercap"))
    dies = [Zone(f"intel-rapl:{i}", f"package-0-die-{i}", update_period_s=0.005, start_j=1000.0 + i) for i in range(2)]
    with running(plant(tmp_path / "powercap", *dies)):
        assert [domain.name for domain in Rapl().open()] == ["package:0", "package:1"]


def test_the_second_road_to_a_package_is_left_out(opened):
    """The MMIO interface shows the package that the MSR shows; alone it is used."""
    mmio = Zone("intel-rapl-mmio:0", "package-0", start_j=77.0)
    inside = Zone("intel-rapl-mmio:0:0", "dram", start_j=78.0)
    sensor, domains = opened(PACKAGE, DRAM, mmio, inside)
    assert {domain.detail["zone"] for domain in domains.values()} == {"intel-rapl:0", "intel-rapl:0:2"}
    assert set(sensor.dropped) == {"intel-rapl-mmio:0", "intel-rapl-mmio:0:0"}
    assert "another interface" in sensor.describe()[-2]["left_out"]


def test_a_cap_is_told_where_there_is_one(opened):
    """The long-term limit; what has none, as DRAM often, says null."""
    sensor, domains = opened(PACKAGE, DRAM)
    (Path(domains["package"].detail["path"]) / "constraint_0_power_limit_uw").write_text("125000000\n")
    assert {d["domain"]: d["power_limit_w"] for d in sensor.describe()} == {"package": 125.0, "dram": None}


def test_mmio_alone_is_used(opened):
    """Some clients show nothing else."""
    _, domains = opened(Zone("intel-rapl-mmio:0", "package-0"))
    assert list(domains) == ["package"]


def test_no_tree_says_so(tmp_path, monkeypatch):
    """A virtual machine or a container: the sentence names the place, the hint says what to mount."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(SensorError, match="no RAPL counters") as caught:
        Rapl().open()
    assert "modprobe intel_rapl_msr" in caught.value.hint and "nothing (HARNESS_POWERCAP)" in caught.value.what


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to read everything: tests may run as root, to whom no file mode is an obstacle."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def test_counters_for_root_alone_name_the_least_privilege(monkeypatch):
    """A udev rule that can be pasted and a group, with what it gives away; never "run as root"."""
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


def test_a_zone_that_fails_at_the_start_is_left_out_and_the_rest_is_read(tmp_path, monkeypatch):
    """EIO on DRAM (offset 0 of a process's memory gives one) does not cost the package."""
    root = tmp_path / "powercap"
    plant(root, PACKAGE)
    (root / "intel-rapl:0:2").mkdir()
    (root / "intel-rapl:0:2" / "name").write_text("dram")
    (root / "intel-rapl:0:2" / "energy_uj").symlink_to("/proc/self/mem")
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    sensor = Rapl()
    assert [domain.name for domain in sensor.open()] == ["package"]
    assert "failed" in sensor.dropped["intel-rapl:0:2"]


def test_a_read_that_fails_is_missing(opened, tmp_path):
    """EIO, a zone that vanishes, and rubbish: an error each time, never a number."""
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


def test_a_package_that_cannot_be_read_is_missed_not_left_out(opened, tmp_path):
    """The other one alone would be told as the whole; so both are offered, under their own names, and the sum has a part that is missing."""
    sensor, _ = opened(PACKAGE, Zone("intel-rapl:1", "package-1"))
    counter = tmp_path / "powercap" / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    counter.symlink_to("/proc/self/mem")
    assert [domain.name for domain in sensor.open()] == ["package:0", "package:1"]
    with pytest.raises(SensorError, match="Input/output error"):
        sensor.read("package:0")
    assert sensor.read("package:1") > 0


def test_a_file_that_is_being_written_anew_is_a_zone_that_works(opened, monkeypatch):
    """Between two writes it is empty for a moment."""
    sensor, _ = opened(PACKAGE)
    shown = iter([b"", b"\n", b"7000000\n"])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(shown))
    assert [domain.name for domain in sensor.open()] == ["package"]
