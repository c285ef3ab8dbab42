#!/usr/bin/env bash
# Runs pytest with the cluster of the tests, and takes away afterwards what it brought up: scripts/test.sh [pytest options]
#
#   KEEP_CLUSTER=1          leaves the cluster for the next run
#   KUBECONFIG_FOR_TESTS=…  uses that cluster instead of one of our own
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() { "${PYTHON:-python3}" scripts/in_venv.py "$@"; }
cluster() { run -m tests.local_cluster "$@" --name tests; }

started=""
finish() {
  code=$?
  trap - EXIT
  # A second Ctrl-C must not leave half a cluster behind.
  trap '' INT TERM
  if [[ -n $started && -z ${KEEP_CLUSTER:-} ]]; then
    # Below the closing line of pytest nothing is worth a word but trouble.
    cluster down > /dev/null || code=1
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! cluster status > /dev/null; then
  started=yes
  cluster up
fi
# Built here, because pytest would count the minutes as those of a test.
run -c "from tests.local_cluster import images; images.build(print)"
run -m pytest "$@"
