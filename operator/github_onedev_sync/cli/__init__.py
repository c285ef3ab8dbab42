"""Commands for people: what they read is `error: … / why: … / fix: …`, and never a traceback."""
