"""The words of `pipelines.promote`: what each means, and that none is taken and then ignored."""

import pytest

from pipelines.promotion import command_line
from pipelines.promotion.command_line import Words


def read(line: str) -> Words:
    return command_line.read("", line.split())


@pytest.mark.parametrize(
    ("line", "command", "wanted"),
    [
        ("", "promote", "best"),
        ("best", "promote", "best"),
        ("7 --dry-run", "promote", "7"),
        ("--reason x 7", "promote", "7"),
        ("rollback --reason x", "rollback", None),
        ("history", "history", None),
        ("--model m history --at 2026-11-23T12:00", "history", None),
        ("--canary 7 --percent 10", "canary", "7"),
        ("--canary 7 --percent 0", "canary", "7"),
        ("--canary best --percent 2.5 --dry-run", "canary", "best"),
        ("--shadow 7", "shadow", "7"),
        ("--no-candidate", "no-candidate", None),
        ("watch --serving http://a --serving http://b --minutes 5 --requests 10", "watch", None),
        ("reject", "reject", None),
        ("reject 7 --reason x", "reject", None),
    ],
)
def test_a_line_means_one_command(line: str, command: str, wanted: str | None) -> None:
    words = read(line)

    assert words.command == command
    if wanted is not None:
        assert words.wanted == wanted


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("7 8", "'8' means nothing to 'promote', only to reject"),
        ("7 --percent 10", "--percent means nothing to 'promote', only to canary"),
        ("--shadow 7 --percent 10", "--percent means nothing to 'shadow'"),
        ("--shadow 7 --dry-run", "--dry-run means nothing to 'shadow', only to promote, canary"),
        ("rollback --allow-signature-change", "--allow-signature-change means nothing to 'rollback'"),
        ("history --reason x", "--reason means nothing to 'history'"),
        ("7 --at 2026-11-23", "--at means nothing to 'promote', only to history"),
        ("7 --serving http://a", "--serving means nothing to 'promote', only to watch"),
        ("--canary 7", "--canary needs --percent"),
        ("--canary 7 --percent 101", "101 is not between 0 and 100"),
        ("--canary 7 --percent some", "'some' is not a number"),
        ("--canary 7 --percent nan", "nan is not between 0 and 100"),
        ("--canary 7 --shadow 8", "not allowed with argument"),
        ("--shadow 7 8", "--shadow and '8': say one of them"),
        ("history --at yesterday", "'yesterday' is not a time such as 2026-11-23T12:00"),
        ("watch --minutes 0", "0 is not a number above 0"),
        ("watch --requests -1", "--requests"),
        ("--reason " + "x" * 1001, "at most 1000 characters, this has 1001"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(line)

    assert says in capsys.readouterr().err.splitlines()[-1]
