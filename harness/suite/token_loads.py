"""Loads of a matrix on models that generate text, and which engines and scenarios fit together."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.schema import EngineSpec
from harness.schema.served import PromptFile, TokenLoad
from harness.suite.document import Document, Place
from harness.suite.files import Files
from harness.suite.grammar import Matrix


class TokenLoads:
    """Reads the loads of matrices."""

    def __init__(self, document: Document) -> None:
        self._document, self._files = document, Files(document, trusted=False)

    def of(self, place: Place, matrix: Matrix) -> Mapping[str, list[TokenLoad]]:
        """The loads of each scenario that generates text, and problems of fields that have no effect or are missing."""
        written = matrix.model_fields_set
        scenarios = matrix.scenarios or []
        if "poisson" in scenarios and matrix.rates_per_s is None:
            self._document.add_problem((*place, "scenarios"), "poisson needs rates: add `rates_per_s: [1]` to the matrix")
        if "rates_per_s" in written and "poisson" not in scenarios:
            self._document.add_problem((*place, "rates_per_s"), "'rates_per_s' needs `scenarios: [poisson]`")
        if "concurrency" in written and scenarios and "closed" not in scenarios:
            self._document.add_problem((*place, "concurrency"), "'concurrency' needs `scenarios: [closed]`")
        lengths = [
            {
                "input_tokens": each.input,
                "output_tokens": each.output,
                "spread": each.spread,
                "prompts": self._file((*place, "lengths", index, "prompts"), each.prompts),
            }
            for index, each in enumerate(matrix.lengths)
        ]
        return {
            "closed": [TokenLoad(concurrency=number, **each) for each in lengths for number in matrix.concurrency],
            "poisson": [TokenLoad(rate_per_s=rate, **each) for each in lengths for rate in matrix.rates_per_s or ()],
        }

    def _file(self, place: Place, written: str | None) -> PromptFile | None:
        path = self._files.file(place, written) if written else None
        if path is None or written is None:
            return None
        return PromptFile(path=str(path), sha256=self._files.sha256(path))


def unanswered(engine: EngineSpec, scenario: str) -> str | None:
    """Why an engine cannot answer a scenario; None if it can."""
    if scenario in engine.scenarios:
        return None
    kind = "generates text" if engine.unit == "output_token" else "answers queries"
    return f"{engine.name} {kind}, with the scenarios {' and '.join(engine.scenarios)}, not {scenario}"


def scenarios_of(engines: Collection[EngineSpec]) -> tuple[str, ...]:
    """The scenarios that some engine has."""
    return tuple(dict.fromkeys(scenario for engine in engines for scenario in engine.scenarios))
