"""The interface of recipes, checked for every installed recipe."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness import plugins
from harness.variants.base import LEAVE_OUT, RecipeParameters, not_applicable

RECIPES = sorted(plugins.catalogue().variants)


@pytest.mark.parametrize("name", RECIPES)
def test_parameters_refuse_what_they_do_not_know(name):
    """A misspelt parameter would be ignored without an error."""
    parameters = plugins.load("variants", name).spec.parameters
    if parameters is not None:
        assert issubclass(parameters, RecipeParameters)
        with pytest.raises(ValidationError, match="misspelt"):
            parameters(misspelt=1)


def test_a_refusal_is_for_good():
    """With the usual next step, or another."""
    error = not_applicable("nothing to prune")
    assert (error.what, error.hint, error.refused) == ("nothing to prune", LEAVE_OUT, True)
    assert not_applicable("too few steps", "train longer").hint == "train longer"
