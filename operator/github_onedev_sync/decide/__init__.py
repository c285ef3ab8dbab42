"""WHAT should happen: pure functions from what was observed to what to do and what to say.

`now` is an argument; there is no I/O and no asyncio here.
"""
