# Two images. `node` has Python, the four packages that a node needs, hocket and a user without rights; `session` has
# all of hocket, for the computer that plans and sends requests.
#
#   docker build -t hocket-node .
#   docker build -t hocket --target session .
FROM python:3.11-slim AS build
COPY pyproject.toml README.md LICENSE requirements.lock /source/
COPY packaging /source/packaging
COPY hocket /source/hocket
RUN pip install --no-cache-dir --no-compile --no-deps --constraint /source/requirements.lock --target /opt/hocket \
    -r /source/packaging/node.txt /source \
    && rm -rf /opt/hocket/bin && cp /source/packaging/healthy.py /opt/hocket/

FROM python:3.11-slim AS base
RUN useradd --uid 10001 --home-dir /var/lib/hocket --create-home --shell /usr/sbin/nologin hocket
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/hocket

FROM base AS session
COPY --from=build /source /source
RUN pip install --no-cache-dir --constraint /source/requirements.lock /source && rm -rf /source
USER hocket
ENTRYPOINT ["hocket"]

FROM base AS node
COPY --from=build /opt/hocket /opt/hocket
ENV PYTHONPATH=/opt/hocket
USER hocket
EXPOSE 7000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python3", "/opt/hocket/healthy.py", "7000"]
ENTRYPOINT ["python3", "-m", "hocket.runtime"]
CMD ["--name", "node", "--listen", "tcp://127.0.0.1:7000"]
