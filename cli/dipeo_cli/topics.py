"""`dipeo help TOPIC`: what belongs to no single command (spec/cli.md §14.6)."""

from dipeo_cli import settings
from dipeo_cli.tables import columns

FORMATS = """\
Diagrams are text in one of three formats. The file tells which; --light, --native, --readable insist on one.

  light      .light.yaml     nodes by label, arrows as `from` and `to`; the one to write by hand
  readable   .readable.yaml  arrows as sentences
  native     .native.json    ids, handles and positions; what the editor of the original saves

A diagram is found by path, or by bare name in the working directory, then in examples/, projects/, files/ and the
project root, with each ending. `-` reads it from stdin. Convert with `dipeo convert IN OUT`."""

INPUTS = """Variables of a run are one JSON object, put together in this order; later ones win:

  --inputs FILE       JSON, YAML or TOML by its ending; - is stdin
  --input-data JSON   instead of --inputs
  -i key=text         a text
  -i key:=json        any JSON value: -i count:=3 -i tags:='["a"]'
  -i key=@file        the text of a file

Questions of user_response nodes are answered by --answer LABEL=TEXT, by --answers FILE (a JSON object), by lines of a
pipe in the order they are asked, or on the terminal. --no-interactive answers them with "".
A node with options takes one of them, by its text or its number; what is typed for a sensitive one is not shown. The
answer is the output of its node like any other: `dipeo show` and `dipeo results` have it."""

EXIT_CODES = """  0    it went well; of `run`: completed, and the result is no error
  1    the answer is no: a run failed, was aborted or timed out, a diagram is invalid, something was not found
  2    the command line is wrong
  3    no gateway answers, or it failed
  4    the gateway refused the token
  8    with `results --exit-status`: the run has not ended
  124  `wait` stopped waiting; the run goes on
  130  interrupted by Ctrl-C (143: by SIGTERM)

`results` exits 0 whenever it could answer; --exit-status makes it tell the outcome. Under --json stdout is exactly one
JSON document in every outcome; a failure is {"error", "error_code", "hint"}."""


def environment() -> str:
    """Made of the settings, so that it is never behind them."""
    rows = [(name, known.help, ", ".join(known.env)) for name, known in settings.KNOWN.items()]
    lines = columns([("SETTING", "MEANING", "ENVIRONMENT"), *rows])
    return f"""\
Settings come, in this order, from the command line, the environment, dipeo.toml of the project (or [tool.dipeo] of
its pyproject.toml), config.toml of the user (in $XDG_CONFIG_HOME/dipeo), and defaults.
`dipeo config list --show-origin` shows what holds.

{lines}

  DIPEO_BASE_DIR       the project root, as -C
  DIPEO_API_TOKEN      token of the gateway, as --token; never sent to an address that only the project's file names
  DIPEO_EXECUTION_ID   the id the next run gets
  DIPEO_IDLE_S         seconds after which an unused local stack leaves; 600

BASE/.env is loaded into the local stack, for keys of model services; the real environment wins."""


def topics() -> dict[str, str]:
    return {"formats": FORMATS, "inputs": INPUTS, "exit-codes": EXIT_CODES, "environment": environment()}
