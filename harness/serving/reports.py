"""What a server reports about itself over HTTP: its model, version, context and slots, and what its options became."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from harness.errors import EngineError
from harness.serving.presets import OUTPUT, Preset

KEY = "HARNESS_API_KEY"
"""Environment variable with the key that requests carry."""
TIMEOUT_S = 10.0
REFUSALS = (401, 403)


class Reports:
    """Answers of a server to GET requests, each asked once.

    Args:
        url: Its address without a path.
        title: Its name, for messages.
        key: Key that is sent as `Authorization: Bearer`; None: none.
    """

    def __init__(self, url: str, title: str, key: str | None = None) -> None:
        self._url, self._title = url, title
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._texts: dict[str, str | None] = {}

    def text(self, path: str) -> str | None:
        """The answer as text; None if there is none.

        Raises:
            EngineError: The server asks for an API key.
        """
        if path not in self._texts:
            self._texts[path] = self._get(path)
        return self._texts[path]

    def value(self, path: str, keys: Sequence[str | int]) -> Any:
        """A value in the answer; None if it is not there."""
        value: Any = None
        with suppress(ValueError):
            value = json.loads(self.text(path) or "null")
        for key in keys:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def model(self, name: str | None) -> str:
        """Name of the model in requests: the given one, or the only one that the server has.

        Raises:
            EngineError: It does not answer, or has no model, or several of which none is chosen.
        """
        models = self.value("/v1/models", ("data",))
        names = [str(model["id"]) for model in models if isinstance(model, dict) and "id" in model] if isinstance(models, list) else None
        if name is not None and (not names or name in names):
            return name
        if names is None:
            raise EngineError(
                f"{self._title} at {self._url} does not list its models at /v1/models", "check that it has an OpenAI-compatible API"
            )
        if name is not None or len(names) != 1:
            listed = ", ".join(names[:5]) or "none"
            raise EngineError(
                f"{self._title} at {self._url} has the models {listed}" + (f", but not {name}" if name else ""),
                "choose one of them with the option `served_name`",
            )
        return names[0]

    def facts(self, preset: Preset) -> dict[str, Any]:
        """What the server reports of `Preset.reports`; what it does not report is left out."""
        values = {name: self.value(path, keys) for name, (path, keys) in preset.reports.items()}
        return {name: value for name, value in values.items() if isinstance(value, str | int | float) and not isinstance(value, bool)}

    def proofs(self, preset: Preset, asked: Mapping[str, str], output: str) -> dict[str, str | None]:
        """What each option has become as the server reports it; None where it does not.

        Args:
            preset: Where it reports them.
            asked: Options that were set.
            output: What it has printed.
        """
        return {name: self._proof(preset, name, output) for name in asked}

    def _proof(self, preset: Preset, name: str, output: str) -> str | None:
        if name not in preset.proofs:
            return None
        source, pattern = preset.proofs[name]
        match = re.search(pattern, output if source == OUTPUT else self.text(source) or "")
        return match.group(1) if match else None

    def _get(self, path: str) -> str | None:
        import httpx

        try:
            with httpx.Client(trust_env=False, timeout=TIMEOUT_S, headers=self._headers) as client:
                answer = client.get(self._url + path)
        except httpx.HTTPError:
            return None
        if answer.status_code in REFUSALS:
            what = f"{self._title} at {self._url} asks for an API key ({answer.status_code} {path})"
            raise EngineError(what, f"start it without one, or set the environment variable {KEY}")
        return answer.text if answer.status_code == httpx.codes.OK else None
