"""Why was a worker moved?  The history of the Pacemakers and ZooKeeper, judged.

`facts` reads the history, `verdicts` judges it, and `story` tells it.  All of it is
pure; the command `why` fetches what it needs.
"""
