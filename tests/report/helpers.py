"""Tables with hostile names."""

from __future__ import annotations

from harness import frame
from tests.factories import case, record, stored

HOSTILE = '=x|y<script>`z`[red]\x1b[31m\u202e\\input{/etc/passwd}$%#_&~^"--*\n名'


def hostile_table():
    """One case with a hostile name and reason."""
    each = case(HOSTILE)
    return frame.cases([stored([each], [record(each, {}, status="failed", reason=HOSTILE, latency=None, quality=None)])])
