# The daemon alone: no shell is needed to run it, no root, nothing is written.
#
#   docker build --tag storm-pacemaker-py .
#   docker build --tag storm-pacemaker-py:kerberos --build-arg EXTRAS=metrics,kerberos .
#
# Built by buildx for --platform linux/amd64,linux/arm64: all that is compiled comes as
# wheels for both, except the two packages of Kerberos, which are compiled here.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
LABEL storm-pacemaker-py.stage=build
ARG EXTRAS=metrics
# A compiler and headers, for Kerberos alone.
RUN case ",$EXTRAS," in *,kerberos,*) \
        apt-get update -qq \
        && apt-get install -qq --no-install-recommends gcc libc6-dev libkrb5-dev ;; \
    esac
WORKDIR /src
COPY pyproject.toml setup.cfg PACKAGE.md CHANGELOG.md LICENSE ./
COPY pacemaker pacemaker
COPY thrift thrift
COPY systemd systemd
COPY deploy deploy
RUN python -m venv /opt/storm-pacemaker-py \
    && /opt/storm-pacemaker-py/bin/pip install --no-cache-dir ".[$EXTRAS]" \
    && /opt/storm-pacemaker-py/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG EXTRAS=metrics
LABEL org.opencontainers.image.title="storm-pacemaker-py" \
      org.opencontainers.image.description="Apache Storm's Pacemaker daemon in Python" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
RUN case ",$EXTRAS," in *,kerberos,*) \
        apt-get update -qq \
        && apt-get install -qq --no-install-recommends libgssapi-krb5-2 \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/* ;; \
    esac
COPY --from=build /opt/storm-pacemaker-py /opt/storm-pacemaker-py
# storm.yaml belongs here; /conf is where the official image of Storm has it, too.
# It must exist: the daemon refuses a STORM_CONF_DIR that names nothing.
RUN mkdir /conf
ENV PATH=/opt/storm-pacemaker-py/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STORM_CONF_DIR=/conf \
    STORM_PACEMAKER_ADMIN=127.0.0.1:6698 \
    STORM_PACEMAKER_RELAY_ADMIN=127.0.0.1:6698
# In a network that it shares with another daemon, give each endpoint a port of its own.
USER 10001:10001
EXPOSE 6699 6698
# The command asks the daemon where its endpoint is, whatever its storm.yaml and its options
# are.  A daemon without an endpoint answers for itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 \
    CMD ["storm-pacemaker-py", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["storm-pacemaker-py"]
CMD ["serve"]
