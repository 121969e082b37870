"""Progress on stderr: a bar in a terminal, lines elsewhere; never in a window."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from harness.schema import Domain, Record, Task

FIRST_LINE_S = 30.0
LINES = frozenset(2.0**k for k in range(20))
"""Multiples of that time at which a slow task is a line: each time twice as long."""


class Progress:
    """An observer of a campaign, and a context that ends the bar."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            auto_refresh=False,  # a refresh inside a window would load the measured machine
            transient=True,
        )
        self._row = self._bar.add_task("starting", total=None, left="")
        self._task: Task | None = None
        self._done = 0

    def __enter__(self) -> Progress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done()

    def done(self) -> None:
        """End the bar, so that it does not draw over later output."""
        if self._live:
            self._bar.stop()
            self._live = False

    def waiting(self, owner: str) -> None:
        """Wait for another run on this machine."""
        self._print(f"waiting for {owner} to finish, since simultaneous runs on a machine disturb each other")

    def sensors(self, domains: Sequence[Domain], unavailable: Mapping[str, str]) -> None:
        """The sensors are open."""
        energies = [f"{d.name} ({d.kind}, {d.sensor})" for d in domains if d.kind]
        self._print("energy of: " + (", ".join(energies) or "nothing on this machine"))
        if energies and all(d.kind == "modelled" for d in domains if d.kind):
            self._print("no energy sensor is available, so all energies are modelled: `harness doctor` shows how to enable one")

    def task(self, task: Task, left: int, left_s: float | None) -> None:
        """A task begins."""
        self._task = task
        self._bar.update(self._row, total=self._done + left, completed=self._done, description=self._name(), left=_left(left_s))
        self._bar.refresh()

    def phase(self, name: str) -> None:
        """A phase of the task begins."""
        if self._live:
            self._bar.update(self._row, description=f"{self._name()}  {name}")
            self._bar.refresh()

    def slow(self, waited_s: float, limit_s: float) -> None:
        """The model has been loading, or a build has been running, for some time."""
        doing = "building" if self._task and self._task.build else "loading"
        text = f"{self._name()}  {doing} for {waited_s:.0f} s, limit {limit_s:g} s"
        if self._live:
            self._bar.update(self._row, description=text)
            self._bar.refresh()
        elif (waited_s / FIRST_LINE_S) in LINES:
            self._print(text)

    def record(self, record: Record) -> None:
        """The record of the task is stored."""
        self._done += 1
        row = self._bar.tasks[0]
        if record.status != "ok":
            self._print(f"{record.status}: {self._name()}: {(record.reason or 'no reason reported').partition(chr(10))[0]}")
        elif not self._live:
            notes = ["from the cache"] * record.cached + [left for left in [row.fields["left"]] if left]
            self._print("  ".join([f"[{self._done}/{int(row.total or self._done)}] {self._name()}", *notes]))

    def _name(self) -> str:
        task = self._task
        if task is None:
            return ""
        return task.name if task.build else f"{task.name}  #{task.repetition + 1}"

    def _print(self, text: str) -> None:
        if self._live:
            self._bar.console.print(escape(text))
        else:
            print(text, file=sys.stderr, flush=True)


def _left(seconds: float | None) -> str:
    """`about 3 min left`; empty if unknown."""
    if seconds is None:
        return ""
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
