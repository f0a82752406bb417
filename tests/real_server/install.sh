#!/bin/sh
# Builds other people's FHIR servers for tests/real_server: HAPI FHIR (JDK 17, Maven) into hapi/lib, Medplum (Node 20,
# npm) into medplum/node_modules. Can be run again at any time; all that it leaves is ignored by git.
set -eu
cd "$(dirname "$0")"

for program in java javac mvn node npm; do
    if ! command -v "$program" >/dev/null; then
        echo "install.sh: $program is not on the PATH; needed are a JDK (17 or newer), Maven, Node.js (20 or newer) and npm" >&2
        exit 1
    fi
done

echo "HAPI FHIR: mvn compile (the first build fetches about 325 MB)"
mvn --batch-mode --quiet -Dstyle.color=never -Dmaven.wagon.http.retryHandler.count=3 --file hapi/pom.xml compile

echo "Medplum: npm ci"
npm --prefix medplum ci --ignore-scripts --no-audit --no-fund --loglevel=error

echo "Clients of registries: pip install, npm ci"
"${PYTHON:-../../.venv/bin/python}" -m venv clients/venv
clients/venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    --requirement ../../requirements/clients.txt
npm --prefix clients ci --ignore-scripts --no-audit --no-fund --loglevel=error
