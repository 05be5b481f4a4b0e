"""The parts exported scripts are put together from. A script gets the definitions it needs, as they stand here.

All files share one namespace in a script, so no name may stand in two of them; they import nothing of DiPeO but each
other. `export/shaking.py` picks, `tests/export` holds scripts against real runs.
"""
