"""The server's own counts, from its metrics in the text format of Prometheus."""

from __future__ import annotations

import math

from prometheus_client.parser import text_string_to_metric_families

from harness.serving.base import ServerTotals


def totals(text: str, t_ns: int, generated: str | None, running: str | None) -> ServerTotals:
    """The counts in a page of metrics; samples with different labels are added up.

    Args:
        text: The page.
        t_ns: When it was read.
        generated: Name of the counter of generated tokens; None: not reported.
        running: Name of the gauge of requests that are being processed; None: not reported.
    """
    names = tuple(name for name in (generated, running) if name)
    lines = (
        [line for line in text.splitlines() if line.startswith(names)] if names else []
    )  # pages of histograms are long, and parsing them costs CPU
    sums: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    except ValueError:
        return ServerTotals(t_ns)
    found = {name: value for name, value in sums.items() if math.isfinite(value)}
    tokens = found.get(generated) if generated else None
    return ServerTotals(t_ns, None if tokens is None else round(tokens), found.get(running) if running else None)
