#!/bin/sh
[ "$1" = start-foreground ] || { echo "zkServer.sh: start-foreground alone" >&2; exit 2; }
exec java -Xmx256m -cp "$ZOO_CONF_DIR:/apache-zookeeper/lib/*" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$ZOO_CONF_DIR/zoo.cfg"
