# The daemon alone: no shell is needed to run it, no root, nothing is written.
FROM python:3.13-slim AS build
LABEL storm-pacemaker-py.stage=build
WORKDIR /src
COPY pyproject.toml setup.cfg PACKAGE.md LICENSE ./
COPY pacemaker pacemaker
COPY thrift thrift
RUN python -m venv /opt/storm-pacemaker-py \
    && /opt/storm-pacemaker-py/bin/pip install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/storm-pacemaker-py /opt/storm-pacemaker-py
# storm.yaml belongs here; /conf is where the official image of Storm has it, too.
# It must exist: the daemon refuses a STORM_CONF_DIR that names nothing.
RUN mkdir /conf
ENV PATH=/opt/storm-pacemaker-py/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STORM_CONF_DIR=/conf
USER 10001:10001
EXPOSE 6699
# The port is that of storm.yaml, as the daemon reads it.  The request needs no right to
# read, so the check needs no login either.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 \
    CMD ["storm-pacemaker-py", "ping", "--server", "127.0.0.1", "--timeout", "4", \
         "-c", "pacemaker.auth.method=NONE"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["storm-pacemaker-py"]
CMD ["serve"]
