"""Which quantity and unit the name of a column states, and which texts are units."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """Set of the words of a text."""
    return frozenset(text.split())


WATTS = {
    **dict.fromkeys(("w", "watt", "watts", "wattage"), 1.0),
    **dict.fromkeys(("mw", "milliwatt", "milliwatts", "mwatt", "mwatts"), 1e-3),
    **dict.fromkeys(("kw", "kilowatt", "kilowatts", "kwatt", "kwatts"), 1e3),
    **dict.fromkeys(("uw", "µw", "μw", "microwatt", "microwatts"), 1e-6),
    **dict.fromkeys(("megawatt", "megawatts"), 1e6),
}  # fmt: skip
"""Units of power in W, in lower case."""
MEGA = "MW"
"""Megawatts, or milliwatts in capitals: the user decides."""
OTHERS = words(
    "wh kwh mwh gwh whs kwhs ws j kj mj joule joules v mv kv volt volts a ma amp amps ampere amperes ah mah va kva mva var kvar % pct percent hz khz mhz ghz "
    "c °c degc f °f k rpm b kb mb gb kib mib gib s sec ms us ns min h hours dbm db ratio fps yes/no ohm"
)
"""Units of other quantities, in lower case."""
LAST_OTHERS = OTHERS - {"a", "b", "c", "f", "k", "h", "s", "v", "j", "min"}
"""Units that a name without brackets may end in: a single letter is more likely a phase or a rail."""
POWER_WORDS = words(
    "power pwr watt watts wattage leistung wirkleistung puissance potencia potência potenza vermogen effekt moc teho 功率 电力 電力 消費電力"
)
NOT_POWER = words(
    "energy joule joules percent percentage pct factor pf apparent reactive va var kva kvar wh kwh mwh scheinleistung blindleistung leistungsfaktor "
    "apparente aparente schijnvermogen réactive reattiva reactiva blindvermogen facteur fattore cos phi cosphi"
)
"""Words of other quantities: such a column is never power."""
NOT_DRAWN = words(
    "pl pmin pmax ppeak limit limits limited cap capped capping budget target set setpoint rated nominal tdp threshold max maximum min minimum peak state mode status management "
    "brake slowdown reason reasons default enforced supported available headroom remaining saved sigma tx rx std stddev deviation variance error uncertainty accuracy range delta"
)
"""Words of a setting or a statistic: a power, but not the one drawn."""
BRACKETS = re.compile(r"[\[(]([^\[\]()]*)[\])]")
PER = re.compile(r"\bW(?:atts?)?\s*/\s*[A-Za-z]", re.IGNORECASE)
PER_WATT = re.compile(r"(?:(?<![^\W_])per[ _-]?|(?P<quantity>[^/]*)/\s*)[mk]?w(?:atts?)?(?![^\W_])", re.IGNORECASE)
"""A ratio such as `fps per W` or `GFLOPS/W`; `P / W` is a quantity and its unit instead."""
QUANTITY = re.compile(r"\s*P(?:[ _.-]?(?:\d+|tot(?:al)?|sum|avg|mean|act|in|out|el|ac|dc|l?[123abc]))?\s*", re.IGNORECASE)
TIMES = re.compile(r"\bW(?:atts?)?[\])]?\s*[x\u00d7*/]\s*10+\b", re.IGNORECASE)
"""A multiple of watts, such as `W x10`: the user must give the unit."""
NOT_BY_LETTER = words("voltage temperature temp frequency freq humidity speed")
"""In a name with these words, a single W is a phase or a place, not a unit."""
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|%|\d+")
GLUED = re.compile(r"(?:(?<=[a-z])(?:[mku]?W|Kw|Mw)|(?<=[A-Za-z])(?:[Mm]illi[Ww]atts?|[Kk]ilo[Ww]atts?|Watts?|Wattage))\d*\s*$")
"""A unit at the end of a word, as in `powermW`, `powerKw` or `PkgWatt`."""
ENERGY = re.compile(
    r"(?<![^\W_])(?:[nmkgµμu]|milli|micro|kilo|mega|giga)?"
    r"(?:(?:w|watts?)[\s.·⋅*_-]*(?:h|hr|hrs|hours?|secs?|seconds?|std|stunden?|heures?|horas?|ore|uur)|ws)(?![^\W_])",
    re.IGNORECASE,
)
"""Units of energy made of watts and a time, as in `Watt Hours`, `kW-h` or `Ws`."""
OTHER_UNIT = re.compile(r"[numkµμ]?(?:a|v|va|var|vah|varh|ah|wh|ws|j|ohm|ω)|[mg](?:wh|j|va|var|hz)", re.IGNORECASE)
"""Units of other quantities with their prefixes."""


@dataclass(frozen=True)
class ColumnName:
    """What the name of a column states.

    Attributes:
        factor: Its unit in W; None if it states none.
        power: Whether it names power.
        other: The other quantity that it names; empty if it may be power.
        setting: Whether it is a setting, a statistic or a ratio rather than the power drawn.
        mega: Whether its unit is written `MW`.
    """

    factor: float | None
    power: bool
    other: str = ""
    setting: bool = False
    mega: bool = False

    @property
    def may_be_power(self) -> bool:
        """Whether the column may be taken as power without `--power-column`."""
        return not self.other and not self.setting and (self.power or self.factor is not None or self.mega)


def factor_of(unit: str) -> float | None:
    """A unit of power in W; None for any other text."""
    return None if unit.strip() == MEGA else WATTS.get(unit.strip().strip(".").lower())


def is_other(unit: str) -> bool:
    """Whether a text is a unit of another quantity, such as `kWh`, `V` or `% TDP`."""
    text = unit.strip()
    return "%" in text or text.lower() in OTHERS or OTHER_UNIT.fullmatch(text) is not None or ENERGY.fullmatch(text) is not None


def lower_words(name: str) -> set[str]:
    """Words of a name in lower case, split at underscores, digits and capitals."""
    return {part.lower() for part in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))}


def parse_name(name: str) -> ColumnName:
    """Quantity and unit that the name of a column states.

    Args:
        name: As in the header, such as `GPU Power (Total) [W]`, `power_mw` or `powerWatts`.
    """
    groups, bare = BRACKETS.findall(name), BRACKETS.sub(" ", name)
    lower = {word.lower() for text in (bare, *groups) for word in PARTS.findall(text)}
    power = bool(lower & POWER_WORDS) or any(word in bare.lower() for word in ("leistung", "功率", "电力", "電力"))
    setting = bool(lower & NOT_DRAWN)
    if TIMES.search(name):
        return ColumnName(None, True, _first(lower & NOT_POWER), setting)
    if any(map(_is_ratio, (bare, *groups))):
        return ColumnName(None, power=False, other=_first(lower & NOT_POWER), setting=True)
    for group in reversed(groups):
        if group.strip() == MEGA:
            return ColumnName(None, power, setting=setting, mega=True)
        if factor_of(group) is not None:
            return ColumnName(factor_of(group), power, _first(lower & NOT_POWER), setting)
        if is_other(group):
            return ColumnName(None, power, group.strip() or "another unit", setting)
    other = _other_quantity(name, bare, lower)
    return ColumnName(None, power, other, setting) if other or not PARTS.search(bare) else _unit_of_words(bare, power, setting)


def _other_quantity(name: str, bare: str, lower: set[str]) -> str:
    """What a name without a unit in brackets names instead of power; empty if nothing."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    return (
        _first(lower & NOT_POWER)
        or ("%" if "%" in bare else "")
        or _first(lower & NOT_BY_LETTER)
        or ("W per another unit" if PER.search(name) else "")
        or ("an energy" if ENERGY.search(bare) or ENERGY.search(spaced) else "")
    )


def _unit_of_words(bare: str, power: bool, setting: bool) -> ColumnName:
    """A name by the unit among its words: the last one, or one at the end of a word."""
    tokens = re.findall(r"[^\W_]+", bare)
    if MEGA in tokens:
        return ColumnName(None, power, setting=setting, mega=True)
    factor = next((WATTS[token.lower()] for token in reversed(tokens) if token.lower() in WATTS), None)
    if factor is None and (match := GLUED.search(bare)):
        factor = WATTS.get(match[0].strip().rstrip("0123456789").lower())
    if factor is None and (tokens[-1].lower() in LAST_OTHERS or (len(tokens[-1]) > 1 and OTHER_UNIT.fullmatch(tokens[-1]))):
        return ColumnName(None, power, tokens[-1], setting)
    return ColumnName(factor, power, setting=setting)


def _is_ratio(text: str) -> bool:
    """Whether a text means something per watt."""
    match = PER_WATT.search(text)
    quantity = match["quantity"] or "" if match else ""
    return match is not None and not (QUANTITY.fullmatch(quantity) or {word.lower() for word in PARTS.findall(quantity)} & POWER_WORDS)


def _first(texts: Iterable[str]) -> str:
    """The first in alphabetical order; empty if there is none."""
    return min(texts, default="")
