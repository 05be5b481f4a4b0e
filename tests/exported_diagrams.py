"""Diagrams that between them use every first-rank node type in all the ways a script has to follow."""

from lightly import light

MANY = {
    "loop over a counter": light(
        """
        - {label: Start, type: start}
        - {label: Init, type: code_job, code: "result = {'n': 0, 'seen': []}"}
        - label: Step
          type: code_job
          code: |
            state = inputs["default"].get("default", inputs["default"])
            state = {"n": state["n"] + 1, "seen": [*state["seen"], state["n"]]}
            result = state
        - label: Enough
          type: condition
          condition_type: custom
          expression: "default.n >= 3 and len([x for x in default.seen if x < 9]) > 2 and not missing"
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Init}
        - {from: Init, to: Step}
        - {from: Step, to: Enough}
        - {from: "Enough[condfalse]", to: Step}
        - {from: "Enough[condtrue]", to: Done}
        """,
    ),
    "code in many forms": light(
        '''
        - {label: Start, type: start, trigger_mode: manual, custom_data: {who: tea}}
        - {label: A, type: code_job, code: "return who + str(len(globals))"}
        - label: B
          type: code_job
          code: |
            import math
            def main(a, who="x"):
                return [a, who, math.floor(2.5)]
        - label: C
          type: code_job
          code: |
            text = """two
              lines"""
            a = a + "!"
            result = {"text": text, "a": a}
        - {label: D, type: code_job, language: bash, code: 'echo "$INPUT_a and $INPUT_KEYS"'}
        - {label: E, type: code_job, code: "async def main(inputs):\\n    return sorted(inputs['inputs'])"}
        - {label: Nothing, type: code_job, code: "x = 1"}
        - {label: Done, type: endpoint}
        ''',
        """
        - {from: Start, to: A}
        - {from: A, to: B, label: a}
        - {from: A, to: C, label: a}
        - {from: A, to: D, label: a}
        - {from: A, to: E, label: a}
        - {from: A, to: Nothing}
        - {from: B, to: Done, label: b}
        - {from: C, to: Done, label: c}
        - {from: D, to: Done, label: d}
        - {from: E, to: Done, label: e}
        - {from: Nothing, to: Done, label: f}
        """,
    ),
    "errors that go on": light(
        """
        - {label: Start, type: start}
        - {label: Boom, type: code_job, code: "raise ValueError('no')"}
        - {label: Bang, type: code_job, code: "1 / 0", on_error: continue}
        - {label: Note, type: code_job, code: "result = [caught['error'], caught['type']]"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Boom}
        - {from: Start, to: Bang}
        - {from: "Boom[error]", to: Note, label: caught}
        - {from: Note, to: Done, label: note}
        - {from: Bang, to: Done, label: bang}
        """,
    ),
    "memory words and structured answers": light(
        """
        - {label: Start, type: start}
        - {label: One, type: person_job, person: Ann, default_prompt: "[[turn]]"}
        - {label: Two, type: person_job, person: Bob, default_prompt: "[[count]]", memorize_to: SENT_BY_ME}
        - {label: Three, type: person_job, person: Ann, default_prompt: "[[turn]]", memorize_to: GOLDFISH}
        - {label: Four, type: person_job, person: Ann, default_prompt: "[[count]]", at_most: 1, ignore_person: Bob}
        - {label: Six, type: person_job, person: Ann, default_prompt: "[[count]]", memorize_to: the rest, at_most: 2}
        - label: Five
          type: person_job
          person: Bob
          default_prompt: "{{#if two}}give {{two}}{{else}}nothing{{/if}}"
          text_format: {type: object, properties: {n: {type: integer}, s: {type: string}}, required: [n, s]}
        - {label: Agree, type: condition, condition_type: llm_decision, person: Bob, judge_by: "answer YES to {{two}}"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: One}
        - {from: One, to: Two, content_type: conversation_state}
        - {from: Two, to: Three, label: two}
        - {from: Two, to: Four, label: two}
        - {from: Three, to: Four, label: three}
        - {from: Four, to: Six, label: four}
        - {from: Six, to: Done, label: six}
        - {from: Six, to: Five, label: four}
        - {from: Two, to: Five, label: two}
        - {from: Five, to: Agree, label: five}
        - {from: "Agree[condtrue]", to: Done, label: agreed}
        - {from: "Agree[condfalse]", to: Done, label: refused}
        - {from: Four, to: Done, label: four}
        """,
        "Ann: {service: openai, model: m, system_prompt: Be brief.}\nBob: {service: anthropic, model: n}",
    ),
    "files of all kinds": light(
        """
        - {label: Start, type: start, trigger_mode: manual, custom_data: {name: things}}
        - {label: Make, type: code_job, code: "result = [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]"}
        - {label: Csv, type: db, operation: write, file: "out/{name}.csv", format: csv}
        - {label: Rows, type: db, operation: read, file: out/things.csv, format: csv, csv: rows}
        - {label: Yaml, type: db, operation: write, file: out/y.yaml, format: yaml}
        - {label: Read, type: db, operation: read, file: out/y.yaml, format: yaml}
        - {label: Set, type: code_job, code: "result = 7"}
        - {label: Update, type: db, operation: update, file: out/u.json, keys: a.b}
        - {label: Append, type: db, operation: append, file: out/l.json}
        - {label: All, type: db, operation: read, file: ["out/*.json"], keys: a}
        - {label: Lines, type: db, operation: read, file: out/things.csv, lines: "2:3", format: text}
        - {label: Done, type: endpoint, save_to_file: true, file_name: out/result.json}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Csv}
        - {from: Csv, to: Rows}
        - {from: Rows, to: Yaml}
        - {from: Yaml, to: Read}
        - {from: Read, to: Set}
        - {from: Set, to: Update}
        - {from: Update, to: Append}
        - {from: Append, to: All}
        - {from: All, to: Lines}
        - {from: Lines, to: Done, label: lines}
        - {from: All, to: Done, label: all}
        - {from: Read, to: Done, label: read}
        """,
    ),
    "templates and schemas": light(
        """
        - {label: Start, type: start, trigger_mode: manual, custom_data: {items: [one thing, two]}}
        - label: Fill
          type: template_job
          template_content: "{% for it in items %}{{ it | snake_case }},{% endfor %}{{ extra }}"
          output_path: out/{{ extra }}.txt
          variables: {extra: end}
        - {label: Wrap, type: code_job, code: "result = {'text': default}"}
        - label: Check
          type: json_schema_validator
          json_schema: {type: object, properties: {text: {type: string}}}
          error_on_extra: true
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Fill}
        - {from: Fill, to: Wrap}
        - {from: Wrap, to: Check}
        - {from: Check, to: Done}
        """,
    ),
    "diagrams inside": light(
        """
        - {label: Start, type: start}
        - {label: Make, type: code_job, code: "result = {'items': [1, 2, 3], 'x': {'y': 5}}"}
        - label: Each
          type: sub_diagram
          batch: true
          diagram_data: &inner
            version: light
            nodes:
              - {label: S, type: start}
              - {label: W, type: code_job, code: "result = {'got': variables.get('default', variables.get('y'))}"}
              - {label: E, type: endpoint}
            connections:
              - {from: S, to: W}
              - {from: W, to: E}
        - label: Once
          type: sub_diagram
          input_mapping: {y: default.x.y}
          output_mapping: {answer: got}
          diagram_data: *inner
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Each}
        - {from: Make, to: Once}
        - {from: Each, to: Done, label: each}
        - {from: Once, to: Done, label: once}
        """,
    ),
    "diagrams inside, whose inner nodes are looked at": light(
        """
        - {label: Start, type: start}
        - {label: Make, type: code_job, code: "result = [1, 2]"}
        - label: Each
          type: sub_diagram
          batch: true
          batch_input_key: default
          batch_parallel: false
          output_mapping: {work: W.seen, whole: W, end: "", none: nowhere}
          diagram_data: &inner
            version: light
            nodes:
              - {label: Start, type: start}
              - {label: W, type: code_job, code: "result = {'seen': variables}"}
              - label: Never
                type: sub_diagram
                ignore_if_sub: true
                diagram_data:
                  version: light
                  nodes: [{label: Start, type: start}, {label: End, type: endpoint}]
                  connections: [{from: Start, to: End}]
              - {label: E, type: endpoint}
            connections:
              - {from: Start, to: W}
              - {from: W, to: Never}
              - {from: Never, to: E}
        - label: Once
          type: sub_diagram
          pass_input_data: true
          output_mapping: {answer: W.seen, skipped: Never}
          diagram_data: *inner
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Each}
        - {from: Make, to: Once, label: made}
        - {from: Each, to: Done, label: each}
        - {from: Once, to: Done, label: once}
        """,
    ),
    "second tries": light(
        """
        - {label: Start, type: start}
        - label: Count
          type: code_job
          retry: {attempts: 3, delay_s: 0.01, strategy: constant, errors: [KeyError]}
          code: |
            import pathlib
            seen = pathlib.Path("out/tries")
            seen.parent.mkdir(exist_ok=True)
            seen.write_text("x" + (seen.read_text() if seen.exists() else ""))
            if len(seen.read_text()) < 3:
                raise KeyError("once more")
            result = len(seen.read_text())
        - label: In vain
          type: code_job
          retry: {attempts: 2, delay_s: 0, errors: [KeyError]}
          on_error: continue
          code: "raise ValueError('never again')"
        - label: Never
          type: person_job
          person: Ann
          retry: {attempts: 2, delay_s: 0}
          default_prompt: "[[status 500]]"
        - {label: Note, type: code_job, code: "result = bool(caught['error'])"}
        - {label: Late, type: code_job, language: bash, code: "sleep 20", timeout: 1, on_error: continue}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Count}
        - {from: Start, to: In vain}
        - {from: Start, to: Never}
        - {from: Start, to: Late}
        - {from: "Never[error]", to: Note, label: caught}
        - {from: Count, to: Done, label: count}
        - {from: In vain, to: Done, label: vain}
        - {from: Note, to: Done, label: note}
        - {from: Late, to: Done, label: late}
        """,
        "Ann: {service: openai, model: m}",
    ),
    "a person asked for each of many": light(
        """
        - {label: Start, type: start}
        - {label: Make, type: code_job, code: "result = {'items': ['tea', {'n': 2}], 'rest': 1}"}
        - label: Each
          type: person_job
          person: Ann
          batch: true
          max_concurrent: 1
          default_prompt: "{{default}} {{_batch_index}}/{{_batch_total}} {{more.rest}} [[count]]"
        - label: Again
          type: person_job
          person: Ann
          batch: true
          default_prompt: "{{#if _batch_index}}[[status 401]]{{else}}[[count]]{{/if}}"
        - {label: Told, type: person_job, person: Ann, default_prompt: "{{talk_last_message}} [[turn]]"}
        - {label: Text, type: code_job, code: "result = [each['successful'], [it['output'] for it in each['results']]]"}
        - {label: Some, type: code_job, code: "result = [again['failed'], [it['item'] for it in again['errors']]]"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Make}
        - {from: Make, to: Each}
        - {from: Make, to: Each, label: more}
        - {from: Each, to: Text, label: each}
        - {from: Each, to: Told, content_type: conversation_state, label: talk}
        - {from: Each, to: Again, label: of_each}
        - {from: Make, to: Again}
        - {from: Again, to: Some, label: again}
        - {from: Text, to: Done, label: each}
        - {from: Told, to: Done, label: told}
        - {from: Some, to: Done, label: again}
        """,
        "Ann: {service: openai, model: m}",
    ),
    "counts and branches": light(
        """
        - {label: Start, type: start}
        - {label: Ask, type: person_job, person: Ann, default_prompt: "[[turn]]", max_iteration: 3}
        - {label: Loop, type: condition, condition_type: detect_max_iterations, expose_index_as: i}
        - {label: Ran, type: condition, condition_type: check_nodes_executed, node_indices: [Ask]}
        - {label: Text, type: code_job, code: "result = f'{i} {inputs}'"}
        - {label: Done, type: endpoint}
        """,
        """
        - {from: Start, to: Ask}
        - {from: Ask, to: Loop}
        - {from: "Loop[condfalse]", to: Ask}
        - {from: "Loop[condtrue]", to: Ran}
        - {from: "Ran[condtrue]", to: Text}
        - {from: Text, to: Done}
        """,
        "Ann: {service: openai, model: m}",
    ),
}
