"""Times and sizes as people say them."""

import pytest

from cocktail import words


@pytest.mark.parametrize(
    "sec, said",
    [
        (5, "less than a minute"),
        (150, "2 to 3 minutes"),
        (3600 * 4, "3 to 5 hours"),
        (86400 * 3, "3 to 4 days"),
        (95, "81 to 114 seconds"),
    ],
)
def test_what_is_left_is_said_as_a_range(sec, said):
    assert words.time_left(sec) == said


@pytest.mark.parametrize(
    "low, high, said", [(1, 1, "1 second"), (119, 121, "2 minutes"), (60 * 41, 60 * 67, "41 to 67 minutes")]
)
def test_a_span_is_said_once_where_both_ends_are_the_same(low, high, said):
    assert words.duration(low, high) == said


@pytest.mark.parametrize(
    "count, said", [(1, "1 kB"), (40_300, "40 kB"), (800_000, "1 MB"), (60_000_000, "60 MB"), (2**30, "1.1 GB")]
)
def test_sizes(count, said):
    assert words.size(count) == said
