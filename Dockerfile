# fhir-gateway as an image: `docker build -t fhir-gateway .`, `docker run --rm -v gateway-data:/data fhir-gateway demo`

FROM python:3.11-slim AS build
WORKDIR /build
# The tools that build the wheel stay in this stage; every download is a wheel with a known hash.
COPY requirements/ requirements/
RUN python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement requirements/dev.txt
RUN python -m venv /opt/fhir-gateway \
    && /opt/fhir-gateway/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
COPY mappings/ mappings/
RUN /opt/tools/bin/python -m build --wheel --no-isolation --outdir dist \
    && /opt/fhir-gateway/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-index dist/*.whl \
    && /opt/fhir-gateway/bin/python -m pip check

FROM python:3.11-slim
COPY --from=build /opt/fhir-gateway /opt/fhir-gateway
# The working folder holds environments/, mappings/ and the ledger: it belongs to the user, who has nothing else.
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin gateway \
    && install --directory --owner=gateway --mode=0700 /data
ENV PATH=/opt/fhir-gateway/bin:$PATH \
    FHIR_GATEWAY_HOME=/data \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["fhir-gateway"]
CMD ["--help"]
