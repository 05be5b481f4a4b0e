"""What each recorded case should give: as recorded where its note says Sound, else what is sane, decisions first."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Expect:
    """`why`: what differs from the recording, and for what reason; "" = nothing.

    `recorded`: firings, values and files are those of the recording, but for what `outputs` and `files` say.
    With keep_going in `how`, the case is run without it first, and must fail.
    """

    why: str = ""
    how: dict[str, Any] = field(default_factory=dict)  # arguments of House.submit
    answers: dict[str, str] = field(default_factory=dict)  # prompt -> what the human says
    refused: tuple[str, ...] = ()  # codes of the errors that keep it from running
    warned: tuple[str, ...] = ()  # codes of warnings
    status: str = "completed"
    failed: dict[str, str] = field(default_factory=dict)  # label -> words of its error
    fired: tuple[str, ...] = ()  # labels in start order
    recorded: bool = False
    outputs: dict[str, Any] = field(default_factory=dict)  # label -> last value; of a map, the keys that matter
    tokens: dict[str, int] = field(default_factory=dict)  # label -> words the mock model was sent
    files: dict[str, Any] = field(default_factory=dict)  # text, or the value in it


GO_ON = {"keep_going": True}
SOUND = Expect(recorded=True)
TEA = {"n": 4, "word": "tea"}
DOUBLE = {"given": ["n", "word"], "n": 4, "twice": 8}
NOTHING_GIVEN = {"given": [], "n": None, "twice": None}
TWICE = {index: {"n": index + 1, "twice": 2 * index + 2} for index in range(3)}
BATCH = [{"index": index, "output": output} for index, output in TWICE.items()]
HOOKED = {"inputs": {"thing": {"word": "tea"}}, "node_id": "hook"}
POSTED = {"method": "POST", "body": {**HOOKED, "hook_type": "hook_node"}}
SCORE = {"yes": {"default": {"default": {"score": 90, "level": 3}}}}
MAP = {"b": 1, "a": [1, 2]}
OBJECT = {"b": 1, "a": ["x", {"y": None}]}

CASES: dict[str, Expect] = {
    # --- diagrams that are wrong ---
    "bad-handle": Expect(why="said, with its place", refused=("L10",)),
    "bad-node-type": Expect(why="said, with its place", refused=("V3",)),
    "bad-yaml": Expect(why="said, with its place", refused=("L2",)),
    "connection-to-nowhere": Expect(why="an error instead of a lost arrow", refused=("L9", "L9")),
    "labels-duplicate": Expect(why="an arrow could mean either", refused=("L8",)),
    "person-unknown": Expect(why="nobody is made up", refused=("T6",)),
    "sub-missing": Expect(why="decision 7: missing things are errors", refused=("T10",)),
    # --- formats and names ---
    "display-rich": SOUND,
    "format-native": Expect(recorded=True, how={"format": "FORMAT_NATIVE"}),
    "format-flag-absent": Expect(
        why="decision 16: detected", how={"format": "FORMAT_UNSPECIFIED"}, fired=("go", "end"), outputs={"end": {}}
    ),
    "format-readable": Expect(
        why="decision 16: the grammar of formats contract 5.2",
        how={"format": "FORMAT_READABLE"},
        fired=("Go", "Make it", "Is it", "Finish"),
        files={"files/results/r.txt": {"word": "readable"}},
    ),
    "format-readable-arrows": Expect(
        why="decision 16: the grammar of formats contract 5.2",
        how={"format": "FORMAT_READABLE"},
        fired=("Go", "Make it", "Finish"),
        files={"files/results/r.txt": "readable"},
    ),
    "format-readable-bracket-type": Expect(
        why="decision 16: types in brackets are read",
        how={"format": "FORMAT_READABLE"},
        fired=("Go", "Make it", "Finish"),
        outputs={"Finish": {"default": "readable"}},
    ),
    "format-name-without-suffix": SOUND,  # where names are looked for is the command line's
    # --- code ---
    "code-python": Expect(
        why="decision 6: values stay themselves",
        recorded=True,
        outputs={
            "no result": None,
            "a number": 7,
            "a float": 0.5,
            "a bool": True,
            "nothing": None,
            "a tuple": [1, "two"],
            "end": {"number": 7, "nothing": None, "tuple": [1, "two"], "json": {"kind": "list", "t": [1, 2]}},
        },
        files={"files/results/all.json": {"by_return": "returned early", "float": 0.5, "bool": True}},
    ),
    "code-typescript": Expect(
        why="what is thrown fails the node",
        how=GO_ON,
        failed={"fails": "broken on purpose"},
        outputs={
            "inline": {"sum": 6},
            "own main": {"count": 3, "keys": ["data", "globals", "inputs", "node_id"]},
            "file": [2, 4, 6],
        },
    ),
    "code-typescript-without-tsx": Expect(why="Node.js alone is enough", outputs={"inline": 1}),
    "code-python-file": Expect(why="decision 7: the missing file is named before the run", refused=("T9",)),
    "code-bash": Expect(
        why="an exit code or a time-out fails the node; INPUT_KEYS names the arrows' inputs",
        how=GO_ON,
        failed={"fails": "exit code 3", "slow": "timed out after 1 seconds"},
        outputs={
            "json out": '{"made": "by bash"}',
            "as shell": "via shell",
            "inline": 'keys: thing\nobject: {"word": "tea", "list": [1, 2]}',
            "file": 'file saw {"word": "tea", "list": [1, 2]}',
        },
    ),
    "code-error-flows-on": Expect(
        why="decision 1: a failed node fails the run",
        status="failed",
        fired=("go", "breaks"),
        failed={"breaks": "broken on purpose"},
        files={"files/results/out.json": None},
    ),
    "code-timeout": Expect(
        why="a time-out fails the node",
        status="failed",
        fired=("go", "slow"),
        failed={"slow": "timed out after 1 seconds"},
    ),
    # --- conditions and loops ---
    "cond-bad-expression": Expect(why="decision 11: an error at compile time", refused=("T8",)),
    "cond-no-endpoint": Expect(why="decision 2: over at quiescence", fired=("go", "gate", "taken"), warned=("V5",)),
    "cond-start-variables": Expect(
        why="decision 45: custom_data is a scope everywhere", outputs={"a": SCORE, "b": SCORE, "c": SCORE}
    ),
    "cond-true-branches-join": Expect(
        why="decision 2: a join waits for the branches that still come",
        fired=("go", "measure", "high enough", "praise", "done"),
        files={"files/results/verdict.json": {"p": {"said": "good"}}},
    ),
    "loop-code-counter": Expect(
        why="decision 2: a loop's entry never waits for its way back",
        fired=("go", "zero", *("add", "enough") * 4, "end"),
        files={"files/results/count.json": {"count": {"n": 4}}},
    ),
    "loop-person-first-handle": Expect(
        why="decision 2: three turns",
        fired=("go", "topic", *("tell", "full") * 3, "end"),
        outputs={"tell": "turn 3", "end": {"default": "turn 3"}},
    ),
    "loop-two-persons-debate": Expect(
        why="each message once: system, four exchanges, the prompt",
        fired=("go", *("Ada speaks", "Ben speaks", "over") * 2, "judge", "end"),
        outputs={"Ada speaks": "turn 2", "Ben speaks": "turn 2", "judge": "messages 10"},
        files={"files/results/verdict.txt": "messages 10"},
    ),
    # --- files ---
    "db-append-update": Expect(
        why="a line is added to text; decision 1: the update without keys fails the run, once",
        status="failed",
        failed={"update without keys": "needs keys"},
        outputs={"update": "Updated to files/data/shop.json (88 bytes)"},
        files={
            "files/data/list.json": [{"n": 1}, {"n": 2}],
            "files/data/object.json": [{"a": 1}, {"n": 2}],
            "files/data/log.txt": 'old line\n{"n": 2}\n',
            "files/data/new.json": [{"n": 2}],
            "files/data/shop.json": {"shop": {"name": "Ida", "entry": {"n": 2}}, "kept": True},
        },
    ),
    "db-read-formats": Expect(
        why="a missing file fails; text is never parsed; dates are text; csv rows on request only (node contract 9.2)",
        how=GO_ON,
        failed={"absent": 'there is no file "files/data/absent.json"'},
        outputs={
            "json default": {"shop": {"name": "Ida", "items": [1, 2]}},
            "json as text": '{"shop": {"name": "Ida", "items": [1, 2]}}\n',
            "yaml": {"town": "Oslo", "sizes": [1, 2], "day": "2025-01-02"},
            "csv": "n,v\na,1\nb,2\n",
            "several": {"files/data/a.txt": "one\ntwo\nthree\nfour\n", "files/data/absent.txt": None},
            "pattern": {"files/data/a.csv": "n,v\na,1\nb,2\n"},
            "keys": {"shop.name": "Ida", "shop.items": [1, 2]},
            "lines": "two\nthree\n",
        },
    ),
    "db-write-formats": Expect(
        why="csv is CSV, text is text, a map as text is JSON",
        outputs={"r csv": "Wrote to files/out/r.csv (12 bytes)"},
        files={
            "files/out/o.json": OBJECT,
            "files/out/o.txt": OBJECT,
            "files/out/o.yaml": "a:\n- x\n- y: null\nb: 1\n",
            "files/out/r.csv": "n,v\na,1\nb,2\n",
            "files/out/t.txt": "line one",
            "files/out/t.log": "line one",
            "files/out/t.json": '"line one"',
            "files/out/lamp_ida.json": OBJECT,
            "files/out/plain.json": OBJECT,
        },
    ),
    "diff-patch": Expect(
        why="it patches",
        outputs={"patch": {"status": "success", "applied_hunks": 1}},
        files={"files/data/a.txt": "one\nTWO\nthree\n"},
    ),
    "endpoint-formats": Expect(
        why="yaml is YAML",
        recorded=True,
        files={"files/results/object.yaml": "b: 1\na:\n- 1\n- 2\n", "files/results/list.json": "[\n  1,\n  2,\n  3\n]"},
    ),
    "endpoint-many-inputs": Expect(
        why="decision 2: the last arrow wins, and the compiler says that one is lost", recorded=True, warned=("O3",)
    ),
    # --- arrows ---
    "labels-and-content-types": Expect(
        why="decision 6: 42 stays a number; content types convert nothing (engine contract 2.2)",
        recorded=True,
        outputs={
            "number": 42,
            "number as object": {"value": 42, "kind": "int"},
            "end": {"a": {"value": {"k": [1, 2]}, "kind": "dict"}, "c": {"value": 42, "kind": "int"}},
        },
        files={"files/results/kinds.json": {"c": {"value": 42, "kind": "int"}}},
    ),
    "labels-collide": Expect(
        why="decision 2: the last arrow wins, and the compiler says that one is lost",
        recorded=True,
        warned=("O3", "O3"),
    ),
    "start-input-data": Expect(
        why="decision 5: the caller's value wins everywhere",
        outputs={
            "go": {"default": {"colour": "red", "count": 3, "deep": {"a": [1, 2]}, "size": 1}},
            "look": {"globals": {"colour": "red", "count": 3, "size": 1}},
        },
    ),
    "start-mode-none": Expect(why="decision 45, with a warning", recorded=True, warned=("T17",)),
    # --- persons ---
    "person-max-iteration-missing": SOUND,
    "memory-at-most-alone": Expect(why="decision 8: at_most always truncates", outputs={"a3": "messages 3"}),
    "memory-criteria-at-most": SOUND,  # decision 40: the mock's selector keeps all; the values are the same
    "memory-ignore-person": Expect(
        why="what Ben said and was told is dropped, without memorize_to as well: system, two exchanges, the prompt",
        outputs={"a3": "messages 6"},
    ),
    "memory-profile-legacy": Expect(recorded=True, tokens={"a1": 7, "a2": 16}),  # FULL: the whole of a1 comes along
    "person-batch": Expect(
        why="a list of replies, which do not hear each other",
        outputs={
            "say": {
                "total_items": 2,
                "successful": 2,
                "failed": 0,
                "errors": None,
                "results": [
                    {"index": 0, "output": "echo: about tea (0 of 2)"},
                    {"index": 1, "output": "echo: about rice (1 of 2)"},
                ],
            }
        },
        tokens={"say": 10},
    ),
    "person-conversation-edge": Expect(
        why="no doubling",
        outputs={
            "write": "a poem of rain",
            "improve": "echo: Improve: {{talk}} / last: a poem of rain",
            "end": {"r": {"kind": "dict", "keys": ["last_message", "messages", "model", "person_id"], "messages": 2}},
        },
    ),
    "person-google": Expect(why="a reply", fired=("go", "a1", "end"), outputs={"a1": "messages 1"}),
    "person-llm-error": Expect(
        why="decision 1; asked again as the default policy says, then failed",
        status="failed",
        fired=("go", "a1"),
        failed={"a1": "mock answered 500"},
    ),
    "person-rate-limit": Expect(
        why="decision 1; asked again as the default policy says, then failed",
        status="failed",
        fired=("go", "a1"),
        failed={"a1": "mock answered 429"},
    ),
    "person-missing-key": Expect(
        why="the node fails and names what is missing",
        how={"mock_llm": False},
        status="failed",
        fired=("go", "a1"),
        failed={"a1": "key"},
    ),
    "person-no-prompt": Expect(
        why="a1 has no prompt at all and fails; a2 with only a first prompt is answered",
        how=GO_ON,
        warned=("T15",),
        failed={"a1": "no prompt"},
        outputs={"a2": "echo: only first"},
    ),
    "person-prompt-files": Expect(
        why="decision 7: a missing file without inline words is an error", refused=("T9",), warned=("T9",)
    ),
    "person-tools-list": SOUND,
    "person-tools-string": Expect(
        why="words are accepted", fired=("go", "a1", "end"), outputs={"a1": "echo: search it"}
    ),
    "user-response": Expect(
        why="prompts are filled",
        answers={"Who is there?": "Ida", "How old is Ida?": "41"},
        recorded=True,
    ),
    "user-response-end-of-input": Expect(recorded=True, how={"non_interactive": True}),
    # --- templates and schemas ---
    "template-job": Expect(
        why="default() rescues; a mistake fails the node, with its place",
        how=GO_ON,
        failed={
            "unknown name": "template_content, line 1: 'nothing_at_all' is undefined",
            "absent file": 'there is no file "files/templates/absent.j2"',
        },
        outputs={
            "inline": "# REPORT\n1. a = 1\n2. b = 2.5\nnone: None\n",
            "variables": "greeting=[hello]",
            "from file": "* a\n* b\n",
            "unknown key": "x-y",
            "filters": "Some Words Here some_name someName SomeName",
        },
        files={"files/results/report.md": "# REPORT\n1. a = 1\n2. b = 2.5\nnone: None\n"},
    ),
    "template-job-default-flattened": Expect(
        why="names as in prompts", outputs={"page": "town=Oslo default={'town': 'Oslo', 'level': 7} level=7"}
    ),
    "schema-invalid": Expect(
        why="the node fails",
        status="failed",
        fired=("go", "thing", "check"),
        failed={"check": 'Validation failed: name: 5 is not of type "string"'},
    ),
    "schema-strict-extra": Expect(
        why="the node fails",
        status="failed",
        fired=("go", "thing", "check"),
        failed={"check": "Additional properties are not allowed ('more' was unexpected); name: 5 is not of type"},
    ),
    # --- sub-diagrams ---
    "sub-single": Expect(why="the inner endpoint's value", outputs={"inside": NOTHING_GIVEN, "end": NOTHING_GIVEN}),
    "sub-single-standard": Expect(
        why="as sub-single; the property has no effect", warned=("T12",), outputs={"inside": NOTHING_GIVEN}
    ),
    "sub-single-pass-input": Expect(
        why="the inputs inside as variables, under their labels",
        outputs={"inner start": {"default": {"payload": TEA}}, "end": {"given": ["payload"]}},
    ),
    "sub-single-pass-input-default": Expect(
        why="the inputs inside as variables", outputs={"inner start": {"default": TEA}, "end": DOUBLE}
    ),
    "sub-inline-data": Expect(why="it runs", fired=("go", "inside", "s", "e", "end"), outputs={"end": {"default": {}}}),
    "sub-person-inside": Expect(
        why="its prompt is filled",
        outputs={"inside": {"default": "echo: word=tea n=4"}},
        files={"files/results/inner.txt": "echo: word=tea n=4"},
    ),
    "sub-batch-sequential": Expect(
        why="the inner values in the order of the items",
        outputs={"inside": BATCH},
        fired=(
            "go",
            "give",
            "inside",
            *(it for n in range(3) for it in (f"inside[{n}]", "inner start", "double", "inner end")),
            "end",
        ),
    ),
    "sub-batch-empty": Expect(why="no items, an empty list", outputs={"inside": []}),
    "sub-batch-writes-files": Expect(
        why="the inner runs write, the values come in order",
        outputs={"inside": BATCH},
        files={
            f"files/seen_{n}.txt": str({"default": {"n": n}, "_batch_index": n - 1, "_batch_total": 3})
            for n in (1, 2, 3)
        },
    ),
    "sub-batch-parallel": Expect(why="the inner values in the order of the items", outputs={"inside": BATCH}),
    # --- hooks and the web ---
    "hook-shell": Expect(why="it runs", outputs={"hook": "one two"}),
    "hook-shell-command-field": Expect(why="it runs", outputs={"hook": "plain"}),
    "hook-python": Expect(why="it runs", outputs={"hook": {"thing": {"word": "tea"}}}),
    "hook-file": Expect(why="it runs", files={"files/results/hooked.json": HOOKED}),
    "hook-http": Expect(why="it runs", outputs={"hook": POSTED}),
    "hook-webhook": Expect(why="another word for http", outputs={"hook": POSTED}),
    "api-auth": Expect(
        why="it calls",
        outputs={
            "bearer": {"headers": {"authorization": "Bearer tkn"}},
            "basic": {"ok": True},
            "key": {"headers": {"x-api-key": "kv"}},
        },
    ),
    "api-errors": Expect(
        why="statuses fail the node, 503 is tried again, time-outs and refused connections fail",
        how=GO_ON,
        failed={
            "not found": "answered 404",
            "server error": "answered 500",
            "nobody there": "cannot connect",
            "slow": "timed out after 1 second",
        },
        outputs={"flaky": {"ok": True}},
    ),
    "api-inputs": Expect(
        why="inputs override the node's fields", outputs={"call": {"method": "POST", "body": {"sent": [1, 2]}}}
    ),
    "api-methods": Expect(
        why="it calls",
        outputs={
            "get": {"ok": True, "n": 1},
            "get with params": {"method": "GET", "query": {"a": "1", "b": "two"}},
            "get list": [1, 2, 3],
            "post": {"method": "POST", "body": {"k": [1, 2]}},
            "post params": {"method": "POST", "query": {"a": "1"}},
            "put": {"method": "PUT", "body": {"k": 1}},
            "delete": {"method": "DELETE"},
            "templated": {"query": {"w": "tea"}},
        },
    ),
    "integrated-api-unknown": Expect(
        why="it fails with the provider's name", status="failed", fired=("go", "call"), failed={"call": '"nobody"'}
    ),
}

NOT_YET: dict[str, str] = {
    "missing-file": "the command line finds files: its tests have this case",
}
