"""Manifests made of OpenAPI documents, and where a manifest that cannot be used goes wrong."""

from textwrap import dedent
from typing import Any

import pytest

from dipeo_executor.providers import checking, openapi
from dipeo_executor.providers.manifest import Manifest

PETS = """
openapi: 3.0.3
info: {title: Pets, version: "2.1"}
servers: [{url: "https://pets.example.com/{v}/", variables: {v: {default: v2}}}]
security: [{key: []}]
components:
  securitySchemes:
    other: {type: http, scheme: basic}
    key: {type: apiKey, in: header, name: X-Key}
  parameters: {size: {name: page-size, in: query}}
  schemas:
    Pet: {type: object, required: [name], properties: {name: {}, born-in: {}}}
paths:
  /pets:
    get:
      {operationId: listPets, tags: [read], summary: All pets, parameters: [{$ref: '#/components/parameters/size'},
       {name: X-Trace, in: header}, {name: Accept, in: header}, {name: s, in: cookie}], responses: {"200": {}, 4XX: {}}}
    post:
      tags: [write]
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
      responses: {"201": {}}
  /pets/{pet-id}:
    parameters: [{name: pet-id, in: path, required: true}]
    get: {operationId: listPets, responses: {default: {}}}
    put: {operationId: photo, requestBody: {content: {image/png: {}}}}
    patch: {requestBody: {content: {application/json: {schema: {type: array}}}}}
"""
SWAGGER = """
swagger: "2.0"
info: {title: Old, version: 1.0.0}
host: old.example.com
basePath: /api
schemes: [http, https]
securityDefinitions:
  o: {type: oauth2, flow: application, tokenUrl: "https://old.example.com/token", scopes: {read: x}}
paths:
  /things:
    post: {parameters: [{in: body, name: it, required: true, schema: {properties: {size: {}}, required: [size]}}]}
  /form: {post: {operationId: form, parameters: [{in: formData, name: file, type: file}]}}
"""


def imported(text: str, **how: Any) -> openapi.Imported:
    return openapi.convert(text, "pets", **how)


def test_parameters_and_bodies_become_values_of_config() -> None:
    made = imported(PETS).manifest
    assert (made.name, made.version, made.base_url) == ("pets", "2.1", "https://pets.example.com/v2")
    assert (made.auth.strategy, made.auth.header) == ("api_key_header", "X-Key")
    assert list(made.operations) == ["listPets", "post_pets", "listPets_2", "photo", "patch_pets_pet_id"]
    listing = made.operations["listPets"]
    assert listing.request.query_params_template == {"page-size": "{{ config.page_size }}"}
    assert listing.request.headers_template == {"X-Trace": "{{ config.X_Trace }}"}
    assert (listing.description, listing.response.success_codes) == ("All pets", {200})
    post = made.operations["post_pets"]
    assert post.request.body_template == {"name": "{{ config.name }}", "born-in": "{{ config.born_in }}"}
    assert (post.required, post.response.success_codes) == (("name",), {201})
    one = made.operations["listPets_2"]
    assert (one.path, one.required) == ("/pets/{{ config.pet_id }}", ("pet_id",))
    assert "tojson" in made.operations["patch_pets_pet_id"].request.body_template


def test_what_a_manifest_cannot_say_is_noted() -> None:
    notes = " ".join(imported(PETS.replace("security: [{key: []}]", "")).notes)
    for words in (
        "credentials: other is used, of other, key",
        "listPets: the cookie s",
        "photo: its body is image/png",
    ):
        assert words in notes


def test_swagger_2_is_read_too() -> None:
    made = openapi.convert(SWAGGER, "old")
    assert made.manifest.base_url == "https://old.example.com/api"
    assert made.manifest.auth.strategy == "oauth2_client_credentials"
    assert (made.manifest.auth.token_endpoint, made.manifest.auth.scopes) == (
        "https://old.example.com/token",
        ("read",),
    )
    assert made.manifest.operations["post_things"].required == ("size",)
    assert "the form field file is left out" in made.notes[0]


@pytest.mark.parametrize(
    ("scheme", "strategy"),
    [
        ("{type: http, scheme: bearer}", "oauth2_bearer"),
        ("{type: http, scheme: Basic}", "basic"),
        ("{type: apiKey, in: query, name: k}", "api_key_query"),
        ("{type: oauth2, flows: {authorizationCode: {}}}", "oauth2_bearer"),
        ("{type: mutualTLS}", "none"),
    ],
)
def test_credentials_follow_the_security_scheme(scheme: str, strategy: str) -> None:
    text = PETS.replace("{type: apiKey, in: header, name: X-Key}", scheme)
    assert imported(text).manifest.auth.strategy == strategy


def test_only_what_is_wanted_is_taken() -> None:
    def names(*include: str, exclude: tuple[str, ...] = ()) -> list[str]:
        return list(imported(PETS, wanted=openapi.Wanted(include, exclude)).manifest.operations)

    assert names("read") == ["listPets"]
    assert names("/pets/*") == ["listPets", "photo", "patch_pets_pet_id"]
    assert names("/pets*", exclude=("write", "/pets/*")) == ["listPets"]
    with pytest.raises(openapi.NotImportable, match="no operation that is wanted"):
        names("nothing")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("openapi: 3.0.3", "", "no OpenAPI document"),
        (PETS, "[1", "not YAML"),
        ("https://pets.example.com/{v}/", "/v2", "give --base-url"),
        ("#/components/parameters/size", "other.yaml#/a", "bundle the document"),
        ("#/components/parameters/size", "#/components/nothing", "leads nowhere"),
        ("{name: page-size, in: query}", "{$ref: '#/components/parameters/size'}", "in a circle"),
    ],
)
def test_a_document_that_cannot_be_taken_over_says_why(old: str, new: str, words: str) -> None:
    with pytest.raises(openapi.NotImportable, match=words):
        imported(PETS.replace(old, new))


def test_the_address_can_be_given() -> None:
    made = imported(PETS.replace("https://pets.example.com/{v}/", "/v2"), base_url="http://localhost:1")
    assert made.manifest.base_url == "http://localhost:1"


def test_a_manifest_that_cannot_be_used_says_on_which_line() -> None:
    text = dedent("""
        name: acme
        base_url: https://acme.test
        auth: {strategy: magic}
        operations:
          list: {path: /items}
    """).lstrip()
    problems = checking.check(text, "provider.yaml")
    assert isinstance(problems, list)
    assert [(it.field, it.line) for it in problems] == [("auth.strategy", 3), ("operations.list.method", 5)]
    broken = checking.check("name: [\n", "provider.yaml")
    assert isinstance(broken, list) and broken[0].line == 2
    assert isinstance(
        checking.check(text.replace("magic", "none").replace("{path", "{method: get, path"), "p.yaml"), Manifest
    )
