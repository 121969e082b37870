"""The interface of an engine that generates text."""

from __future__ import annotations

from abc import abstractmethod

from harness.engines.base import Engine, Load, Session
from harness.errors import EngineError
from harness.schema.served import TokenLoad
from harness.serving.base import TokenSession


class TokenEngine(Engine):
    """An engine whose spec has the unit `output_token`; its sessions generate text and do not answer single queries."""

    @abstractmethod
    def open_tokens(self, load: Load, requests: TokenLoad) -> TokenSession:
        """Load the model, or start a server with it, and wait until it can answer.

        Args:
            load: How to open the artifact; its batch size is not used.
            requests: The load that will follow, to size what depends on it: slots, context, static caches.

        Raises:
            EngineError: The model cannot be loaded; `refused` if it never can be on this machine.
        """

    def open(self, load: Load) -> Session:
        """Refuse: such an engine answers no queries of arrays.

        Raises:
            EngineError: Always.
        """
        raise EngineError(f"the engine {self.spec.name} generates text and answers no single queries", "use the scenario closed or poisson")
