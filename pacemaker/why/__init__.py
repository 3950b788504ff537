"""Why was a worker moved?  What the Pacemakers and ZooKeeper remember, judged.

`facts` reads the page ``/history``, `verdicts` judges what it says, and `story` tells
the result.  All of it is pure; the command `why` fetches what it needs.
"""
