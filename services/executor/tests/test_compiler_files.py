from compiling import codes, light, only, program_of

from dipeo_executor.bundle import Bundle, ProjectSource
from dipeo_executor.compiler import compile_bundle, compile_diagram
from dipeo_executor.sources import Lookup, prompt_places


def asking(properties: str) -> str:
    return f"""
version: light
nodes:
- {{label: s, type: start}}
- {{label: p, type: person_job, person: Ann, {properties}}}
- {{label: e, type: endpoint}}
connections: [{{from: s, to: p}}, {{from: p, to: e}}]
persons: {{Ann: {{service: mock}}}}
"""


def coding(properties: str) -> str:
    return f"""
version: light
nodes:
- {{label: s, type: start}}
- {{label: c, type: code_job, {properties}}}
- {{label: e, type: endpoint}}
connections: [{{from: s, to: c}}, {{from: c, to: e}}]
"""


def test_prompt_files_are_looked_for_beside_the_diagram_then_in_the_common_folder():
    assert prompt_places("a.txt", "flows/x.light.yaml") == ["flows/a.txt", "flows/prompts/a.txt", "files/prompts/a.txt"]
    assert prompt_places("prompts/a.txt", "x.light.yaml") == [
        *("prompts/a.txt", "prompts/prompts/a.txt", "prompts/a.txt", "files/prompts/prompts/a.txt"),
    ]
    assert prompt_places("files/a.txt", "flows/x.light.yaml")[0] == "files/a.txt"
    assert prompt_places("a.txt", "") == ["files/prompts/a.txt"]
    assert prompt_places("/base/a.txt", "flows/x.light.yaml") == ["/base/a.txt"]


def test_a_prompt_file_wins_over_the_inline_prompt():
    files = {"flows/prompts/ask.txt": "From the file", "files/prompts/first.txt": "First from the file"}
    result = light(
        asking("default_prompt: inline, prompt_file: ask.txt, first_prompt_file: first.txt"),
        path="flows/x.light.yaml",
        files=files,
    )
    props = program_of(result).nodes[1].props
    assert (props.resolved_prompt, props.resolved_first_prompt) == ("From the file", "First from the file")


def test_a_missing_prompt_file_is_a_warning_beside_an_inline_prompt():
    problem = only(light(asking("default_prompt: inline, prompt_file: gone.txt")), "T9")
    assert problem.severity == "warning"


def test_a_missing_prompt_file_without_inline_prompt_lists_the_places_tried():
    result = light(asking("prompt_file: gone.txt"), path="flows/x.light.yaml")
    problem = only(result, "T9")
    assert (problem.severity, result.program) == ("error", None)
    for place in ("flows/gone.txt", "flows/prompts/gone.txt", "files/prompts/gone.txt"):
        assert place in problem.message


def test_an_empty_prompt_file_embeds_nothing():
    result = light(asking("default_prompt: inline, prompt_file: a.txt"), files={"a.txt": ""})
    assert program_of(result).nodes[1].props.resolved_prompt == ""


def test_the_prompt_file_of_a_person_is_its_system_prompt():
    text = asking("default_prompt: x").replace(
        "service: mock", "service: mock, system_prompt: old, prompt_file: me.txt"
    )
    assert program_of(light(text, files={"me.txt": "Be kind."})).persons["Ann"].system_prompt == "Be kind."
    assert only(light(text), "T9").severity == "warning"
    assert only(light(text.replace("system_prompt: old, ", "")), "T9").severity == "error"


def test_judge_by_file_is_read_for_llm_decisions_only():
    gate = "nodes: [{label: s, type: start}, {label: c, type: condition, person: Ann, judge_by_file: j.txt, %s}]\n"
    persons = "persons: {Ann: {service: mock}}\nconnections: [{from: s, to: c}]\n"
    result = light(gate % "condition_type: llm_decision" + persons, files={"j.txt": "Good?"})
    assert program_of(result).nodes[1].props.resolved_judge_by == "Good?"
    assert "T9" not in codes(light(gate % "expression: 'true'" + persons))


def test_a_code_file_becomes_the_code():
    props = program_of(light(coding("file_path: code/a.py"), files={"code/a.py": "x = 1"})).nodes[1].props
    assert (props.code, props.file_path) == ("x = 1", "code/a.py")


def test_a_missing_code_file_is_an_error_at_its_line():
    problem = only(light(coding("file_path: code/a.py")), "T9")
    assert (problem.line, problem.field) == (5, "file_path")
    assert "code/a.py (not found)" in problem.message


def test_inline_code_beside_a_code_file_is_used_with_a_warning():
    result = light(coding("file_path: a.py, code: 'y = 2'"))
    assert only(result, "T11").severity == "warning"
    assert program_of(result).nodes[1].props.code == "y = 2"


def test_a_bundle_gives_the_same_program_without_the_disk(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/ask.txt").write_text("Höflich fragen")
    (tmp_path / "sub.light.yaml").write_text(coding("file_path: a.py"))
    (tmp_path / "a.py").write_text("x = 1")
    text = asking("default_prompt: x, prompt_file: ask.txt, first_prompt_file: gone.txt, first_only_prompt: y").replace(
        "- {label: e", "- {label: d, type: sub_diagram, diagram_name: sub}\n- {label: e"
    )
    source = ProjectSource(tmp_path)
    first = compile_diagram(text, path="x.light.yaml", format="", files=source)
    bundle = source.bundle(text, path="x.light.yaml", format=first.format)
    for path in ("prompts/ask.txt", "sub.light.yaml", "a.py"):
        (tmp_path / path).unlink()
    (tmp_path / "gone.txt").write_text("appeared later")
    again = compile_bundle(Bundle.from_bytes(bundle.to_bytes()))
    assert again == first
    assert program_of(again).nodes[1].props.resolved_prompt == "Höflich fragen"
    assert program_of(again).nodes[2].child.nodes[1].props.code == "x = 1"


def test_a_bundle_knows_only_what_was_captured():
    assert Bundle("", "", "light", {}).read("a") == Lookup(None, "not captured when the run was submitted")


def test_files_outside_the_project_are_closed(tmp_path):
    base = tmp_path / "base"
    (base / ".dipeo").mkdir(parents=True)
    (base / ".dipeo/key").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (base / "link.txt").symlink_to(tmp_path / "secret.txt")
    (base / "binary").write_bytes(b"\xff\xfe")
    source = ProjectSource(base)
    names = ["../secret.txt", "link.txt", str(tmp_path / "secret.txt"), ".dipeo/key", ".", "binary", "a\0b", "gone"]
    assert [source.read(name).text for name in names] == [None] * len(names)
    assert all(source.read(name).problem for name in names)


def test_a_diagram_outside_the_project_runs_but_its_neighbours_stay_closed(tmp_path):
    base = tmp_path / "base"
    (base / "files/prompts").mkdir(parents=True)
    (base / "files/prompts/ask.txt").write_text("inside")
    (tmp_path / "ask.txt").write_text("outside")
    text = asking("prompt_file: ask.txt")
    result = compile_diagram(text, path=str(tmp_path / "x.light.yaml"), files=ProjectSource(base))
    assert program_of(result).nodes[1].props.resolved_prompt == "inside"
