"""Stage `ingest`: the source, as it is, becomes data/raw, which DVC versions.

Nothing is cleaned here: raw data stays what it was.
"""

from dotenv import load_dotenv

from pipelines import data
from pipelines.cli import stage_params
from pipelines.errors import run
from pipelines.progress import say


def main() -> None:
    load_dotenv(".env")  # where s3:// is
    params = stage_params(__doc__).ingest
    frame, about = data.read(params.source)
    data.RAW.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(data.RAW, index=False)
    data.write_json(data.ABOUT, about.model_dump(mode="json"))
    say(f"ingest: {about.rows} rows, {len(about.columns)} columns from {about.source}")


if __name__ == "__main__":
    run(main)
