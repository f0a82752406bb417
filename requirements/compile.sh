#!/bin/sh
# Pins every dependency with its hashes for Python 3.11 to 3.13 on every platform; needs `uv` on the PATH.
set -eu
cd "$(dirname "$0")"
compile() {
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --only-binary :all: \
        --no-header --no-annotate --quiet "$@"
}
compile dev.in -o dev.txt
compile runtime.in -c dev.txt -o runtime.txt
compile linkage.in -o linkage.txt
compile browser.in -o browser.txt
compile clients.in -o clients.txt
