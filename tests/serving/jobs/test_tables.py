"""The jobs' tables where several processes come to an empty database at once, as a server's and its job workers do."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.jobs.tables import Tables, meta

AT_ONCE = 4


def test_several_who_make_the_tables_at_once_all_find_them(tmp_path: Path) -> None:
    for number in range(25):
        path = tmp_path / f"{number}.sqlite"
        begin = threading.Barrier(AT_ONCE)

        def opened(address: str = f"sqlite:///{path}", begin: threading.Barrier = begin) -> int:
            begin.wait()
            tables = Tables(address)
            with tables.reading() as connection:
                found = [connection.execute(table.select()).all() for table in meta.sorted_tables]
            tables.close()
            return len(found)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            told = [threads.submit(opened) for _ in range(AT_ONCE)]
            assert [each.result() for each in told] == [len(meta.sorted_tables)] * AT_ONCE
        assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
