"""What every noun is: a frozen value, validated once; and the words that have a closed set of values."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 3

Kind = Literal["counter", "sampled", "modelled", "simulated", "absent"]
Status = Literal["ok", "failed", "oom", "timeout", "killed", "refused"]
Floats = NDArray[np.float64]

# From the strongest evidence to the weakest; a sum is as strong as its weakest part.
KINDS: tuple[Kind, ...] = ("counter", "sampled", "modelled", "simulated", "absent")


def evidence(kind: Kind) -> str:
    """What may be compared: measured with measured, modelled with modelled."""
    return "measured" if kind in ("counter", "sampled") else kind


class FrozenModel(BaseModel):
    """A frozen value, validated once where it enters the program."""

    model_config = ConfigDict(frozen=True, extra="forbid")
