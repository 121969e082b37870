"""The interface of a model that generates text."""

from harness.serving.base import TokenSession


class Silent(TokenSession):
    """A session with the least that is needed."""

    def run(self, load):
        """Generate nothing."""

    def answer(self, prompts, concurrency):
        """Answer nothing."""
        return []


def test_what_a_session_need_not_have():
    """A session without metrics and facts reports none."""
    session = Silent()
    assert session.totals() is None
    assert session.facts() == {}
    assert session.precision() is None
    assert session.profile(1.0) == ()
    assert session.close() == {}
