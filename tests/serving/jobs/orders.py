"""Orders for jobs, as the desk would make them."""

from itertools import count
from typing import Any

from serving.jobs.book import Book
from serving.jobs.job import Body, Order, Status
from tests.fakes import a_version

BODY = Body("application/json", b'{"inputs": [1.5]}')
_numbers = count(1)


def an_order(model: str, **changes: Any) -> Order:
    order = {"model": model, "version": a_version(7, name=model), "asked": BODY, "rows": 1, **changes}
    return Order(**order)


def accepted(book: Book, model: str, **changes: Any) -> Status:
    return book.accept(an_order(model, **changes), f"job{next(_numbers):029d}")
