# Haru in a container: docs/deploy.md.
FROM debian:trixie-slim AS base
# hadolint ignore=DL3008  # the newest of Debian stable: a pinned version is gone with the next security update
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/*


FROM base AS tools
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /haru
COPY requirements/build.txt requirements/node.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt -r requirements/node.txt
ENV PATH=/opt/tools/bin:$PATH


FROM tools AS frontend
WORKDIR /haru/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
# The names of classes that the stylesheet must hold are in the templates and beside them.
COPY src/haru/web ../src/haru/web
RUN npm run build


FROM tools AS packages
# What runs has an environment of its own, without pip. Out of it goes what is never read: symbols for debuggers, tests,
# what compilers and type checkers want, and translations, as Haru speaks English. `haru check` shows that the rest works,
# and leaves compiled what it imports.
COPY requirements/run.txt requirements/
RUN python3 -m venv --without-pip /opt/haru \
 && pip --python /opt/haru/bin/python install --no-cache-dir --no-compile --require-hashes -r requirements/run.txt \
 && find /opt/haru -type d -name tests -prune -exec rm -r {} + \
 && find /opt/haru \( -name '*.po' -o -name '*.mo' ! -path '*/en/*' -o -name '*.[ach]' -o -name '*.py[ix]' -o -name '*.pxd' \) -delete \
 && find /opt/haru -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY --from=frontend /haru/src/haru/web/static/build src/haru/web/static/build
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/haru/bin/python install --no-cache-dir --no-deps dist/*.whl \
 && HARU_DATA_DIR=/tmp/data /opt/haru/bin/haru check


FROM base
RUN groupadd --gid 10001 haru \
 && useradd --uid 10001 --gid haru --home-dir /data --no-create-home --shell /usr/sbin/nologin haru \
 && install -d -o haru -g haru -m 0700 /data
COPY --from=packages /opt/haru /opt/haru
ENV PATH=/opt/haru/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HARU_DATA_DIR=/data \
    HARU_HOST=0.0.0.0 \
    HARU_PORT=4000
USER 10001:10001
# Temporary files go here too when the root is read-only and there is no /tmp: Python falls back to it.
WORKDIR /data
VOLUME /data
EXPOSE 4000
# Whether accepted events reach the disk; /health would say "unhealthy" while only the database is away.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['HARU_PORT']), timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
# Requests under way are answered, then everything is closed in order.
STOPSIGNAL SIGTERM
ENTRYPOINT ["haru"]
CMD ["serve"]
