"""What each fault of an endpoint comes to: the real client over real sockets."""

import time

import pytest

from tests.unit.feedback.endpoint import KEY, Answer, completion, fault, says
from webapp.feedback import Client, EndpointRefuses, GraderAway
from webapp.feedback.llm import Form, PromptTooLong

MESSAGES = [{"role": "user", "content": "JSON object for: projector."}]
SCHEMA = {"type": "object", "properties": {"projector": {"type": "string", "maxLength": 9}}}
HTML = Answer(200, "<!doctype html><title>Welcome</title>", {"content-type": "text/html"})


@pytest.fixture
def client(endpoint):
    client = Client(endpoint.as_endpoint())
    yield client
    client.close()


@pytest.fixture
def ask(client):
    return lambda **options: client.ask(MESSAGES, SCHEMA, max_tokens=50, **options)


def test_a_reply_comes_with_its_usage_and_form(endpoint, ask):
    endpoint.will(lambda _: completion('{"projector": "met"}'))
    reply = ask()
    assert (reply.text, reply.form, reply.finish_reason) == ('{"projector": "met"}', Form.SCHEMA, "stop")
    assert (reply.tokens_in, reply.tokens_out) == (1000, 100)


def test_the_request_is_strict_and_cold(endpoint, ask):
    endpoint.will(lambda _: completion("{}"))
    ask()
    (asked,) = endpoint.asked
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("fake-1", 0, 50)
    assert asked["response_format"]["json_schema"] == {"name": "verdicts", "strict": True, "schema": SCHEMA}
    assert endpoint.keys == [f"Bearer {KEY}"]


def test_a_busy_endpoint_is_asked_again_after_the_time_that_it_names(endpoint, ask):
    endpoint.will(fault(429, retry_after="0.3"), fault(429, retry_after="0.3"), lambda _: completion("{}"))
    began = time.monotonic()
    assert ask().text == "{}"
    assert time.monotonic() - began >= 0.6
    assert len(endpoint.asked) == 3


def test_an_endpoint_that_stays_busy_says_when_to_come_back(endpoint, ask):
    endpoint.will(fault(429, retry_after="600"))
    with pytest.raises(GraderAway, match="busy") as caught:
        ask()
    assert caught.value.retry_after == 600
    assert len(endpoint.asked) == 1


def test_a_broken_endpoint_is_asked_again_and_then_left_alone(endpoint, ask):
    endpoint.will(fault(500, "oops", retry_after="0.01"))
    with pytest.raises(GraderAway, match="in trouble \\(status 500\\)"):
        ask()
    assert len(endpoint.asked) == 3


def test_a_slow_endpoint_is_given_up(endpoint):
    endpoint.will(lambda _: Answer(after=0.4))
    client = Client(endpoint.as_endpoint(timeout=0.1))
    with pytest.raises(GraderAway, match="did not answer within"):
        client.ask(MESSAGES, SCHEMA, max_tokens=50)
    client.close()


def test_an_endpoint_that_is_not_there_cannot_be_reached(endpoint):
    client = Client(endpoint.as_endpoint(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(GraderAway, match="can't be reached"):
        client.ask(MESSAGES, SCHEMA, max_tokens=50)
    assert "can't be reached" in client.failure


@pytest.mark.parametrize("body", [HTML.body, "", "null", "[]", '{"choices": 3}', '"text"'])
def test_a_page_instead_of_a_completion_is_no_reply(endpoint, ask, body):
    endpoint.will(lambda _: Answer(200, body, HTML.headers))
    with pytest.raises(GraderAway, match="something other than a chat completion"):
        ask()


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the key"), (403, "refuses the key"), (404, "knows no model")]
)
def test_what_only_the_host_can_mend_is_named(endpoint, ask, status, words):
    endpoint.will(fault(status, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(EndpointRefuses, match=words) as caught:
        ask()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "refusal",
    [
        fault(400, "This model's maximum context length is 8192 tokens"),
        fault(400, "request (3031 tokens) exceeds the available context size (1024 tokens), try increasing it"),
        fault(413),
    ],
)
def test_a_prompt_that_does_not_fit_is_known_as_such(endpoint, ask, refusal):
    endpoint.will(refusal)
    with pytest.raises(PromptTooLong):
        ask()


def knows(*forms):
    """Behave as an endpoint that knows only some ways to ask for a form."""

    def behave(asked):
        form = asked.get("response_format", {"type": "text"})
        lengths = "maxLength" in str(form)
        name = "loose_schema" if form["type"] == "json_schema" and not lengths else form["type"]
        return completion("{}") if name in forms else fault(400, "response_format is not supported")(asked)

    return behave


@pytest.mark.parametrize("form", list(Form))
def test_the_strictest_form_that_an_endpoint_knows_is_used_and_remembered(endpoint, ask, form):
    endpoint.will(knows(form))
    assert ask().form == form
    before = len(endpoint.asked)
    assert ask().form == form
    assert len(endpoint.asked) == before + 1


def test_an_endpoint_that_ignores_the_form_is_asked_in_another(endpoint, ask):
    def ignores_schemas(asked):
        return completion("{}" if asked["response_format"]["type"] == "json_object" else "Sure! The answer is good.")

    endpoint.will(ignores_schemas)
    assert ask().form is Form.OBJECT
    assert ask().form is Form.OBJECT
    assert len(endpoint.asked) == 3


def test_a_model_that_never_writes_json_is_asked_for_it_in_two_ways(endpoint, ask):
    endpoint.will(lambda _: completion("The answer is good."))
    assert ask().text == "The answer is good."
    assert [asked["response_format"]["type"] for asked in endpoint.asked] == ["json_schema", "json_object"]


def test_an_endpoint_that_refuses_every_form_refuses(endpoint, ask):
    endpoint.will(fault(400, "no"))
    with pytest.raises(EndpointRefuses):
        ask()


def test_parameters_that_newer_models_do_not_take_are_left_out(endpoint, ask):
    def particular(asked):
        if "max_tokens" in asked:
            return fault(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")(asked)
        if "temperature" in asked:
            return fault(400, "Unsupported value: 'temperature' does not support 0 with this model.")(asked)
        return completion("{}")

    endpoint.will(particular)
    assert ask().form is Form.SCHEMA
    assert endpoint.asked[-1]["max_completion_tokens"] == 50
    ask()
    assert len(endpoint.asked) == 4


def test_a_key_that_the_endpoint_repeats_is_not_passed_on(endpoint, ask, client):
    endpoint.will(lambda _: completion(f'{{"projector": "{KEY}"}}', refusal=f"no, {KEY}"))
    reply = ask()
    assert KEY not in repr(reply)
    assert KEY not in repr(client.endpoint)


def test_no_choices_is_a_reply_without_words(endpoint, ask):
    endpoint.will(lambda _: Answer(body='{"choices": []}'))
    reply = ask()
    assert (reply.text, reply.finish_reason, reply.tokens_in) == ("", "no choices", None)


def test_a_success_forgets_the_failure(endpoint, ask, client):
    endpoint.will(fault(404), says())
    with pytest.raises(EndpointRefuses):
        ask()
    assert client.failure
    ask()
    assert not client.failure
