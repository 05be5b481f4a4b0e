"""`python -m dipeo_cli.local`: what `dipeo up` and auto-start put into the background."""

import argparse
import sys
from pathlib import Path

from dipeo_cli.config import Layout
from dipeo_cli.local import host

parser = argparse.ArgumentParser(prog="python -m dipeo_cli.local", description=__doc__)
parser.add_argument("--base", type=Path, required=True, help="project root")
parser.add_argument("--ready-fd", type=int, required=True, help="a pipe that gets one byte once the stack serves")
arguments = parser.parse_args()
sys.exit(host.background(Layout(arguments.base / ".dipeo"), arguments.ready_fd))
