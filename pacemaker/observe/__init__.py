"""Watch a cluster live, from its heartbeats and from ZooKeeper.

`engine` is pure: heartbeats, ZooKeeper's nodes and the time go in, a view of the
cluster comes out.  `reader` and `zookeeper` feed it; `top`, the page and the metrics
show the view.
"""
