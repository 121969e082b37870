"""A YAML file of offers -> what each machine costs and the site it would stand on, every mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.suite.document import Document, DocumentKind, nearest, read, wrong_value
from harness.suite.grammar import Name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Amount = Annotated[float, Field(ge=0, le=1e12)]
"""Of money, or of kilograms: beyond it no sum of them has a meaning."""


class GridOffer(_Strict):
    """Whose electricity it is; all three are printed beside the carbon."""

    country: Annotated[str, Field(min_length=2)]
    year: Annotated[int, Field(ge=1990, le=2100)]
    g_per_kwh: Amount


class Offer(_Strict):
    """One machine that may be bought."""

    machine: Annotated[str, Field(min_length=1)]
    """The name of a run, or of the host it ran on."""
    capital_cost: Amount
    lifetime_years: Annotated[float, Field(ge=0.01, le=50)]
    embodied_kg_co2e: Amount | None = None


class Offers(_Strict):
    """The site, and the machines that are offered."""

    currency: Annotated[Name, Field(max_length=10)]
    electricity_price_per_kwh: Amount
    duty_cycle: Annotated[float, Field(ge=0.0001, le=1)]
    pue: Annotated[float, Field(ge=1, le=5)]
    psu_efficiency: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    grid: GridOffer | None = None
    offers: Annotated[list[Offer], Field(min_length=1)]

    def of(self, run_id: str, host: str | None) -> Offer | None:
        """The offer of a run: by its own name first, then by its host's; null where there is none."""
        return next((each for name in (run_id, host) for each in self.offers if each.machine == name), None)


KIND = DocumentKind("file of offers", "nothing was compared", "suites/offers.example.yaml shows every field")
SECTIONS: dict[str, type[BaseModel]] = {"grid": GridOffer, "offers": Offer}


def read_offers(path: Path) -> Offers:
    """Read and check a file of offers.

    Raises:
        SuiteError: With every mistake, its line and the nearest name.
    """
    document = read(path, KIND)
    try:
        offers = Offers.model_validate(document.values)
        for i, each in enumerate(offers.offers):
            if each.machine in [other.machine for other in offers.offers[:i]]:
                document.add_problem(("offers", i, "machine"), f"{each.machine!r} is offered twice")
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
    if problem["type"] == "extra_forbidden":
        section = next((part for part in place[:-1] if isinstance(part, str)), "")
        return f"unknown field {name!r}{nearest(name, SECTIONS.get(section, Offers).model_fields)}"
    return wrong_value(name, problem)
