#!/bin/sh
# One ZooKeeper on port 2181, as the user zookeeper.
set -eu

if [ "$1" = zkServer.sh ] && [ "$(id -u)" = 0 ]; then
    chown -R zookeeper "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR"
    exec gosu zookeeper "$0" "$@"
fi
[ -f "$ZOO_CONF_DIR/zoo.cfg" ] || cat >"$ZOO_CONF_DIR/zoo.cfg" <<END
clientPort=2181
dataDir=$ZOO_DATA_DIR
dataLogDir=$ZOO_DATA_LOG_DIR
tickTime=$ZOO_TICK_TIME
maxClientCnxns=$ZOO_MAX_CLIENT_CNXNS
admin.enableServer=false
END
exec "$@"
