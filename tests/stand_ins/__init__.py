"""Small real HTTP servers that behave like GitHub and OneDev, oddities and errors included.

Each runs as a process (`python -m tests.stand_ins.github` and `python -m tests.stand_ins.onedev`, see `--help`), in a
pod (`manifests.yaml`), or within a test (`async with GitHubStandIn(folder) as server`). A test steers it by methods, or
anybody over the admin API, which only the stand-ins have:

    GET    /_stand-in/journal?method=&path=&since=    the requests seen; method and path are regular expressions
    DELETE /_stand-in/journal
    POST   /_stand-in/faults                          a `misbehaviour.Fault` as JSON; answers with its id
    GET    /_stand-in/faults
    DELETE /_stand-in/faults?id=                      one of them, or all
    GET    /_stand-in/actions                         what it can be made to do, with the members each action takes
    POST   /_stand-in/actions                         {"action": "commit", "repository": "octo/hello", ...}
    PUT    /_stand-in/bundles/{owner}/{name}          GitHub only: a new repository out of a git bundle
"""
