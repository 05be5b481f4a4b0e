"""The engine: a pure state machine. Events in, events out; no clock, no I/O, no task, no randomness.

    events.py        what can happen
    graph.py         what is true of a program for ever: loops, reachability
    state.py         what a run has come to
    tokens.py        values on arrows: unread, taken, published
    transitions.py   `apply(state, event)`: what each event does to a run
    scheduler.py     `advance(state)`: what may happen next (decision 2)
    outcome.py       how a run or a sub-diagram ends, and with what result

Replaying a journal through `apply` gives exactly the state a dead executor had; that is all recovery needs.
"""
