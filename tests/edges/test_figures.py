"""Figures for Prometheus, and the page for machines that shows them."""

import json
import socket
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest

from caduceus.edges.watching.detail import CLASSES, Who
from caduceus.edges.watching.health import Health, Pulse
from caduceus.edges.watching.metrics import Metrics, Way, find_client
from caduceus.edges.watching.status import ChainSight, Status
from caduceus.edges.watching.web import WatchServer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Digest

WHO = Who("coordinator", "Hub")
WELL = Health((), 0.0)


@pytest.fixture
def metrics():
    client = find_client()
    if client is None:
        pytest.skip("prometheus_client is not installed")
    return Metrics(WHO, client)


def samples(text):
    """Read by the client's own parser, which our text form has to please."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_what_happened_is_counted(metrics):
    metrics.round_done(2.5)
    metrics.round_done(90)
    metrics.round_failed()
    metrics.message(Way.IN, 100)
    metrics.message(Way.IN, 50)
    metrics.message(Way.OUT, 7)
    for problem in (Refused("no"), PeerFault("x", "y"), PeerFault("x", "z"), KeyError("k")):
        metrics.problem(problem)
    metrics.chain(12, 3.5)
    metrics.unanchored(2)
    metrics.journal_written()
    metrics.audit_log(9)
    metrics.budget(Digest(b"\xab" * 32), 1_500_000, 10_000_000)
    metrics.outbox(4)
    found = samples(metrics.text())
    expected = {
        ("rounds_total", "outcome", "done"): 2,
        ("rounds_total", "outcome", "failed"): 1,
        ("messages_total", "way", "in"): 2,
        ("message_bytes_total", "way", "in"): 150,
        ("messages_total", "way", "out"): 1,
        ("message_bytes_total", "way", "out"): 7,
        ("refusals_total", "class", "refused"): 1,
        ("refusals_total", "class", "peer fault"): 2,
        ("refusals_total", "class", "bug"): 1,
        ("refusals_total", "class", "unavailable"): 0,
        ("round_seconds_bucket", "le", "3.0"): 1,
        ("privacy_epsilon_reserved", "dataset", "0x" + "ab" * 32): 1.5,
        ("privacy_delta_reserved", "dataset", "0x" + "ab" * 32): 1e-5,
    }
    for (name, label, value), number in expected.items():
        assert found[f"caduceus_{name}", ((label, value),)] == number, name
    plain = {
        "round_seconds_sum": 92.5,
        "chain_height_blocks": 12,
        "rounds_unanchored": 2,
        "journal_writes_total": 1,
        "audit_log_lines": 9,
        "outbox_waiting": 4,
    }
    for name, number in plain.items():
        assert found[f"caduceus_{name}", ()] == number, name
    assert found["caduceus_role", (("party", "Hub"), ("role", "coordinator"))] == 1


def test_the_chain_lags_more_and_more_while_no_newer_block_is_seen(metrics):
    now = [1000.0]
    figures = Metrics(WHO, find_client(), now=lambda: now[0])
    assert samples(figures.text())["caduceus_chain_lag_seconds", ()] == 0
    figures.chain(12, 3.5)
    now[0] += 10
    assert samples(figures.text())["caduceus_chain_lag_seconds", ()] == 13.5
    figures.chain(13, 0.5)
    assert samples(figures.text())["caduceus_chain_lag_seconds", ()] == 0.5


def test_nothing_that_was_refused_yet_is_shown_as_none(metrics):
    found = samples(metrics.text())
    assert {found["caduceus_refusals_total", (("class", word),)] for word in CLASSES} == {0}


def test_two_parties_in_one_process_do_not_share_figures(metrics):
    other = Metrics(Who("site", "Ash"), find_client())
    other.round_failed()
    assert samples(metrics.text())["caduceus_rounds_total", (("outcome", "failed"),)] == 0


def test_a_label_is_never_free_text(metrics):
    with pytest.raises(Misuse, match="32 bytes"):
        metrics.budget("heart attack, male, 63", 1, 1)


def test_without_the_client_nothing_is_counted_and_the_text_says_so():
    off = Metrics(WHO, None)
    off.round_done(1)
    off.budget(Digest(b"\0" * 32), 1, 1)
    assert not off.is_on
    assert off.text() == "# metrics are off: prometheus_client is not installed (pip install 'caduceus[node]')\n"
    script = "import sys; sys.modules['prometheus_client'] = None\n"
    script += "from caduceus.edges.watching.metrics import find_client; print(find_client())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def ask(url, *, method="GET", host=None):
    request = urllib.request.Request(url, method=method, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except HTTPError as answer:
        return answer.code, answer.read().decode(), answer.headers


def test_the_page_shows_figures_and_health_and_nothing_else(metrics):
    metrics.outbox(4)
    with WatchServer(metrics, lambda: WELL) as server:
        assert server.url.startswith("http://127.0.0.1:")
        code, text, headers = ask(server.url + "/metrics")
        assert (code, samples(text)["caduceus_outbox_waiting", ()]) == (200, 4)
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
        code, text, _ = ask(server.url + "/health")
        assert (code, json.loads(text)) == (200, {"well": True, "troubles": [], "silence_seconds": 0.0})
        assert ask(server.url + "/health", method="HEAD")[:2] == (200, "")
        assert ask(server.url + "/")[0] == ask(server.url + "/../etc/passwd")[0] == 404
        assert ask(server.url + "/health", method="POST")[0] == 501
        url = server.url
    with pytest.raises(OSError, match="refused"):
        ask(url + "/health")


def test_a_process_that_is_not_well_says_why_with_a_code_that_a_supervisor_reads(metrics):
    with WatchServer(metrics, lambda: Health(("the chain is far behind",), 3.04)) as server:
        code, text, _ = ask(server.url + "/health")
    assert code == 503
    assert json.loads(text) == {"well": False, "troubles": ["the chain is far behind"], "silence_seconds": 3.0}


def test_a_page_in_a_browser_that_calls_itself_by_another_name_reads_nothing(metrics):
    with WatchServer(metrics, lambda: WELL) as server:
        assert ask(server.url + "/metrics", host="evil.example")[0] == 403
        assert ask(server.url + "/metrics", host="localhost:1234")[0] == 200
        assert ask(server.url + "/metrics", host="[::1]:1234")[0] == 200


def test_without_the_client_the_page_says_that_metrics_are_off():
    with WatchServer(Metrics(WHO, None), lambda: WELL) as server:
        code, text, _ = ask(server.url + "/metrics")
        assert code == 503
        assert "not installed" in text
        assert ask(server.url + "/health")[0] == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(metrics):
    with WatchServer(metrics, lambda: WELL) as server:
        port = int(server.url.rsplit(":", 1)[1])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        assert ask(server.url + "/health")[0] == 200
        for one in silent:
            one.close()


def test_a_port_that_is_taken_is_refused_in_words(metrics):
    with WatchServer(metrics, lambda: WELL) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"):
            WatchServer(metrics, lambda: WELL, port=port)
    with pytest.raises(Refused, match="choose another port"):
        WatchServer(metrics, lambda: WELL, port=70000)


def status(**fields):
    moment = "2030-01-01T00:00:00Z"
    return Status.model_validate(
        {"role": "site", "party": "Ash", "process": 1, "since": moment, "at": moment, **fields}
    )


def test_a_loop_that_hangs_a_line_that_is_down_and_an_old_block_are_troubles():
    now = [0.0]
    seen = datetime(2030, 1, 1, tzinfo=UTC)
    pulse = Pulse(patience=60, most_lag=30, monotonic=lambda: now[0], now=lambda: seen + timedelta(seconds=now[0]))
    current = status(connection="connected", chain=ChainSight(height=3, lag=1, at=seen))
    assert pulse.health(current).is_well
    assert pulse.health(status(connection="disconnected")).troubles == (
        "the line to the other parties is disconnected",
    )
    assert pulse.health(status(connection="connected", chain=ChainSight(height=3, lag=31, at=seen))).troubles == (
        "the newest block that was seen is 31 s old",
    )
    now[0] = 40.0  # the node is away: nothing new is seen
    assert pulse.health(current).troubles == ("the newest block that was seen is 41 s old",)
    now[0] = 61.0
    assert pulse.health(status(connection="connected")).troubles == ("the process has not moved for 61 s",)
    pulse.beat()
    assert pulse.health(status(connection="connected")) == WELL
