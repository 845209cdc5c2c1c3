import re

from serving import errors


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    classes = [
        each.__name__ for each in vars(errors).values() if isinstance(each, type) and each is not errors.ServingError
    ]

    assert sorted(drawn) == sorted(classes)


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.ServingError)]

    assert len({each.code for each in kinds}) == len(kinds)
