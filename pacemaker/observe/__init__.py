"""Watch a cluster live, from its heartbeats and from ZooKeeper.

`tracking` is pure: heartbeats, ZooKeeper's nodes and the time go in, a view of the
cluster comes out.  `observer` reads Pacemakers and ZooKeeper for it; `top`, the page
and the metrics show the view.
"""
