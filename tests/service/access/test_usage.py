"""The audio of keys: counted by day, limited, kept."""

import pytest

from service.access.usage import Usage, Used
from service.errors import ApiError

DAY = 86_400.0


class Clock:
    now = 20_000 * DAY + 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_has_its_seconds_each_day() -> None:
    clock = Clock()
    usage = Usage(100.0, clock)
    usage.check("ann")
    usage.add("ann", 60.0)
    usage.check("ann", 39.0)
    with pytest.raises(ApiError) as caught:
        usage.check("ann", 40.0)
    assert "or its jobs will have them" in caught.value.detail.message
    assert (caught.value.status, caught.value.detail.code) == (429, "audio_used_up")
    assert caught.value.headers is not None
    assert caught.value.headers["retry-after"] == str(int(DAY) - 100)
    usage.add("ann", 60.0)  # what began within the limit is read whole
    assert usage.of("ann") == Used(2, 120.0) and usage.of("bob") == Used()
    usage.check("bob", 99.0)
    clock.now += DAY - 101.0
    with pytest.raises(ApiError) as caught:
        usage.check("ann")
    assert "jobs" not in caught.value.detail.message
    clock.now += 1.0
    usage.check("ann")
    assert usage.of("ann") == Used() and usage.kept() == []


def test_without_a_limit_usage_is_counted_alone() -> None:
    usage = Usage(0.0)
    usage.add("", 1e9)
    usage.check("", 1e9)
    assert usage.of("").seconds == 1e9


def test_what_a_key_had_elsewhere_counts_on_the_same_day_alone() -> None:
    clock = Clock()
    usage = Usage(100.0, clock)
    usage.add("ann", 5.0)
    usage.add_elsewhere("ann", 1.0)
    usage.set_elsewhere(usage.day, [("ann", 1, 60.0), ("bob", 1, 1.0)])
    usage.add_elsewhere("bob", 1.0)
    assert usage.of("ann") == Used(2, 65.0) and usage.of("bob") == Used(2, 2.0)
    assert usage.kept() == [("ann", 1, 5.0)]
    with pytest.raises(ApiError):
        usage.check("ann", 35.0)
    yesterday = usage.day
    clock.now += DAY
    assert usage.of("ann") == Used() and usage.kept() == []
    usage.set_elsewhere(yesterday, [("ann", 1, 60.0)])
    assert usage.of("ann") == Used()
