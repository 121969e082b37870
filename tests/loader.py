"""A plug-in of another distribution: an engine whose load switches a simulated card on, by edges in a file."""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path
from typing import ClassVar

from harness.engines.base import Engine
from harness.schema import EngineSpec


class Loader(Engine):
    """Opens nothing; its load appends when it is switched on and off to `LOADER_EDGES`."""

    spec: ClassVar = EngineSpec(name="loader", formats=("*",), devices=("gpu",))

    def open(self, load):
        """Never called."""
        raise NotImplementedError

    def work(self, device):
        """Work of half a millisecond; the child reports the card that it was given."""
        path = Path(os.environ["LOADER_EDGES"])
        child = sys.modules["__main__"]  # harness.worker.card_load, run as a program
        child.visible_uuids = lambda: [os.environ["CUDA_VISIBLE_DEVICES"]]
        last_s = [0.0]

        def multiply():
            began_s = time.monotonic()
            time.sleep(0.0003)
            with path.open("r+b" if path.exists() else "w+b") as stream:
                size = stream.seek(0, 2)
                if size and began_s - last_s[0] < 0.007:  # still the same burst: its end moves, also if this process had to wait
                    stream.seek(size - 8)
                else:
                    stream.write(struct.pack("d", began_s))
                last_s[0] = time.monotonic()
                stream.write(struct.pack("d", last_s[0]))

        return multiply


def install(folder: Path) -> dict[str, str]:
    """Make the plug-in a distribution in a folder; returns the environment in which Python finds it."""
    metadata = folder / "loader-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loader\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[harness.engines]\nloader = tests.loader:Loader\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent.parent)]), "LOADER_EDGES": str(folder / "edges")}
