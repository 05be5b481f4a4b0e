"""A provider manifest made of an OpenAPI 3 or Swagger 2 document. Pure. (command line contract 9)

Parameters and the properties of a JSON body become values of the node's config under names a template can read. What a
manifest cannot say (forms, files, cookies) is left out and noted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from dipeo_executor.formats import yamltext
from dipeo_executor.nodes import content
from dipeo_executor.nodes.base import NodeError
from dipeo_executor.providers import manifest
from dipeo_executor.providers.manifest import Manifest

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
OWN_HEADERS = ("accept", "content-type", "authorization")  # never parameters, says OpenAPI
MAX_REFERENCES = 20  # that lead to references

Json = dict[str, Any]


class NotImportable(NodeError):
    """No manifest can be made of the document. The message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Operations by tag or by a pattern of their path; an empty `include` means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str, tags: Sequence[str]) -> bool:
        return (not self.include or _fits(self.include, path, tags)) and not _fits(self.exclude, path, tags)


@dataclass(frozen=True, slots=True)
class Imported:
    text: str  # YAML
    manifest: Manifest
    notes: list[str]


def convert(document: str, name: str, *, base_url: str = "", wanted: Wanted = Wanted()) -> Imported:
    """Raises NotImportable."""
    spec = _Document(_parsed(document))
    info = spec.map(spec.root.get("info"))
    operations = spec.operations(wanted)
    if not operations:
        raise NotImportable("the document has no operation that is wanted; see --include and --exclude")
    made = {
        "name": name,
        "version": str(info.get("version") or "1.0.0"),
        "description": str(info.get("title") or name),
        "base_url": base_url or spec.base_url(),
        "auth": spec.auth(),
        "operations": operations,
    }
    text = yamltext.dump(made)
    try:
        return Imported(text, manifest.parse(text, "provider.yaml"), spec.notes)
    except NodeError as error:
        raise NotImportable(str(error)) from None


def _parsed(document: str) -> Json:
    try:
        data = content.parse_strictly(document, ".yaml")  # JSON is YAML, too
    except NodeError as error:
        raise NotImportable(str(error)) from None
    known = isinstance(data, dict) and isinstance(data.get("paths"), dict) and {"openapi", "swagger"} & data.keys()
    if not known:
        raise NotImportable("this is no OpenAPI document: it has no `openapi` or `swagger` version, or no `paths`")
    found: Json = data
    return found


def _fits(patterns: Sequence[str], path: str, tags: Sequence[str]) -> bool:
    return any(pattern in tags or fnmatchcase(path, pattern) for pattern in patterns)


@dataclass(slots=True)
class _Shape:
    """How one operation's request is made, as it is put together."""

    path: str
    query: Json = field(default_factory=dict)
    headers: Json = field(default_factory=dict)
    body: Any = None
    required: list[str] = field(default_factory=list)

    def request(self) -> Json:
        parts = {"query_params_template": self.query, "headers_template": self.headers, "body_template": self.body}
        return {name: part for name, part in parts.items() if part}


class _Document:
    """The document with its references, and what could not be taken over."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self.notes: list[str] = []

    def map(self, value: Any) -> Json:
        """What is at a place, after its references; {} for what is no map."""
        for _ in range(MAX_REFERENCES):
            if not isinstance(value, dict):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self._at(reference)
        raise NotImportable(f"the reference {reference} leads in a circle")

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise NotImportable(f"the reference {reference} leads to another file; bundle the document into one first")
        value: Any = self.root
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or key not in value:
                raise NotImportable(f"the reference {reference} leads nowhere")
            value = value[key]
        return value

    # --- address and credentials -------------------------------------------------------------------------------------

    def base_url(self) -> str:
        if host := self.root.get("host"):
            schemes = self.root.get("schemes") or ["https"]
            scheme = "https" if "https" in schemes else schemes[0]
            return f"{scheme}://{host}{str(self.root.get('basePath') or '').rstrip('/')}"
        servers = self.root.get("servers") or [{}]
        server = self.map(servers[0])
        url = str(server.get("url") or "")
        for name, variable in self.map(server.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(self.map(variable).get("default", "")))
        if not url.startswith(("http://", "https://")):
            raise NotImportable(f'the document names no address but "{url}"; give --base-url')
        return url.rstrip("/")

    def auth(self) -> Json:
        """Of the scheme that the document asks for everywhere, else of the first one."""
        schemes = self.map(self.map(self.root.get("components")).get("securitySchemes"))
        schemes = schemes or self.map(self.root.get("securityDefinitions"))
        asked = [name for each in self.root.get("security") or () for name in self.map(each)]
        names = [name for name in asked if name in schemes] or list(schemes)
        if not names:
            return {"strategy": "none"}
        made = _auth_of(self.map(schemes[names[0]]))
        if made is None:
            self.notes.append(f"credentials: a manifest has no way for {names[0]}; auth is none")
            return {"strategy": "none"}
        if len(names) > 1:
            self.notes.append(f"credentials: {names[0]} is used, of {', '.join(names)}")
        return made

    # --- operations --------------------------------------------------------------------------------------------------

    def operations(self, wanted: Wanted) -> dict[str, Json]:
        """By a name of letters, digits and _, each once."""
        made: dict[str, Json] = {}
        for path, method, item, operation in self._listed():
            if not wanted.takes(path, [str(tag) for tag in operation.get("tags") or ()]):
                continue
            name = _unique(_identifier(str(operation.get("operationId") or f"{method}_{path}")), made)
            parameters = [self.map(each) for each in (*item.get("parameters", ()), *operation.get("parameters", ()))]
            shape = self._shape(path, parameters, name)
            self._add_body(operation, shape, name)
            made[name] = {
                "method": method.upper(),
                "path": shape.path,
                **_text("description", operation.get("summary") or operation.get("description")),
                **({"required": list(dict.fromkeys(shape.required))} if shape.required else {}),
                **({"request": request} if (request := shape.request()) else {}),
                **_success(operation),
            }
        return made

    def _listed(self) -> Iterator[tuple[str, str, Json, Json]]:
        for path, entry in self.root["paths"].items():
            item = self.map(entry)
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield str(path), method, item, item[method]

    def _shape(self, path: str, parameters: Sequence[Json], name: str) -> _Shape:
        shape = _Shape(path)
        for it in parameters:
            place, key = it.get("in"), str(it.get("name") or "")
            word = _identifier(key)
            if place == "path":
                shape.path = shape.path.replace(f"{{{key}}}", _filled(word))
            elif place == "query":
                shape.query[key] = _filled(word)
            elif place == "header" and key.lower() not in OWN_HEADERS:
                shape.headers[key] = _filled(word)
            elif place == "cookie":
                self.notes.append(f"{name}: the cookie {key} is left out")
                continue
            elif place == "body":
                shape.body = self._json_body(self.map(it.get("schema")), shape, required=bool(it.get("required")))
                continue
            elif place == "formData":
                self.notes.append(f"{name}: the form field {key} is left out; a manifest sends JSON")
                continue
            if it.get("required") and place in ("path", "query", "header"):
                shape.required.append(word)
        return shape

    def _add_body(self, operation: Json, shape: _Shape, name: str) -> None:
        """Of OpenAPI 3."""
        body = self.map(operation.get("requestBody"))
        contents = self.map(body.get("content"))
        if not contents:
            return
        kind = next((each for each in contents if "json" in each), None)
        if kind is None:
            self.notes.append(f"{name}: its body is {', '.join(contents)}, a manifest sends JSON; it is left out")
            return
        schema = self.map(self.map(contents[kind]).get("schema"))
        shape.body = self._json_body(schema, shape, required=bool(body.get("required")))

    def _json_body(self, schema: Json, shape: _Shape, *, required: bool) -> Any:
        """One value of config per property; a body that is no plain object is config.body as a whole."""
        properties = self.map(schema.get("properties"))
        if not properties:
            shape.required += ["body"] if required else []
            return "{{ config.body | default(none) | tojson }}"
        if required:
            shape.required += [_identifier(str(key)) for key in schema.get("required") or () if key in properties]
        return {str(key): _filled(_identifier(str(key))) for key in properties}


def _filled(word: str) -> str:
    return f"{{{{ config.{word} }}}}"


def _text(key: str, text: Any) -> Json:
    """Its first line, if it has one."""
    lines = str(text or "").strip().splitlines()
    return {key: lines[0]} if lines else {}


def _success(operation: Json) -> Json:
    codes = [int(code) for code in map(str, operation.get("responses") or ()) if re.fullmatch(r"2\d\d", code)]
    return {"response": {"success_codes": sorted(codes)}} if codes else {}


def _identifier(name: str) -> str:
    """petId, X-Request-Id -> X_Request_Id, get_/pets/{id} -> get_pets_id."""
    word = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_") or "operation"
    return f"_{word}" if word[0].isdigit() else word


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _auth_of(scheme: Json) -> Json | None:
    """None: a manifest has no such strategy."""
    kind, where = scheme.get("type"), scheme.get("in")
    word = str(scheme.get("scheme") or "").lower()
    if kind == "apiKey" and where == "header":
        return {"strategy": "api_key_header", "header": scheme["name"]}
    if kind == "apiKey" and where == "query":
        return {"strategy": "api_key_query", "query_param": scheme["name"]}
    if kind == "basic" or (kind == "http" and word == "basic"):
        return {"strategy": "basic"}
    if kind == "http" and word == "bearer":
        return {"strategy": "oauth2_bearer"}
    if kind in ("oauth2", "openIdConnect"):
        return _oauth(scheme)
    return None


def _oauth(scheme: Json) -> Json:
    """With client credentials the executor fetches tokens itself; every other flow needs a token that somebody has."""
    application = scheme if scheme.get("flow") == "application" else {}  # of Swagger 2
    flow = (scheme.get("flows") or {}).get("clientCredentials") or application
    if not flow.get("tokenUrl"):
        return {"strategy": "oauth2_bearer"}
    scopes = list(flow.get("scopes") or ())
    return {
        "strategy": "oauth2_client_credentials",
        "token_endpoint": flow["tokenUrl"],
        **({"scopes": scopes} if scopes else {}),
    }
