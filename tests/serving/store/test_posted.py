import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from serving.store import posted
from serving.store.posted import Board, Posting, Refusal
from tests.fakes import a_version

NAMES = ("iris", "wine")
WHOLE = Posting(
    "iris",
    a_version(3, moved_ms=5, created_ms=4, git_commit="abc"),
    "iris/3-abc",
    waiting_for="nothing",
    disagreements=("stage and alias",),
    refusal=Refusal(2, "ImportError"),
    registry_reachable=False,
)


def test_what_is_posted_is_what_is_read(tmp_path: Path) -> None:
    Board(NAMES, tmp_path).put(WHOLE)

    assert posted.read(tmp_path) == (WHOLE, Posting("wine"))
    assert posted.read(tmp_path)[0].version is not None
    assert posted.read(tmp_path)[0].version.tags == {"git_commit": "abc"}  # type: ignore[union-attr]  # just looked


def test_without_a_file_nothing_is_posted(tmp_path: Path) -> None:
    assert posted.read(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"version": 1}]', '[{"name": 1}]'])
def test_a_file_that_is_not_one_of_ours_is_a_value_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / posted.FILE).write_text(text)

    with pytest.raises(ValueError, match=posted.FILE):
        posted.read(tmp_path)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    board = Board(NAMES, tmp_path)
    board.put(WHOLE)
    done = threading.Event()
    seen: list[tuple[Posting, ...]] = []

    def read() -> None:
        while not done.is_set():
            seen.append(posted.read(tmp_path))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    postings = [Posting("iris", a_version(number), "x" * (number % 7) * 10_000) for number in range(300)]
    for posting in postings:
        board.put(posting)
    done.set()
    for each in readers:
        each.join(20)

    assert seen
    assert {each for each, _ in seen} <= {WHOLE, *postings}
    assert posted.read(tmp_path)[0] == postings[-1]
    assert [path.name for path in tmp_path.iterdir()] == [posted.FILE]


def test_a_file_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    board = Board(NAMES, tmp_path)
    board.put(WHOLE)
    before = (tmp_path / posted.FILE).stat()

    board.put(WHOLE)

    after = (tmp_path / posted.FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_full_disk_leaves_what_was_posted_and_is_no_end(small_disk: Path) -> None:
    board = Board(NAMES, small_disk)
    board.put(WHOLE)
    full = small_disk / "full"
    with full.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))

    with pytest.raises(OSError, match="No space left"):
        board.put(Posting("iris", a_version(4)))

    assert posted.read(small_disk)[0] == board.posting("iris") == WHOLE
    assert sorted(path.name for path in small_disk.iterdir()) == ["full", posted.FILE]
    full.unlink()
    board.put(Posting("iris", a_version(4)))
    assert posted.read(small_disk)[0] == Posting("iris", a_version(4))


def test_models_of_several_threads_are_all_posted(tmp_path: Path) -> None:
    names = tuple(f"model-{number}" for number in range(8))
    board = Board(names, tmp_path)

    def post(name: str) -> None:
        for number in range(1, 30):
            board.put(Posting(name, a_version(number, name=name)))

    threads = [threading.Thread(target=post, args=[name]) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)

    assert {each.name: each.version.number for each in posted.read(tmp_path) if each.version} == dict.fromkeys(
        names, 29
    )


def test_the_next_syncer_goes_on_with_what_was_posted(tmp_path: Path) -> None:
    (tmp_path / WHOLE.folder).mkdir(parents=True)
    Board(NAMES, tmp_path).put(WHOLE)

    assert Board(NAMES, tmp_path).posting("iris") == WHOLE


def test_a_version_whose_files_are_gone_is_not_posted_again(tmp_path: Path) -> None:
    Board(NAMES, tmp_path).put(WHOLE)

    board = Board(NAMES, tmp_path)
    board.put(Posting("wine", waiting_for="a promotion"))

    assert board.posting("iris") == Posting("iris")
    assert posted.read(tmp_path) == (Posting("iris"), Posting("wine", waiting_for="a promotion"))


def test_a_model_that_is_no_longer_followed_is_no_longer_posted(tmp_path: Path) -> None:
    Board(NAMES, tmp_path).put(WHOLE)

    Board(("wine",), tmp_path).put(Posting("wine"))

    assert posted.read(tmp_path) == (Posting("wine"),)


def test_a_broken_file_does_not_keep_the_next_syncer_from_posting(tmp_path: Path) -> None:
    (tmp_path / posted.FILE).write_text("[{")

    board = Board(NAMES, tmp_path)
    assert board.posting("iris") == Posting("iris")
    board.put(WHOLE)

    assert json.loads((tmp_path / posted.FILE).read_text())[0]["folder"] == WHOLE.folder


def test_a_model_that_is_not_followed_now_stays_posted(tmp_path: Path) -> None:
    (tmp_path / "wine").mkdir()
    Board(("wine",), tmp_path).put(Posting("wine", a_version(1, name="wine"), "wine"))

    Board(("iris",), tmp_path).put(Posting("iris"))

    assert {each.name for each in posted.read(tmp_path)} == {"iris", "wine"}
