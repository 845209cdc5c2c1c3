"""The tables of jobs together with DBOS's own, which hands jobs to workers. The one door to DBOS's client."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, error

from serving.jobs.job import workflow_id
from serving.jobs.tables import Tables, ended, reached

QUEUE, CALLBACKS = "jobs", "callbacks"
WORK, CALL = "work at a job", "call back"
"""Names of DBOS workflows; `working/durable.py` has what they do."""
RELEASE = "jobs-1"
"""Of the workflows' steps: DBOS goes on with a try only where the steps are the same ones."""


class Database(Tables):
    """Makes a PostgreSQL database too, where there is none yet."""

    def __init__(self, address: str) -> None:
        super().__init__(address, DBOS.migrate)
        with reached():
            self._dbos = DBOSClient(system_database_engine=self._engine, retry_connection_errors=False)

    def close(self) -> None:
        self._dbos.destroy()
        super().close()

    def enqueue(self, connection: sa.Connection, what: str, name: str, generation: int) -> None:
        """In the transaction that makes it necessary: WORK or CALL."""
        this = workflow_id(name, generation)
        options: EnqueueOptions = {
            "workflow_name": what,
            "queue_name": QUEUE if what == WORK else CALLBACKS,
            "workflow_id": this if what == WORK else callback_id(this),
            "app_version": RELEASE,
        }
        self._dbos.enqueue_in_transaction(connection, options, name, generation)

    def has_ended(self, connection: sa.Connection, row: Any) -> None:
        """Count it, and have somebody call back, in the transaction that ended it."""
        rows = row.rows_done if row.state == "succeeded" else 0
        more = {"jobs": ended.c.jobs + 1, "rows": ended.c.rows + rows}
        first = {"model": row.model, "state": row.state, "jobs": 1, "rows": rows}
        self.upsert(connection, ended, first, more)
        if row.called is not None:
            self.enqueue(connection, CALL, row.id, row.generation)

    def cancel_tries(self, tries: Sequence[str]) -> None:
        for each in tries:
            with reached(), suppress(error.DBOSException):  # it has just ended there
                self._dbos.cancel_workflow(each)

    def resume_tries(self, workers: Sequence[str]) -> int:
        """Queue again what these had; how many."""
        with reached():
            found = self._dbos.list_workflows(
                status="PENDING", executor_id=list(workers), load_input=False, load_output=False
            )
            for each in found:
                self._dbos.resume_workflow(each.workflow_id, queue_name=each.queue_name)
        return len(found)

    def forget_tries(self, tries: Sequence[str]) -> None:
        with reached(), suppress(error.DBOSException):
            self._dbos.delete_workflows(list(tries))


def callback_id(workflow: str) -> str:
    return f"{workflow}-callback"
