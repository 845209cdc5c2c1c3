"""The one command line all stages share: `python -m pipelines.STAGE [--set section.name=value ...]`."""

import argparse

from pipelines.settings import Params, load_params


def stage_params(description: str | None) -> Params:
    """`params.yaml` with the command line's changes; MLproject's parameters arrive this way."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="a value that wins over params.yaml; may be given more than once",
    )
    return load_params(changes=parser.parse_args().set)
