"""A run's folder -> whether it is what was written (checksums), and whether its figures follow from its raw data.

`files` looks at the manifest, `launches` at each record beside its raw data, `whole` at what records say of each other and of the
header, `drawn` at the report. Every formula is that of the room which made the figure.
"""

from __future__ import annotations

from harness.verify.checking import verify
from harness.verify.found import Verification

__all__ = ["Verification", "verify"]
