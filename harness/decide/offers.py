"""Hardware offers and their site, read from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.suite.document import Document, DocumentKind, nearest, read, wrong_value
from harness.suite.grammar import Name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)  # codespell:ignore


Amount = Annotated[float, Field(ge=0, le=1e12)]
"""Money or kilograms."""


class GridOffer(_Strict):
    """Carbon intensity of the electricity, with its source for the report."""

    country: Annotated[str, Field(min_length=2)]
    year: Annotated[int, Field(ge=1990, le=2100)]
    g_per_kwh: Amount


class Offer(_Strict):
    """Offer for one machine."""

    machine: Annotated[str, Field(min_length=1)]
    """Name of a run, or of its host."""
    capital_cost: Amount
    lifetime_years: Annotated[float, Field(ge=0.01, le=50)]
    embodied_kg_co2e: Amount | None = None


class Offers(_Strict):
    """Offers for machines, and the site they would run at."""

    currency: Annotated[Name, Field(max_length=10)]
    electricity_price_per_kwh: Amount
    duty_cycle: Annotated[float, Field(ge=0.0001, le=1)]
    pue: Annotated[float, Field(ge=1, le=5)]
    psu_efficiency: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    grid: GridOffer | None = None
    offers: Annotated[list[Offer], Field(min_length=1)]

    def of(self, run_id: str, host: str | None) -> Offer | None:
        """Offer for a run, by its name or otherwise by its host; None if there is none."""
        return next((each for name in (run_id, host) for each in self.offers if each.machine == name), None)


KIND = DocumentKind("file of offers", "nothing was compared", "suites/offers.example.yaml shows every field")
SECTIONS: dict[str, type[BaseModel]] = {"grid": GridOffer, "offers": Offer}


def read_offers(path: Path) -> Offers:
    """Offers of a YAML file.

    Raises:
        SuiteError: A field or a value is wrong; with file, line and the nearest name.
    """
    document = read(path, KIND)
    try:
        offers = Offers.model_validate(document.values)
        for i, each in enumerate(offers.offers):
            if each.machine in [other.machine for other in offers.offers[:i]]:
                document.add_problem(("offers", i, "machine"), f"{each.machine!r} has two offers")
        document.check()
        return offers
    except ValidationError as error:
        for problem in error.errors():
            document.add_problem(problem["loc"], _sentence(problem, document))
    document.check()
    raise AssertionError("a validation error without a problem")


def _sentence(problem: Any, document: Document) -> str:
    place = problem["loc"]
    if not place:
        return "offers are a mapping: see suites/offers.example.yaml" + ("; the file is empty" if document.values is None else "")
    name = next(part for part in reversed(place) if isinstance(part, str))
    if problem["type"] == "extra_forbidden":  # codespell:ignore
        section = next((part for part in place[:-1] if isinstance(part, str)), "")
        return f"unknown field {name!r}{nearest(name, SECTIONS.get(section, Offers).model_fields)}"
    return wrong_value(name, problem)
