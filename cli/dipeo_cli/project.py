"""`dipeo init` and `dipeo new`: a project folder and first diagrams. Nothing that exists is overwritten."""

import shlex
from pathlib import Path

from dipeo_cli import output
from dipeo_cli.config import Config
from dipeo_cli.errors import CliError, Usage
from dipeo_cli.settings import KNOWN

TEMPLATES = {
    "hello": """version: light
# One person answers one prompt. Variables come from the command line: dipeo run {name} -i topic=tea
persons:
  Writer: {{service: openai, model: gpt-5-nano, api_key_id: default}}
nodes:
  - {{label: Start, type: start, trigger_mode: manual, custom_data: {{topic: tea}}}}
  - {{label: Write, type: person_job, person: Writer, default_prompt: "Two sentences about {{{{topic}}}}."}}
  - {{label: Done, type: endpoint}}
connections:
  - {{from: Start, to: Write}}
  - {{from: Write, to: Done}}
""",
    "code": """version: light
# Python between start and end: `result` is what flows on.
nodes:
  - {{label: Start, type: start, trigger_mode: manual, custom_data: {{numbers: [1, 2, 3]}}}}
  - {{label: Add, type: code_job, language: python, code: "result = sum(numbers)"}}
  - {{label: Done, type: endpoint}}
connections:
  - {{from: Start, to: Add}}
  - {{from: Add, to: Done}}
""",
    "branch": """version: light
# A condition chooses the way.
nodes:
  - {{label: Start, type: start, trigger_mode: manual, custom_data: {{score: 7}}}}
  - {{label: Good?, type: condition, condition_type: custom, expression: score >= 5}}
  - {{label: Praise, type: code_job, language: python, code: "result = 'well done'"}}
  - {{label: Help, type: code_job, language: python, code: "result = 'try again'"}}
  - {{label: Done, type: endpoint}}
connections:
  - {{from: Start, to: Good?}}
  - {{from: Good?_condtrue, to: Praise}}
  - {{from: Good?_condfalse, to: Help}}
  - {{from: Praise, to: Done}}
  - {{from: Help, to: Done}}
""",
    "ask": """version: light
# A human answers, at the terminal, in the browser, or by `dipeo answer`.
nodes:
  - {{label: Start, type: start}}
  - {{label: Ask, type: user_response, prompt: What is your name?}}
  - {{label: Greet, type: code_job, language: python, code: "result = f'Hello {{default}}'"}}
  - {{label: Done, type: endpoint}}
connections:
  - {{from: Start, to: Ask}}
  - {{from: Ask, to: Greet}}
  - {{from: Greet, to: Done}}
""",
}


def init(config: Config, *, as_json: bool) -> int:
    """Make the working directory a project: dipeo.toml, a line in .gitignore, a first diagram."""
    folder = Path.cwd()
    made = [
        path
        for path in (
            _create(folder / "dipeo.toml", _toml()),
            _ignore(folder / ".gitignore"),
            _create(folder / "hello.light.yaml", TEMPLATES["hello"].format(name="hello")),
        )
        if path
    ]
    if as_json:
        output.document({"base": str(folder), "created": [path.name for path in made]})
        return 0
    for path in made:
        output.answer(str(path.relative_to(folder)))
    output.say("try it without a key: dipeo run hello --mock-llm" if made else f"{folder} is a project already")
    return 0


def new(config: Config, name: str, *, template: str) -> int:
    """Write NAME.light.yaml from a template and print its path."""
    if template not in TEMPLATES:
        raise Usage(f"--template {template}: {', '.join(TEMPLATES)}")
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.light.yaml")
    made = _create(path, TEMPLATES[template].format(name=path.name.removesuffix(".light.yaml")))
    if made is None:
        raise CliError(f"{path} exists already", code="conflict", exit_code=1, hint="choose another name")
    output.answer(str(path))
    output.say(f"run it: dipeo run {shlex.quote(str(path))}" + (" --mock-llm" if template == "hello" else ""))
    return 0


def _toml() -> str:
    """Every setting, commented out, with its default."""
    lines = [f"# {name} = {_literal(known.default):<8} # {known.help}" for name, known in KNOWN.items()]
    return "\n".join(["# Settings of this project; `dipeo config list --show-origin` shows what holds.", *lines, ""])


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def _create(path: Path, text: str) -> Path | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return None
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", code="bad_input", exit_code=1) from error
    return path


def _ignore(path: Path) -> Path | None:
    """The local state belongs to one machine."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if ".dipeo/" in text.splitlines():
        return None
    path.write_text(text + ("\n" if text and not text.endswith("\n") else "") + ".dipeo/\n", encoding="utf-8")
    return path
