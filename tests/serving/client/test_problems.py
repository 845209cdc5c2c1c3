import pytest

from serving.client.problems import Response, retry_after

DATE = "Mon, 23 Nov 2026 14:30:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Mon, 23 Nov 2026 14:31:30 GMT", "date": DATE}, 90),
        ({"retry-after": "Mon, 23 Nov 2026 14:29:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Mon, 23 Nov 2020 14:29:00 GMT"}, 0),
        ({"retry-after": "soon", "date": DATE}, 0),
        ({"retry-after": "-5"}, 0),
    ],
)
def test_how_long_to_stay_away_is_said_in_seconds_or_by_a_date(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(Response(503, headers, b"")) == seconds


def test_a_date_without_another_is_taken_by_our_own_clock() -> None:
    assert retry_after(Response(503, {"retry-after": "Mon, 23 Nov 2099 14:29:00 GMT"}, b"")) > 0
