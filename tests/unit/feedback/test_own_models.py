"""A candidate's own model: used for the visit, reached only where the host allows, its key kept nowhere."""

import logging
import shutil
import ssl
import subprocess
import threading

import pytest

from tests.unit.feedback.endpoint import KEY, fault, says, serving
from webapp.feedback import NotPublic, OwnModelRefused, OwnModels
from webapp.feedback.llm.public import check_public_url, is_public
from webapp.store import OWN_MODEL, GradeState

ANSWER = "A CLIP ViT encodes the image into 576 patch features, and an MLP projects them into the space of the LLM."


class Watch:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def own(store, watch):
    own = OwnModels(store, allowed="public", personal=True, timeout=5, seconds=watch)
    yield own
    own.close()


def keep(own, endpoint, visit="mine"):
    own.keep(visit, base_url=f"{endpoint.url}/v1/", model="fake-1", api_key=KEY)


def finish():
    for thread in threading.enumerate():
        if thread.name == "own model":
            thread.join(20)


def test_an_own_model_grades_beside_the_host(own, endpoint, store, submit, architecture):
    answer_id = submit(ANSWER)
    keep(own, endpoint)
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    grades = store.grades(answer_id)
    assert sorted((grade.kind or "", grade.state) for grade in grades) == [
        ("", GradeState.PENDING),
        (OWN_MODEL, GradeState.GRADED),
    ]
    graded = store.latest_grade(answer_id)
    assert (graded.kind, graded.model, graded.score) == (
        OWN_MODEL,
        "fake-1",
        architecture.criterion("projector").weight,
    )
    assert own.reading("mine", answer_id).done
    assert endpoint.keys[0] == f"Bearer {KEY}"


def test_a_key_is_written_nowhere(own, endpoint, store, submit, architecture, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    answer_id = submit(ANSWER)
    keep(own, endpoint)
    endpoint.will(fault(401, f"Incorrect API key provided: {KEY}"))
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    endpoint.will(lambda asked: says("met", projector={"evidence": [1], "verdict": "unmet", "advice": KEY})(asked))
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    assert store.latest_grade(answer_id).kind == OWN_MODEL
    store.dispose()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in kept
    assert KEY not in caplog.text
    assert KEY not in repr(vars(own))
    assert KEY not in repr(own.endpoint("mine"))


def test_an_endpoint_that_refuses_is_told_at_once_and_scores_nothing(own, endpoint, store, submit, architecture):
    answer_id = submit(ANSWER)
    keep(own, endpoint)
    endpoint.will(fault(401))
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    assert "refuses the key" in own.reading("mine", answer_id).trouble
    assert [grade.state for grade in store.grades(answer_id)] == [GradeState.PENDING]


def test_a_model_is_held_for_one_visit_only(own, endpoint, submit, architecture):
    answer_id = submit(ANSWER)
    keep(own, endpoint)
    assert own.endpoint("other") is None
    with pytest.raises(OwnModelRefused, match="no model of yours"):
        own.grade("other", answer_id, architecture, ANSWER)
    with pytest.raises(OwnModelRefused, match="no model of yours"):
        own.grade(None, answer_id, architecture, ANSWER)


def test_a_model_is_forgotten_when_asked_and_after_half_a_day(own, endpoint, watch):
    keep(own, endpoint)
    keep(own, endpoint, "other")
    own.forget("mine")
    assert (own.endpoint("mine"), own.endpoint("other") is None) == (None, False)
    watch.now += 12 * 3600 + 1
    assert own.endpoint("other") is None


def test_only_so_many_are_held(own, endpoint):
    for visit in range(201):
        keep(own, endpoint, str(visit))
    assert own.endpoint("0") is None
    assert own.endpoint("1") is not None


def test_one_answer_is_read_at_a_time(own, endpoint, submit, architecture):
    answer_id, going = submit(ANSWER), threading.Event()

    def waits(asked):
        going.wait(20)
        return says("met")(asked)

    keep(own, endpoint)
    endpoint.will(waits)
    own.grade("mine", answer_id, architecture, ANSWER)
    with pytest.raises(OwnModelRefused, match="already"):
        own.grade("mine", answer_id, architecture, ANSWER)
    going.set()
    finish()
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    assert own.reading("mine", answer_id).read == 14


@pytest.mark.parametrize(
    ("base_url", "model", "key", "why"),
    [
        ("ftp://example.org", "m", "", "must look like"),
        ("example.org/v1", "m", "", "must look like"),
        ("https://user:secret@example.org/v1", "m", "", "no password"),
        ("https://example.org/v1?key=x", "m", "", "no password"),
        ("https://[broken/v1", "m", "", "not an address"),
        ("https://example.org:99999/v1", "m", "", "not an address"),
        ("https://example.org/v1", "", "", "Name the model"),
        ("https://example.org/v1", "m", "short", "not a key"),
        ("https://example.org/v1", "m", "a key with\nline", "not a key"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(own, base_url, model, key, why):
    with pytest.raises(OwnModelRefused, match=why):
        own.keep("mine", base_url=base_url, model=model, api_key=key)


def test_a_host_can_let_nobody_bring_one(store, endpoint):
    closed = OwnModels(store, allowed="off")
    assert not closed.open
    with pytest.raises(OwnModelRefused, match="lets nobody"):
        keep(closed, endpoint)


def test_a_host_can_name_the_hosts(store, endpoint):
    own = OwnModels(store, allowed="api.example.org, 127.0.0.1")
    keep(own, endpoint)
    assert not own.endpoint("mine").public_only
    with pytest.raises(OwnModelRefused, match=r"api\.example\.org"):
        own.keep("mine", base_url="https://elsewhere.example.org/v1", model="m", api_key="")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/v1",
        "https://127.0.0.1/v1",
        "https://localhost/v1",
        "https://10.1.2.3/v1",
        "https://169.254.169.254/latest",
        "https://[::1]/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://[64:ff9b::a00:1]/v1",
        "https://2130706433/v1",
        "https://0x7f.1/v1",
        "https://0/v1",
        "https://no-such-host.invalid/v1",
    ],
)
def test_visitors_reach_public_https_hosts_only(store, url):
    with pytest.raises(NotPublic):
        check_public_url(url)
    with pytest.raises(OwnModelRefused):
        OwnModels(store, allowed="public").keep("mine", base_url=url, model="m", api_key="")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_public_addresses_are_told_from_others(address, public):
    assert is_public(address) == public


def test_a_name_that_turns_to_this_machine_after_the_check_is_not_reached(
    store, endpoint, submit, architecture, monkeypatch
):
    """The look-up that was checked is not the one that a later connection trusts: each request is checked itself."""
    monkeypatch.setattr("webapp.feedback.own.check_public_url", lambda url: None)
    own = OwnModels(store, allowed="public", timeout=5)
    port = endpoint.url.rpartition(":")[2]
    own.keep("mine", base_url=f"https://localhost:{port}/v1", model="m", api_key=KEY)
    answer_id = submit(ANSWER)
    own.grade("mine", answer_id, architecture, ANSWER)
    finish()
    assert "not on the public internet" in own.reading("mine", answer_id).trouble
    assert endpoint.asked == []


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """Give a listening socket the certificate of api.example.test, trusted by new connections."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=api.example.test", "-addext", "subjectAltName=DNS:api.example.test"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*make, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(("host", "trouble"), [("api.example.test", ""), ("other.example.test", "can't be reached")])
def test_the_address_that_was_checked_must_hold_the_names_certificate(
    store, submit, architecture, monkeypatch, certified, host, trouble
):
    monkeypatch.setattr("webapp.feedback.llm.public.public_address", lambda host, port: "127.0.0.1")
    with serving(certified) as endpoint:
        own = OwnModels(store, allowed="public", timeout=5)
        port = endpoint.url.rpartition(":")[2]
        own.keep("mine", base_url=f"https://{host}:{port}/v1", model="m", api_key=KEY)
        answer_id = submit(ANSWER)
        own.grade("mine", answer_id, architecture, ANSWER)
        finish()
    reading = own.reading("mine", answer_id)
    assert (bool(endpoint.asked), reading.read) == ((False, 0) if trouble else (True, 14))
    assert trouble in reading.trouble
