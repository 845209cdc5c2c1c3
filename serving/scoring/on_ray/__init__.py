"""The engine `ray`: tasks read a file's chunks, actors that have the version loaded answer, and Ray keeps the order.

The one place that knows Ray, imported only when it is asked for. Ray Data sees neither columns nor rows of the file:
each of its rows is a chunk (`parcels.py`), so that what is answered together is what the local engine answers together.
"""
