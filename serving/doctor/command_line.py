"""`python -m serving doctor`."""

import argparse
import logging
import os
import sys

from dotenv import load_dotenv

from serving import settings
from serving.doctor import report
from serving.doctor.finding import Finding, Scene, secrets_of, trouble, without

ABOUT = "look at everything that serving depends on, change nothing, and say what to do"
SECONDS = 20.0
"""For all checks together."""
PATIENCE_SECONDS = 5.0
MISCONFIGURED = 2


def describe(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Ends with 0 when all is well, 1 when something has failed, 2 when the settings are not right."
    parser.add_argument("--json", action="store_true", help="for programs: {healthy, findings}")
    parser.add_argument("--write", action="store_true", help="write an object to each place on S3, and delete it again")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for all checks together; {SECONDS:g}")


def run(words: argparse.Namespace) -> int:
    load_dotenv(".env")
    # Libraries have opinions of their own about what is wrong, and in another shape.
    logging.disable(logging.CRITICAL)
    env = dict(os.environ)
    try:
        scene = Scene(settings.read(), env, words.write, min(PATIENCE_SECONDS, words.seconds / 2))
    except settings.SettingsInvalid as error:
        _tell([trouble("settings-invalid", line) for line in error.lines], env, as_json=words.json)
        return MISCONFIGURED
    from serving.doctor import every, side_by_side  # with all that they look at

    findings = side_by_side.made(every.CHECKS, scene, words.seconds)
    _tell(findings, env, as_json=words.json)
    status = 0 if report.healthy(findings) else 1
    sys.stdout.flush()
    os._exit(status)  # a check that hangs would be waited for


def _tell(findings: list[Finding], env: dict[str, str], *, as_json: bool) -> None:
    shown = [without(each, secrets_of(env)) for each in findings]
    if as_json:
        sys.stdout.write(report.as_json(shown) + "\n")
        return
    from rich.console import Console

    report.show(shown, Console())
