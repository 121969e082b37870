"""InfluxDB's annotated CSV: long rows of `_time`, `_value`, `_field` and tags."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.options import Options
from harness.meters.table import Table, delimited
from harness.meters.units import factor_of

BOOKKEEPING = ("", "result", "table", "_start", "_stop", "_time", "_value")


def table(name: str, text: str, options: Options) -> Table:
    """Rows of time, series and value; a series is named by its field, and by the tags that vary or are a unit.

    Raises:
        MeterError: It has no columns `_time` and `_value`.
    """
    log = delimited(name, text, options)
    index = {each: i for i, each in enumerate(log.names)}
    if not {"_time", "_value"} <= index.keys():
        raise MeterError(
            f"{name} has no columns _time and _value", "export with `influx query --raw`, not pivoted; a pivoted one: --format csv"
        )
    tags = {each: log.cells[i] for each, i in index.items() if each not in BOOKKEEPING}
    naming = [
        each for each, cells in tags.items() if each == "_field" or cells.nunique() > 1 or factor_of("".join(cells.iloc[:1])) is not None
    ]
    series = pd.Series("value", index=log.cells.index)
    if tags:
        series = log.cells[[index[each] for each in naming or tags]].agg(" ".join, axis=1)
    cells = pd.DataFrame({0: log.cells[index["_time"]], 1: series, 2: log.cells[index["_value"]]})
    # Home Assistant writes states, when they change.
    return replace(log, names=["_time", "series", "_value"], cells=cells, headed=True, on_change="entity_id" in index)


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
