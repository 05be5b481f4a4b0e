"""`dipeo`: runs diagrams and looks at runs, through the gateway only."""

__version__ = "0.1.0"
