"""Is this the environment that a lock pins?"""

from importlib.metadata import version

from pipelines import environment
from tests.servers import ROOT


def test_this_environment_is_the_one_that_the_lock_pins() -> None:
    assert environment.apart((ROOT / "requirements/pipelines.txt").read_text()) == []


def test_packages_that_differ_or_lack_are_named() -> None:
    lock = f"# a comment\nnumpy==1.0.0\npandas=={version('pandas')}\nno-such-package==1.2  # of nobody\n"

    assert environment.apart(lock) == [f"numpy {version('numpy')}, not ==1.0.0", "no-such-package is missing"]


def test_what_is_pinned_for_other_platforms_is_not_wanted_here() -> None:
    assert environment.apart('no-such-package==1.2 ; sys_platform == "no-such-system"\n') == []


def test_a_build_of_pytorch_is_that_version() -> None:
    assert environment.apart(f"torch=={version('torch').partition('+')[0]}\n") == []


def test_patches_of_one_python_are_the_same_and_minor_versions_are_not() -> None:
    assert environment.minor("3.11.2") == environment.minor("3.11.14") != environment.minor("3.12.2")
