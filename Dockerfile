# The daemon alone: no shell is needed to run it, no root, nothing is written.
FROM python:3.13-slim AS build
LABEL storm-pacemaker-py.stage=build
WORKDIR /src
COPY pyproject.toml setup.cfg PACKAGE.md LICENSE ./
COPY pacemaker pacemaker
COPY thrift thrift
RUN python -m venv /opt/storm-pacemaker-py \
    && /opt/storm-pacemaker-py/bin/pip install --no-cache-dir '.[metrics]'

FROM python:3.13-slim
COPY --from=build /opt/storm-pacemaker-py /opt/storm-pacemaker-py
# storm.yaml belongs here; /conf is where the official image of Storm has it, too.
# It must exist: the daemon refuses a STORM_CONF_DIR that names nothing.
RUN mkdir /conf
ENV PATH=/opt/storm-pacemaker-py/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STORM_CONF_DIR=/conf \
    STORM_PACEMAKER_ADMIN=127.0.0.1:6698
USER 10001:10001
EXPOSE 6699
# The daemon itself says whether it serves, whatever its storm.yaml and its options are.
# In a network that it shares with another one, give each a port of its own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 \
    CMD ["storm-pacemaker-py", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["storm-pacemaker-py"]
CMD ["serve"]
