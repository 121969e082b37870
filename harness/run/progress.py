"""How a campaign goes, told on stderr: a bar in a terminal, plain lines elsewhere. Draws only when something happens, never inside a window."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from harness.schema import Domain, Record, Task


class Progress:
    """An observer of a campaign; a context that ends the bar."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            auto_refresh=False,  # a refresh in a window would cost the measured machine something
            transient=True,
        )
        self._row = self._bar.add_task("starting", total=None, left="")
        self._task: Task | None = None
        self._done = 0

    def __enter__(self) -> Progress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.done()

    def done(self) -> None:
        """Nothing more comes: end the bar, so that what follows is not drawn over."""
        if self._live:
            self._bar.stop()
            self._live = False

    def waiting(self, owner: str) -> None:
        """Another run holds the machine."""
        self._say(f"waiting: {owner} is measuring on this machine, and two runs would spoil each other")

    def sensors(self, domains: Sequence[Domain], unavailable: Mapping[str, str]) -> None:
        """What will be measured, and what cannot be."""
        energies = [f"{d.name} ({d.kind}, {d.sensor})" for d in domains if d.kind]
        self._say("energy of: " + (", ".join(energies) or "nothing on this machine"))
        if energies and all(d.kind == "modelled" for d in domains if d.kind):
            self._say("no sensor measures energy here: every joule is modelled; `harness doctor` says what would mend it")

    def task(self, task: Task, left: int, left_s: float | None) -> None:
        """A task begins."""
        self._task = task
        self._bar.update(self._row, total=self._done + left, completed=self._done, description=self._name(), left=_left(left_s))
        self._bar.refresh()

    def phase(self, name: str) -> None:
        """A phase of it begins."""
        if self._live:
            self._bar.update(self._row, description=f"{self._name()}  {name}")
            self._bar.refresh()

    def record(self, record: Record) -> None:
        """It has been stored."""
        self._done += 1
        row = self._bar.tasks[0]
        if record.status != "ok":
            self._say(f"{record.status}: {self._name()}: {(record.reason or 'no reason was told').partition(chr(10))[0]}")
        elif not self._live:
            total = int(row.total or self._done)
            self._say(
                f"[{self._done}/{total}] {self._name()}{'  from the cache' if record.cached else ''}{'  ' + row.fields['left'] if row.fields['left'] else ''}"
            )

    def _name(self) -> str:
        task = self._task
        if task is None:
            return ""
        return task.name if task.build else f"{task.name}  #{task.repetition + 1}"

    def _say(self, text: str) -> None:
        if self._live:
            self._bar.console.print(escape(text))
        else:
            print(text, file=sys.stderr, flush=True)


def _left(seconds: float | None) -> str:
    """`about 3 min left`."""
    if seconds is None:
        return ""
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
