"""Failures of the executor beyond those of nodes (nodes/base.py: NodeError).

DipeoError (kit)
├── Conflict
│   └── AppendRefused   the store did not take our events; `reason` says why
└── Unavailable
    └── StoreLost       no store answers
"""

from dipeo_kit.errors import Conflict, Unavailable


class AppendRefused(Conflict):
    """FENCED: another executor holds the execution; stop working on it. TERMINAL, SEQ_MISMATCH: it moved on."""


class StoreLost(Unavailable):
    """Nothing may start any more: it could not be made durable."""
