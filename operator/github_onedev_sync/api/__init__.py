"""WHAT the resources say: typed views, conditions and reasons, names, the worker's assignment and report.

Nothing here does I/O. The worker imports this room too, so `assignment`, `report`, `refs` and `errors`
stay free of pydantic: a worker's start-up time and memory are counted.
"""
