"""InfluxDB's annotated CSV: long rows of `_time`, `_value`, `_field` and tags."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.names import factor_of
from harness.meters.options import Options
from harness.meters.table import Table, delimited

BOOKKEEPING = ("", "result", "table", "_start", "_stop", "_time", "_value")


def table(name: str, text: str, options: Options) -> Table:
    """Rows of time, series and value; a series is named by its field, measurement and tags.

    Raises:
        MeterError: No `_time` and `_value`.
    """
    found = delimited(name, text, options)
    index = {each: i for i, each in enumerate(found.names)}
    if not {"_time", "_value"} <= index.keys():
        raise MeterError(
            f"{name} has no columns _time and _value", "export with `influx query --raw`, not pivoted; a pivoted one: --format csv"
        )
    tags = [each for each in found.names if each not in BOOKKEEPING]
    series = found.cells[[index[each] for each in tags]].agg(" ".join, axis=1) if tags else pd.Series("value", index=found.cells.index)
    shown = [
        each
        for each in tags
        if each == "_field" or found.cells[index[each]].nunique() > 1 or factor_of(str(found.cells[index[each]].iloc[0])) is not None
    ]
    if shown:
        series = found.cells[[index[each] for each in shown]].agg(" ".join, axis=1)
    cells = pd.DataFrame({0: found.cells[index["_time"]], 1: series, 2: found.cells[index["_value"]]})
    result = Table(["_time", "series", "_value"], cells, np.asarray(found.lines), found.torn, found.delimiter, notes=found.notes)
    result.on_change = "entity_id" in index  # Home Assistant writes states, when they change
    return result


FORMAT = MeterFormat(
    name="influxdb",
    summary="InfluxDB annotated CSV",
    recognise=head_matches(r"^#(?:datatype|group|default),|^,result,table,"),
    table=table,
    time=("_time",),
    power=(("_value", ""),),
    device=("series",),
    labelled=True,
    how="`influx query --raw '...' > log.csv`; the unit is that of the field or the measurement, such as `power_w` or `W`, else `--unit W`",
    source="docs.influxdata.com, annotated CSV",
)
