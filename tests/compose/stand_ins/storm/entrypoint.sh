#!/bin/sh
# Runs a command, Storm's own as the user storm.
set -eu

if [ "$1" = storm ] && [ "$(id -u)" = 0 ]; then
    # Like the image that this one stands in for, it ends where it may not do this:
    # where a file in /conf is mounted read-only, that is.
    chown -R storm "$STORM_CONF_DIR" "$STORM_DATA_DIR" "$STORM_LOG_DIR"
    exec gosu storm "$0" "$@"
fi
[ -f "$STORM_CONF_DIR/storm.yaml" ] || cat >"$STORM_CONF_DIR/storm.yaml" <<END
storm.zookeeper.servers: [zookeeper]
nimbus.seeds: [nimbus]
storm.local.dir: $STORM_DATA_DIR
storm.log.dir: $STORM_LOG_DIR
END
exec "$@"
