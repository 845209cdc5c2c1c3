"""Where a run says it came from, and that its patch really brings the code back."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from pipelines import lineage
from pipelines.settings import load_params
from tests.servers import ROOT

PARAMS = load_params(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small repository with one commit, a DVC remote and a data file that git does not track."""
    folder = tmp_path / "project"
    for name, content in {
        "code.py": "first\n",
        "requirements/pipelines.txt": "mlflow==1\n",
        ".dvc/config": "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/prefix\n",
        ".gitignore": "data.csv\n",
        "data.csv": "a,b\n1,2\n",
        "dvc.lock": "one\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def traced(folder: Path) -> lineage.Lineage:
    return lineage.trace(Path("data.csv"), PARAMS, folder=folder)


def test_a_clean_tree_is_named_by_its_commit(project: Path) -> None:
    found = traced(project)

    assert (found.commit, found.dirty, found.patch) == (git(project, "rev-parse", "HEAD"), False, b"")
    assert found.lock_hash == hashlib.sha256(b"mlflow==1\n").hexdigest()


def test_data_is_named_by_its_md5_and_where_dvc_push_puts_it(project: Path) -> None:
    found = traced(project)

    md5 = hashlib.md5(b"a,b\n1,2\n", usedforsecurity=False).hexdigest()
    assert found.data_md5 == md5
    assert found.data_url == f"s3://bucket/prefix/files/md5/{md5[:2]}/{md5[2:]}"


def test_one_changed_byte_of_data_changes_its_name(project: Path) -> None:
    before = traced(project).data_md5
    (project / "data.csv").write_text("a,b\n1,3\n")

    assert traced(project).data_md5 != before


def test_a_patch_makes_the_commit_into_the_tree_that_was_run(project: Path, tmp_path: Path) -> None:
    (project / "code.py").write_text("second\n")
    (project / "new.py").write_text("new\n")
    (project / "picture.bin").write_bytes(bytes(range(256)))

    found = traced(project)

    assert found.dirty
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    (tmp_path / "patch").write_bytes(found.patch)
    git(clone, "apply", str(tmp_path / "patch"))
    assert (clone / "code.py").read_text() == "second\n"
    assert (clone / "new.py").read_text() == "new\n"
    assert (clone / "picture.bin").read_bytes() == bytes(range(256))


def test_secrets_are_no_part_of_a_published_patch(project: Path) -> None:
    (project / ".env.production").write_text("SECRET=abc\n")
    (project / "server.key").write_text("abc\n")
    (project / "code.py").write_text("second\n")

    assert b"abc" not in traced(project).patch


def test_tracing_leaves_the_persons_index_and_objects_alone(project: Path) -> None:
    (project / "code.py").write_text("staged\n")
    git(project, "add", "code.py")
    (project / "new.py").write_text("new\n")
    before, objects = git(project, "status", "--porcelain"), git(project, "count-objects")

    traced(project)

    assert git(project, "status", "--porcelain") == before == "M  code.py\n?? new.py"
    assert git(project, "count-objects") == objects


def test_a_password_in_the_remotes_address_is_no_part_of_the_datas(project: Path) -> None:
    config = project / ".dvc/config"
    config.write_text(config.read_text().replace("s3://bucket", "https://me:s3cret@host"))

    assert traced(project).data_url.startswith("https://host/prefix/files/md5/")


def test_what_a_run_itself_writes_does_not_make_the_code_dirty(project: Path) -> None:
    (project / "dvc.lock").write_text("two\n")

    assert not traced(project).dirty


def test_a_folder_without_git_has_no_commit(project: Path) -> None:
    subprocess.run(["rm", "-rf", str(project / ".git")], check=True)

    found = traced(project)

    assert (found.commit, found.dirty) == ("unknown", False)


def test_a_patch_too_large_to_keep_is_left_out_but_the_tree_is_still_called_dirty(project: Path) -> None:
    (project / "big.txt").write_text("x" * 70 + "\n" + "".join(f"{line}\n" for line in range(800_000)))

    found = traced(project)

    assert (found.dirty, found.patch) == (True, b"")
    assert found.tags()["slipway.git.patch"] == "too large (6.3 MB), not kept"


def test_a_patch_is_told_of_where_there_is_one(project: Path) -> None:
    assert "slipway.git.patch" not in traced(project).tags()
    (project / "code.py").write_text("second\n")

    assert traced(project).tags()["slipway.git.patch"] == "attached"


def test_the_params_hash_sees_values_not_their_spelling(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "same.yaml").write_text("# a comment\n" + text.replace("0.2", "2.0e-1"))
    (tmp_path / "other.yaml").write_text(text.replace("seed: 42", "seed: 43", 1))

    same, other = (lineage.params_hash(load_params(tmp_path / name)) for name in ("same.yaml", "other.yaml"))

    assert same == lineage.params_hash(PARAMS)
    assert other != same
