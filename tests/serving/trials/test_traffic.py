import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.protocol import Trial
from serving.trials.traffic import BUCKETS, bucket, on_canary
from tests.fakes import a_version

KEYS = st.binary(min_size=1, max_size=300)
PERCENTS = st.floats(0, 100)


def canary(percent: float, name: str = "iris") -> Trial:
    return Trial(a_version(7, name=name), "canary", percent, 1)


@pytest.mark.parametrize("kind", ["caller-{}", "{}", "0f3a9c{:x}", "{0:032x}"])
@pytest.mark.parametrize("percent", [10, 50, 0.5])
def test_the_share_of_ten_thousand_callers_is_the_percent(kind: str, percent: float) -> None:
    heard = sum(on_canary(canary(percent), kind.format(number).encode()) for number in range(10_000))

    assert heard / 100 == pytest.approx(percent, abs=1)


@given(key=KEYS, percent=PERCENTS)
def test_a_caller_always_gets_the_same_answer(key: bytes, percent: float) -> None:
    assert on_canary(canary(percent), key) == on_canary(canary(percent), bytes(bytearray(key)))


@given(key=KEYS, percents=st.tuples(PERCENTS, PERCENTS))
def test_who_is_on_the_canary_stays_on_it_while_the_percent_grows(key: bytes, percents: tuple[float, float]) -> None:
    smaller, larger = sorted(percents)

    assert on_canary(canary(smaller), key) <= on_canary(canary(larger), key)


@given(key=KEYS)
def test_nobody_is_on_a_canary_of_no_percent_and_everybody_on_one_of_a_hundred(key: bytes) -> None:
    assert not on_canary(canary(0), key)
    assert on_canary(canary(100), key)


@given(key=KEYS)
def test_a_shadow_answers_nobody(key: bytes) -> None:
    assert not on_canary(Trial(a_version(7), "shadow", 100, 1), key)


@given(key=KEYS)
def test_a_bucket_is_one_of_them(key: bytes) -> None:
    assert 0 <= bucket("iris", key) < BUCKETS


def test_every_process_of_every_release_puts_a_caller_into_the_same_bucket() -> None:
    """A changed number here moves callers from one version to another when serving is updated."""
    assert [bucket("iris", key) for key in (b"ada", b"grace", b"1")] == [1206, 7241, 8403]


def test_each_model_has_other_callers_on_its_canary() -> None:
    one, other = (
        {number for number in range(1000) if on_canary(canary(10, name), str(number).encode())}
        for name in ("iris", "wine")
    )

    assert one != other


def test_a_long_key_costs_no_more_than_its_beginning() -> None:
    assert bucket("iris", b"k" * 256) == bucket("iris", b"k" * 100_000)
