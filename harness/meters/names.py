"""A column's name -> whether it names power, in which unit, or another quantity."""

from __future__ import annotations

import re
from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """The words of a text."""
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
"""Megawatts, or milliwatts in capitals: not decided by the name."""
OTHERS = words(
    "wh kwh mwh gwh whs kwhs ws j kj mj joule joules v mv kv volt volts a ma amp amps ampere amperes ah mah va kva mva var kvar % pct percent hz khz mhz ghz "
    "c °c degc f °f k rpm b kb mb gb kib mib gib s sec ms us ns min h hours dbm db ratio fps yes/no ohm"
)
"""Units of other quantities, in lower case."""
LAST_OTHERS = OTHERS - {"a", "b", "c", "f", "k", "h", "s", "v", "j", "min"}
"""Those that a name without brackets may end in: a single letter is rather the name of a phase or a rail."""
POWER_WORDS = words(
    "power pwr watt watts wattage leistung wirkleistung puissance potencia potência potenza vermogen effekt moc teho 功率 电力 電力 消費電力"
)
NEVER = words(
    "energy joule joules percent percentage pct factor pf apparent reactive va var kva kvar wh kwh mwh scheinleistung blindleistung leistungsfaktor "
    "apparente aparente schijnvermogen réactive reattiva reactiva blindvermogen facteur fattore cos phi cosphi"
)
"""Words of another quantity: such a column is no power whatever is asked for."""
NOT_DRAWN = words(
    "pl pmin pmax ppeak limit limits limited cap capped capping budget target set setpoint rated nominal tdp threshold max maximum min minimum peak state mode status management "
    "brake slowdown reason reasons default enforced supported available headroom remaining saved sigma tx rx std stddev deviation variance error uncertainty accuracy range delta"
)
"""Words of a setting or a statistic: power, but not what was drawn."""
BRACKETS = re.compile(r"[\[(]([^\[\]()]*)[\])]")
PER = re.compile(r"\bW(?:atts?)?\s*/\s*[A-Za-z]", re.IGNORECASE)
PER_WATT = re.compile(r"(?:(?<![^\W_])per[ _-]?|(?P<what>[^/]*)/\s*)[mk]?w(?:atts?)?(?![^\W_])", re.IGNORECASE)
"""Something per watt, such as `fps per W` or `GFLOPS/W`; not a quantity and its unit, such as `P / W`."""
QUANTITY = re.compile(r"\s*P(?:[ _.-]?(?:\d+|tot(?:al)?|sum|avg|mean|act|in|out|el|ac|dc|l?[123abc]))?\s*", re.IGNORECASE)
TIMES = re.compile(r"\bW(?:atts?)?[\])]?\s*[x\u00d7*/]\s*10+\b", re.IGNORECASE)
"""A multiple of watts, such as `W x10`: the unit is asked for."""
NOT_BY_LETTER = words("voltage temperature temp frequency freq humidity speed")
"""Beside these words a bare W is a phase or a place, not a unit."""
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|%|\d+")


@dataclass(frozen=True)
class Name:
    """What a column's name means.

    Attributes:
        factor: Its unit in W; None if it names none.
        power: Whether it names power.
        other: What it names instead; empty if nothing speaks against power.
        setting: Whether it is a setting, a statistic or a ratio rather than the power drawn.
        mega: Whether its unit is written `MW`.
    """

    factor: float | None
    power: bool
    other: str = ""
    setting: bool = False
    mega: bool = False

    @property
    def usable(self) -> bool:
        """Whether such a column may be taken for power without being asked for."""
        return not self.other and not self.setting and (self.power or self.factor is not None or self.mega)


ENERGY = re.compile(
    r"(?<![^\W_])(?:[nmkgµμu]|milli|micro|kilo|mega|giga)?"
    r"(?:(?:w|watts?)[\s.·⋅*_-]*(?:h|hr|hrs|hours?|secs?|seconds?|std|stunden?|heures?|horas?|ore|uur)|ws)(?![^\W_])",
    re.IGNORECASE,
)
"""Units of energy made of watts and a time, as in `Watt Hours`, `kW-h` or `Ws`."""
OTHER_UNIT = re.compile(r"[numkµμ]?(?:a|v|va|var|vah|varh|ah|wh|ws|j|ohm|ω)|[mg](?:wh|j|va|var|hz)", re.IGNORECASE)
"""Units of other quantities with their prefixes."""


def factor_of(unit: str) -> float | None:
    """A unit of power in W; None for any other text."""
    return None if unit.strip() == MEGA else WATTS.get(unit.strip().strip(".").lower())


def is_other(unit: str) -> bool:
    """Whether a text is a unit of another quantity, such as `kWh`, `V` or `% TDP`."""
    text = unit.strip()
    return "%" in text or text.lower() in OTHERS or OTHER_UNIT.fullmatch(text) is not None or ENERGY.fullmatch(text) is not None


def understood(name: str) -> Name:
    """Read a column's name.

    Args:
        name: As in the header, such as `GPU Power (Total) [W]`, `power_mw` or `powerWatts`.
    """
    bare = BRACKETS.sub(" ", name)
    parts = PARTS.findall(bare)
    lower = {word.lower() for word in parts} | {word.lower() for group in BRACKETS.findall(name) for word in PARTS.findall(group)}
    power = bool(lower & POWER_WORDS) or any(word in bare.lower() for word in ("leistung", "功率", "电力", "電力"))
    setting = bool(lower & NOT_DRAWN)
    if TIMES.search(name):
        return Name(None, True, _never(lower), setting)
    if any(map(_is_ratio, (bare, *BRACKETS.findall(name)))):
        return Name(None, power=False, other=_never(lower), setting=True)
    for group in reversed(BRACKETS.findall(name)):
        if group.strip() == MEGA:
            return Name(None, power, setting=setting, mega=True)
        factor = factor_of(group)
        if factor is not None:
            return Name(factor, power, _never(lower), setting)
        if is_other(group):
            return Name(None, power, group.strip() or "another unit", setting)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare)
    other = (
        _never(lower)
        or ("%" if "%" in bare else "")
        or next(iter(sorted(lower & NOT_BY_LETTER)), "")
        or ("W per another unit" if PER.search(name) else "")
        or ("an energy" if ENERGY.search(bare) or ENERGY.search(spaced) else "")
    )
    if not parts or other:
        return Name(None, power, other, setting)
    tokens = re.findall(r"[^\W_]+", bare)
    if MEGA in tokens:
        return Name(None, power, setting=setting, mega=True)
    factor = next((WATTS[token.lower()] for token in reversed(tokens) if token.lower() in WATTS), None) or _glued(bare)
    if factor is None and (tokens[-1].lower() in LAST_OTHERS or (len(tokens[-1]) > 1 and OTHER_UNIT.fullmatch(tokens[-1]))):
        return Name(None, power, tokens[-1], setting)
    return Name(factor, power, setting=setting)


def _is_ratio(text: str) -> bool:
    """Whether a text means something per watt."""
    per = PER_WATT.search(text)
    what = "" if per is None else per["what"] or ""
    return per is not None and not (QUANTITY.fullmatch(what) or {word.lower() for word in PARTS.findall(what)} & POWER_WORDS)


def _never(words: set[str]) -> str:
    return next(iter(sorted(words & NEVER)), "")


def _glued(name: str) -> float | None:
    """The unit at the end of a word, as in `powermW`, `powerKw` or `PkgWatt`."""
    match = re.search(r"(?:(?<=[a-z])(?:[mku]?W|Kw|Mw)|(?<=[A-Za-z])(?:[Mm]illi[Ww]atts?|[Kk]ilo[Ww]atts?|Watts?|Wattage))\d*\s*$", name)
    return WATTS.get(match[0].strip().rstrip("0123456789").lower()) if match else None
