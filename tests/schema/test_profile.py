"""Profiles of effort."""

from harness.schema import PROFILES


def test_more_effort_means_longer_windows_and_more_launches():
    """From quick to publish; windows of generated text are at least as long as those of queries."""
    profiles = [PROFILES[name] for name in ("quick", "standard", "publish")]
    for field in ("first", "cap", "window_s", "window_ticks", "idle_s", "warmup_s", "token_window_s", "token_window_requests"):
        values = [getattr(profile, field) for profile in profiles]
        assert values == sorted(values)
    assert all(profile.token_window_s >= profile.window_s for profile in profiles)
