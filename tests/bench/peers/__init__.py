"""Other serving systems, measured beside ours where `.peers/NAME` is a virtual environment of theirs (README.md).

`litserve`, `bentoml` and `ray` are run by those environments' Pythons and import nothing of ours; the rest is the
bench's.
"""
