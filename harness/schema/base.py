"""The base of all schema types, the kinds of evidence, and the version of the schema with its history.

`schema_version` is stored in headers, records and imported meters. Older ones are migrated on reading (`harness.schema.migration`):

- 1: the first version.
- 2: adds fields that are null or empty in a run of version 1. Measurement: `lag_s`, `counter`. Record: `shift_s`, `resident_bytes`,
  `kernels`. Artifact: `model`, `facts.zeros`. Header: `part_time` and `average_s` of a domain, `stopping` of the suite, `data_id` of a build,
  source and training of a model, data that are not arrays, `cpu_limit` of an environment. New files: imported meters, kept outputs, `fronts.json`.
- 3: the bracket of a tick reaches from the start of one read to the end of the next, and the tick is its middle (before: the middle between
  the middles of the two reads). Adds `gauge` of a measurement, `windows`, `load_s`, `clock_step_s`, `peak_device_memory_bytes` and its source of
  a record, `values` of a finding, more findings and other limits of the old ones, `allow` of a suite, `poll_period_s` of a domain, the
  conditions `count` and `duration`; of a quality `threshold`, `threshold_from`, `rival`, `ties`; of a model `metric_threshold`,
  `metric_ignore`, `signature`, `input_shapes`.
- 4: the finding `optimisation_not_confirmed` (before: `optimisation_not_shown`), `notes` of an imported meter and `precision_reported` of
  the engine facts get these names, and the findings new sentences.
- 5: adds `copies` and `in_flight` of a case and a record, `card` of a case, `profiled` and `start_conditions` of a record, `acceptance` and
  `load_timeout_s` of a suite, the basis `operators` of a kernel's share, and more findings.
- 6: adds builds for a card (`target` of a build), qualities that lm_eval evaluated, and text generation: `load` of a case, `tokens` of a record, the phase `drain`, token windows of a profile, `slo` of a suite, and more
  findings. New files: requests.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 6

Kind = Literal["counter", "sampled", "modelled", "simulated", "absent"]
Status = Literal["ok", "failed", "oom", "timeout", "killed", "refused"]
Floats = NDArray[np.float64]

KINDS: tuple[Kind, ...] = ("counter", "sampled", "modelled", "simulated", "absent")
"""From the strongest evidence to the weakest; a sum is as strong as its weakest part."""


def evidence(kind: Kind) -> str:
    """Class of kinds that may be compared with each other: `measured`, `modelled`, `simulated` or `absent`."""
    return "measured" if kind in ("counter", "sampled") else kind


class FrozenModel(BaseModel):
    """An immutable value, validated where it enters the program; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")  # codespell:ignore
