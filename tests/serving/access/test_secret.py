from hypothesis import given
from hypothesis import strategies as st

from serving.access import secret


def test_no_two_keys_are_alike_and_each_finds_its_record() -> None:
    made = [secret.made() for _ in range(100)]

    assert len({each.key for each in made}) == len({each.id for each in made}) == 100
    assert all(secret.id_of(each.key.encode()) == each.id for each in made)
    assert all(secret.digest(each.key.encode()) == each.digest for each in made)
    assert not any(each.key[len(secret.PREFIX) + 13 :] in each.digest for each in made)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_key_or_is_none(given: bytes) -> None:
    name = secret.id_of(given)

    assert name is None or given.startswith(b"slipway_")


def test_a_key_longer_than_any_is_none() -> None:
    assert secret.id_of(b"slipway_ab_" + b"x" * secret.LONGEST) is None
