"""What a relay decides: which pulses wait for which Pacemaker, and what answers mean.

It does no I/O.  Time is a number that is passed in.  All of the relay uses these words:

    pending     a request of one of Storm's clients that the relay has not answered
    dropped     it leaves its queue: its answer, or a pulse or delete, is of no use now
    unanswered  a request to a Pacemaker that is sent and has no reply
    abandoned   its reply is not needed any more, and discarded when it comes
    awaited     a Pacemaker without whose answer a round of questions is not over
    held        a read that no Pacemaker can answer yet, and that is asked again
    waiting     a pulse or a delete that is not sent yet
"""
