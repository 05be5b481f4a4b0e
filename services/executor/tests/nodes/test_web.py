import pytest

from dipeo_executor.nodes import web
from dipeo_executor.nodes.web import Request, Response


def answer(content=b"", content_type="application/json", status=200, **headers):
    return Response(status, "http://h/x", {"content-type": content_type, **headers}, content)


@pytest.mark.parametrize(
    ("content", "content_type", "value"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"[1, 2]", "application/json", [1, 2]),
        (b"5", "application/problem+json; charset=utf-8", 5),
        (b"null", "application/json", None),
        (b"12345678901234567890123", "application/json", 12345678901234567890123),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b"5", "text/plain", {"text": "5"}),
        (b"{not json", "application/json", {"text": "{not json"}),
        (b"plain", "text/plain", {"text": "plain"}),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", {"text": "é"}),
        (b"\xff\xfe\x00", "image/png", {"base64": "//4A", "content_type": "image/png"}),
        (b"", "application/json", {}),
        (b" \n", "", {}),
    ],
)
def test_values_of_answers(content, content_type, value):
    assert web.value_of(answer(content, content_type)) == value


@pytest.mark.parametrize(
    ("body", "headers", "content", "content_type"),
    [
        ({"z": 1}, {}, b'{"z":1}', "application/json"),
        ([1], {}, b"[1]", "application/json"),
        (False, {}, b"false", "application/json"),
        ("text", {}, b"text", "text/plain; charset=utf-8"),
        ("<a/>", {"content-type": "application/xml"}, b"<a/>", "application/xml"),
        (
            {"a": "x y", "b": [1, 2]},
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=x+y&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
    ],
)
def test_bodies_and_their_types(body, headers, content, content_type):
    request = web.with_content(Request("POST", "http://h/", headers=headers), body)
    assert request.content == content
    assert [text for name, text in request.headers.items() if name.lower() == "content-type"] == [content_type]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_body_goes_with_get(method):
    assert web.with_content(Request(method, "http://h/"), {"a": 1}).content == b""


def test_query_parameters_as_the_web_writes_them():
    given = {"a": [1, "x"], "b": True, "c": None, "d": {"k": 1}, "e": ""}
    assert web.pairs(given) == [("a", "1"), ("a", "x"), ("b", "true"), ("d", '{"k": 1}'), ("e", "")]
    assert web.pairs({"e": "", "f": "1"}, drop_empty=True) == [("f", "1")]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("X", "a\r\nEvil: 1", "one line"),
        ("X Y", "a", "not a name"),
        ("Host", "h", "cannot be set"),
        ("", "a", "not a name"),
    ],
)
def test_headers_that_would_break_the_request_are_refused(name, value, words):
    with pytest.raises(web.BadRequest, match=words):
        web.headers({name: value})


@pytest.mark.parametrize("url", ["", "x", "ftp://h/", "http://", "http://u:p@h/", "http://h:99999/", "http://[::1/"])
def test_addresses_that_are_none_are_refused_without_showing_a_password(url):
    with pytest.raises(web.BadRequest) as caught:
        web.checked_url(url)
    assert "u:p" not in str(caught.value)


def test_what_is_kept_of_a_call_holds_no_secret():
    request = Request(
        "GET",
        "http://h/x?access_token=abc&q=1",
        headers={"X-Auth-Token": "abc", "Accept": "a"},
        credentials={"Authorization": "Bearer t0ken"},
        secret_params=[("k", "s3c/t=")],
    )
    said = answer(status=500, **{"set-cookie": "c=1", "x-echo": "you sent t0ken"})
    meta = web.meta_of(request, Response(500, request.full_url, said.headers, b""))
    assert meta["request_headers"] == {"X-Auth-Token": "***", "Accept": "a", "Authorization": "***"}
    assert meta["response_headers"]["set-cookie"] == "***"
    assert meta["response_headers"]["x-echo"] == "you sent ***"
    assert meta["url"] == "http://h/x?access_token=***&q=1&k=***"
    assert request.shown_url == "http://h/x?access_token=***&q=1&k=***"
    with pytest.raises(web.StatusError) as caught:
        web.require_success(request, Response(500, request.url, {}, b"token t0ken, key s3c/t=, in the url s3c%2Ft%3D"))
    assert str(caught.value).endswith(": token ***, key ***, in the url ***")


def test_an_error_shows_the_beginning_of_a_long_answer():
    with pytest.raises(web.StatusError) as caught:
        web.require_success(Request("GET", "http://h/"), answer(b"x" * 5000, "text/plain", 400))
    assert str(caught.value) == f"GET http://h/ answered 400 Bad Request: {'x' * 2048}"


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ('<https://h/?page=2>; rel="next", <https://h/?page=9>; rel="last"', "https://h/?page=2"),
        ('<https://h/?page=1>; rel="prev", </x?page=3>; rel=next', "http://h/x?page=3"),
        ('<https://h/?page=1>; rel="prev"', ""),
        ("", ""),
    ],
)
def test_the_next_page_of_a_link_header(link, found):
    assert web.next_link(answer(link=link)) == found
