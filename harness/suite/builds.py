"""Builds of each route, identified by a hash of everything that determines the artifact."""

from __future__ import annotations

from collections.abc import Sequence

from harness import venvs
from harness.schema import Build, Catalogue, Model, Step, VariantSpec
from harness.suite.identity import call_text, content_hash
from harness.suite.routes import Hop, importer

DATA_PACKAGES = ("numpy", "pandas", "pillow")


class Builds:
    """Collects the builds of a suite; the same build requested twice is one.

    Attributes:
        by_id: Builds by their id, parents first.
    """

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self._catalogue, self._seed = catalogue, seed
        self.by_id: dict[str, Build] = {}

    def chain(self, model: Model, route: Sequence[Hop]) -> list[Build]:
        """The builds along a route."""
        chain: list[Build] = []
        for hop in route:
            spec, parent = self._catalogue.variants.get(hop.step.recipe), chain[-1] if chain else None
            maker = spec or importer(model, self._catalogue)
            train = model.train if spec and spec.needs else None
            content = {
                "model": model.sha256,
                "parent": parent.build_id if parent else None,
                "step": hop.step.model_dump(mode="json"),
                "version": maker.version,
                "format": hop.format,
                "packages": venvs.versions(venvs.used(maker), maker.packages),
                "data": train.content() if train else None,
                "training": model.training.model_dump(mode="json") if spec and spec.needs and model.training else None,
                "seed": self._seed,
                "trusted": model.trusted,
            }
            build = Build(
                build_id=content_hash(content)[:24],
                model=model.name,
                step=hop.step,
                parent=parent.build_id if parent else None,
                data_id=self._data(model, "train", chain[0]).build_id if train and train.source else None,
                format=hop.format,
                lineage=(*(parent.lineage if parent else ()), _lineage_text(hop, spec)),
            )
            chain.append(self.by_id.setdefault(build.build_id, build))
        return chain

    def test_data_id(self, model: Model, first: Build) -> str | None:
        """Id of the build that writes the test data; None if no build does."""
        if model.brings:
            return first.build_id
        return self._data(model, "test", first).build_id if model.test and model.test.source else None

    def _data(self, model: Model, split: str, first: Build) -> Build:
        """The build that turns one split of the user's samples into arrays."""
        data = getattr(model, split)
        from_model = data.source.kind == "images"
        names = class_names(model, split)
        parent = first.build_id if from_model else None
        seed = self._seed if from_model else None
        content = [parent, split, data.content(), names, venvs.versions(None, DATA_PACKAGES), seed, model.trusted]
        build = Build(
            build_id=content_hash(content)[:24],
            model=model.name,
            step=Step(recipe="data", parameters={"split": split, "classes": names}),
            parent=parent,
            format="npz",
            lineage=(*(first.lineage if from_model else ()), f"data({split})"),
        )
        return self.by_id.setdefault(build.build_id, build)


def _lineage_text(hop: Hop, spec: VariantSpec | None) -> str:
    text = call_text(hop.step.recipe, spec.parameters if spec else None, hop.step.parameters)
    return f"{text} ({hop.format})" if hop.step.recipe not in ("dataset", "train") else text


def class_names(model: Model, split: str) -> list[str]:
    """Classes of a split by number; those of the training data if there are any."""
    sources = [ref.source for ref in (model.train, getattr(model, split)) if ref and ref.source]
    return next((list(source.options["classes"]) for source in sources if source.options.get("classes")), [])
