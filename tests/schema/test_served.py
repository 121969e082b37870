"""The load of a case that generates text."""

import pytest

from harness.schema.served import PromptFile, TokenLoad


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (TokenLoad(concurrency=4, input_tokens=16, output_tokens=48), "c4/in16/out48"),
        (TokenLoad(rate_per_s=0.5, input_tokens=16, output_tokens=48, spread=0), "r0.5/in16/out48/spread_0"),
        (
            TokenLoad(concurrency=1, input_tokens=16, output_tokens=1, prompts=PromptFile(path="/p.jsonl", sha256="0123456789")),
            "c1/in16/out1/prompts_01234567",
        ),
    ],
)
def test_the_text_names_what_differs_from_the_defaults(load, text):
    """The part of the case's id has concurrency or rate and lengths, and spread or prompts where they are not the default."""
    assert load.text == text
