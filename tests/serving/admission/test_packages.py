"""Requirements as MLflow writes them, against what is installed."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.admission import packages
from serving.errors import VersionRefused
from serving.settings import Packages

HERE = {"scikit-learn": "1.9.1", "numpy": "2.4.6", "skops": "0.16.0", "xgboost": "3.2.0", "torch": "2.13.0+cpu"}
PYTHON = ".".join(map(str, sys.version_info[:2]))


ALL = frozenset({*HERE, "lightgbm"})


def misfits(*lines: str, mode: Packages = "compatible", needs: frozenset[str] | None = ALL) -> list[str]:
    return list(packages.misfits(lines, mode, needs, HERE.get))


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn",
        "scikit-learn==1.9.0",
        "scikit_learn==1.9.7",
        "Scikit-Learn[alldeps]>=1.5,<2",
        "numpy==2.0.0",
        "numpy==2",
        "skops==0.13.0",
        "torch==2.13.0",
        "mlflow==1.2.3",
        "mlflow-skinny==9",
        "lightgbm==4.6.0; python_version < '3'",
        "numpy==2.*",
    ],
)
def test_what_fits_is_not_mentioned(line: str) -> None:
    assert misfits(line) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scikit-learn==1.8.0", "scikit-learn==1.8.0 (1.9.1 here)"),
        ("scikit_learn==1.10.0", "scikit_learn==1.10.0 (1.9.1 here)"),
        ("scikit-learn<1.9", "scikit-learn<1.9 (1.9.1 here)"),
        ("scikit-learn~=1.9.2", "scikit-learn~=1.9.2 (1.9.1 here)"),
        ("numpy==1.26.4", "numpy==1.26.4 (2.4.6 here)"),
        ("numpy>=2.5", "numpy>=2.5 (2.4.6 here)"),
        ("numpy==2.3.*", "numpy==2.3.* (2.4.6 here)"),
        ("numpy!=2.4.6", "numpy!=2.4.6 (2.4.6 here)"),
        ("lightgbm==4.6.0", "lightgbm==4.6.0 (not here)"),
        ("lightgbm @ https://example.com/lightgbm.whl", "lightgbm (not here)"),
        ("lightgbm==4.6.0; python_version >= '3'", "lightgbm==4.6.0 (not here)"),
    ],
)
def test_what_does_not_fit_is_named_with_what_is_here(line: str, said: str) -> None:
    assert misfits("numpy", line, "scikit-learn") == [said]


def test_only_what_a_version_of_data_needs_counts() -> None:
    """MLflow writes down what skops imports too: of a logistic regression, pytest and PyTorch."""
    assert misfits("pytest==9.2.0", "torch==1.0", "numpy==1.0", needs=frozenset({"numpy"})) == [
        "numpy==1.0 (2.4.6 here)"
    ]


def test_of_what_brings_code_everything_that_is_here_counts() -> None:
    """What is not here shows when it is tried; see `absent`."""
    assert misfits("pytest==9.2.0", "torch==1.0", "numpy==1.0", needs=None) == [
        "torch==1.0 (2.13.0+cpu here)",
        "numpy==1.0 (2.4.6 here)",
    ]


@pytest.mark.parametrize("needs", [frozenset[str](), None])
def test_exact_counts_everything(needs: frozenset[str] | None) -> None:
    assert misfits("pytest==9.2.0", "numpy==2.4.5", mode="exact", needs=needs) == [
        "pytest==9.2.0 (not here)",
        "numpy==2.4.5 (2.4.6 here)",
    ]


def test_exact_takes_pins_as_they_are_written() -> None:
    assert misfits("scikit-learn==1.9.1", "torch==2.13.0", mode="exact") == []
    assert misfits("scikit-learn==1.9.0", "numpy==2.4.5", mode="exact") == [
        "scikit-learn==1.9.0 (1.9.1 here)",
        "numpy==2.4.5 (2.4.6 here)",
    ]


def test_a_package_that_calls_itself_anything_is_compared_as_text() -> None:
    odd = {"numpy": "odd"}.get

    assert list(packages.misfits(["numpy==2.0"], "compatible", ALL, odd)) == ["numpy==2.0 (odd here)"]


NEEDS = frozenset({"scikit-learn", "numpy", "pandas", "xgboost", "no-such-package"})


def check(
    folder: Path,
    *lines: str,
    mode: Packages = "compatible",
    needs: frozenset[str] | None = NEEDS,
    python: str = "",
) -> str:
    """Why it is refused; nothing when it is not."""
    (folder / "requirements.txt").write_text("\n".join(lines))
    try:
        packages.check(folder, mode, needs=needs, python=python)
    except VersionRefused as refused:
        return str(refused)
    return ""


def test_lines_that_are_no_requirement_by_name_say_nothing(tmp_path: Path) -> None:
    lines = [
        "# by MLflow",
        "",
        "-c constraints.txt",
        "--extra-index-url https://e.org",
        "git+https://e.org/a.git",
        "./a.whl",
    ]

    assert check(tmp_path, *lines, "numpy  # arrays", f"pandas=={version('pandas')} \\", "    --hash=sha256:00") == ""


def test_every_package_that_differs_is_named_and_what_to_do(tmp_path: Path) -> None:
    said = check(tmp_path, "scikit-learn==0.24.2", "numpy", "no-such-package==1.0")

    assert said == (
        f"what it requires is not what is installed here: scikit-learn==0.24.2 ({version('scikit-learn')} here), "
        "no-such-package==1.0 (not here); install that, or log it again with what is here, or let it try with "
        "SERVING_PACKAGES=off"
    )


@pytest.mark.slow
def test_many_that_differ_leave_room_for_the_advice(tmp_path: Path) -> None:
    said = check(tmp_path, *(f"no-such-{100 * 'x'}-{number}==1.0" for number in range(100)), mode="exact")

    assert "and 95 more; install that" in said
    assert len(said) < 500


def test_a_package_of_another_name_that_brings_the_module_counts(tmp_path: Path) -> None:
    """xgboost-cpu is what is installed here."""
    assert check(tmp_path, "xgboost==3.0.0") == ""
    assert f"xgboost==2.0.0 ({version('xgboost-cpu')} here)" in check(tmp_path, "xgboost==2.0.0")


def test_python_counts_where_it_is_given(tmp_path: Path) -> None:
    assert f"Python 3.8 ({PYTHON} here)" in check(tmp_path, python="3.8.1")
    assert check(tmp_path, python=f"{PYTHON}.99") == ""


def test_off_compares_nothing(tmp_path: Path) -> None:
    assert check(tmp_path, "numpy==1.0", mode="off", needs=None, python="2.7") == ""


def test_a_version_without_requirements_requires_nothing(tmp_path: Path) -> None:
    packages.check(tmp_path, "exact", needs=None)

    assert packages.absent(tmp_path) == ""


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    check(tmp_path, "numpy", "no-such-package==1.0", "nor-this")

    assert packages.absent(tmp_path) == (
        "; of what it requires, this is not installed here: no-such-package==1.0, nor-this"
    )


def test_a_list_that_is_far_too_long_is_not_read(tmp_path: Path) -> None:
    assert "more than 1048576 bytes" in check(tmp_path, (1 << 20) * "x" + "y")


words = st.sampled_from(
    ["numpy", "scikit-learn", "==", ">=", "1.9", "*", ";", "[", "]", "@", "-r", "\\\n", "#", ",", " "]
)


@given(text=st.text() | st.lists(words).map("".join), mode=st.sampled_from(["exact", "compatible"]))
def test_whatever_requirements_say_there_is_an_answer(text: str, mode: Packages) -> None:
    for said in packages.misfits(text.splitlines(), mode, None, HERE.get):
        assert said.isprintable()
