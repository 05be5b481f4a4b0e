"""What node types accept: names, types, coercions, aliases. (formats contract 7)"""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from dipeo_executor.nodes import REGISTRY


def read(node_type, **given):
    return REGISTRY[node_type].props.model_validate(given)


def faults(node_type, **given):
    with pytest.raises(ValidationError) as caught:
        read(node_type, **given)
    return [error["loc"][0] if error["loc"] else "" for error in caught.value.errors()]


def test_importing_the_nodes_loads_no_heavy_library():
    code = "import sys, dipeo_executor.nodes, dipeo_executor.llm.models, dipeo_executor.files\n"
    code += (
        "print([m for m in ('pydantic_ai', 'openai', 'httpx2', 'jinja2', 'jsonschema_rs', 'grpc') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["llm.persons", "llm.memory", "llm.errors", "llm.models", "files", "nodes.base"])
def test_every_module_can_be_the_first_one_imported(module):
    subprocess.run([sys.executable, "-c", f"import dipeo_executor.{module}"], check=True)


def test_integers_take_numeric_text_and_whole_floats_only():
    assert read("code_job", timeout="5").timeout == 5
    assert read("person_job", person="A", max_iteration=3.0).max_iteration == 3
    assert faults("code_job", timeout="soon") == ["timeout"]
    assert faults("code_job", timeout=1.5) == ["timeout"]
    assert faults("person_job", person="A", max_iteration=0) == ["max_iteration"]


def test_booleans_take_the_usual_words():
    assert read("endpoint", save_to_file="yes").save_to_file
    assert not read("endpoint", save_to_file="off").save_to_file
    assert read("endpoint", save_to_file=1).save_to_file
    assert faults("endpoint", save_to_file="perhaps") == ["save_to_file"]


def test_text_is_never_made_of_numbers_and_words_of_a_list_are_exact():
    assert faults("person_job", person=5) == ["person"]
    assert faults("condition", condition_type="Custom") == ["condition_type"]
    assert faults("db", format="txt") == ["format"]
    assert faults("start", output_data_structure=[]) == ["output_data_structure"]


def test_null_means_not_given():
    assert read("code_job", language=None, timeout=None).language == "python"
    assert faults("person_job", person=None) == ["person"]


def test_what_a_type_requires():
    assert faults("person_job") == ["person"]
    assert faults("person_job", person="") == ["person"]
    assert faults("start", trigger_mode="hook") == [""]
    assert read("condition").condition_type == "custom"


def test_other_spellings():
    assert read("code_job", filePath="a.py", file_path="b.py", functionName="f").file_path == "a.py"
    assert read("code_job", functionName="f", function_name="g").function_name == "f"
    assert read("condition", condition="n > 1").expression == "n > 1"
    assert read("condition", condition="n > 1", expression="n > 2").expression == "n > 2"
    assert read("sub_diagram", passInputData="true", ignoreIfSub=True).pass_input_data
    assert read("endpoint", file_path="a.txt").file_name == "a.txt"
    assert read("db", source_details="a.txt").file == "a.txt"
    assert read("person_job", person="A", prompt="hi").default_prompt == "hi"
    assert REGISTRY["sub_diagram"].aliases["ignoreIfSub"] == "ignore_if_sub"
    assert REGISTRY["condition"].aliases["condition"] == "expression"


@pytest.mark.parametrize(
    ("given", "types"),
    [
        ("none", []),
        ("websearch", ["web_search_preview"]),
        ("image, web_search", ["image_generation", "web_search"]),
        (["image", {"type": "none"}, {"type": "web_search", "enabled": False}], ["image_generation", "web_search"]),
        ("", []),
    ],
)
def test_tools_are_words_or_maps(given, types):
    assert [tool.type for tool in read("person_job", person="A", tools=given).tools] == types


def test_a_tool_nobody_knows_is_a_fault():
    assert faults("person_job", person="A", tools="hammer") == ["tools"]
    assert faults("person_job", person="A", tools={"type": "image"}) == ["tools"]


def test_node_types_of_templates_schemas_and_patches():
    patch = read("diff_patch", target_path="a", diff="b", strip_level="2", backup="off")
    assert (patch.strip_level, patch.backup, patch.fuzz_factor, patch.format) == (2, False, 2, "unified")
    assert faults("diff_patch") == ["target_path", "diff"]
    assert faults("diff_patch", target_path="a", diff="b", fuzz_factor=-1, apply_mode="try") == [
        "apply_mode",
        "fuzz_factor",
    ]
    assert read("json_schema_validator", strict=True).strict_mode
    assert faults("json_schema_validator", json_schema="{}") == ["json_schema"]
    assert read("template_job", preprocessor={"module": "m"}, template_content="x").engine == "jinja2"
    assert faults("template_job", engine="mako", variables=[]) == ["variables", "engine"]
    assert faults("ir_builder") == ["builder_type"]
    assert read("typescript_ast").extract_patterns == ["interface", "type", "enum"]
