"""Records of tasks that never began, or were lost with the harness."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from harness.energy.figures import Raw, Setting, figures
from harness.energy.scope import for_card
from harness.run.prepared import chosen_card
from harness.schema import Environment, Header, Record, Status, Task, Trace, WindowTimes
from harness.store.journal import Lost


def not_begun(task: Task, status: Status, reason: str, run_id: str, here: Environment) -> Record:
    """The record of a task that could not begin."""
    return Record(
        run_id=run_id,
        **task.identity,
        status=status,
        reason=reason,
        environment_id=here.environment_id,
        boot_id=here.boot_id,
        started_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        utc_minus_monotonic_s=time.time() - time.monotonic(),
    )


def killed(lost: Lost, header: Header, *, simulated: bool) -> tuple[Record, Trace]:
    """The record of a task that was lost when the harness was killed, from the samples stored so far.

    Args:
        lost: The journal of the task.
        header: Header of the run.
        simulated: Whether the engine is a test double.
    """
    announced = lost.announced
    card = chosen_card(announced.task)
    domains = {domain.name: domain for domain in for_card(header.domains, card) if domain.name in lost.samples}
    trace = Trace(domains, {name: lost.samples[name] for name in domains})
    windows = _windows(lost)
    setting = Setting(case=announced.task.case, domains=header.suite.domains, simulated=simulated)
    figures_ = figures(Raw(trace, windows), setting, ended=False)
    reason = "the harness itself ended during this task: it was killed, or its disk was full"
    record = not_begun(announced.task, "killed", reason, header.run_id, header.environments[-1])
    return record.model_copy(
        update={
            "boot_id": announced.boot_id,
            "started_utc": announced.started_utc,
            "utc_minus_monotonic_s": announced.utc_minus_monotonic_s,
            "windows": tuple(windows),
            **figures_.of_record(trace),
            "conditions": {},  # no window was completed
        }
    ), trace


def _windows(lost: Lost) -> list[WindowTimes]:
    """Each phase until the next, the last until every sensor had been read."""
    last_s = min((float(sample.t_s[-1]) for sample in lost.samples.values() if len(sample.value)), default=None)
    if last_s is None:
        return []
    starts = [start_s for _, start_s in lost.phases]
    spans = zip(lost.phases, [*starts[1:], last_s], strict=True)
    return [WindowTimes.loose(name, start_s, min(end_s, last_s)) for (name, start_s), end_s in spans if min(end_s, last_s) > start_s]
