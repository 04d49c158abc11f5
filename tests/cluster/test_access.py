"""How a cluster is reached: addresses, tokens, and who answers there."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ray import __version__ as ray_version

from foldwise.cluster.access import Access
from foldwise.errors import ClusterError, InputError
from foldwise.executors.ray_session import SESSION


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """A server that answers as Ray does; its version and token may be set."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            given, wanted = self.headers.get("Authorization"), self.server.token
            self.send_response(200 if wanted is None or given == f"Bearer {wanted}" else 403 if given else 401)
            self.end_headers()
            self.wfile.write(json.dumps(self.server.answer).encode())

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as one:
        one.token, one.answer = "right", {"ray_version": ray_version}
        one.address = f"http://127.0.0.1:{one.server_port}"
        thread = threading.Thread(target=one.serve_forever, args=[0.01])
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_the_address_is_the_options_then_the_environments_then_this_machines(monkeypatch):
    assert Access.find().address == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://ray.example/")
    assert Access.find().address == "https://ray.example"
    assert Access.find("host:8265").address == "http://host:8265"


@pytest.mark.parametrize(
    "address", ["ray://host:10001", "http://", "http://host:0", "http://host:99999", "http://a b", "http://[::1"]
)
def test_what_is_no_address_is_refused_with_its_place(address, monkeypatch):
    with pytest.raises(InputError, match="--address: expected the address of Ray's Jobs API"):
        Access.find(address)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", address)
    with pytest.raises(InputError, match="RAY_API_SERVER_ADDRESS: expected"):
        Access.find()


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InputError) as raised:
        Access.find("http://ann:secret@host:8265")
    assert "secret" not in str(raised.value)


def test_the_token_is_looked_for_in_turn(tmp_path, monkeypatch):
    assert Access.find().token is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("of ray\n")
    assert Access.find().token == "of ray"
    (tmp_path / ".env").write_text("# made\nOTHER=1\nRAY_AUTH_TOKEN='of env'\n")
    assert (Access.find().token, Access.find().token_source) == ("of env", ".env")
    (tmp_path / "token").write_text(" of file \n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert Access.find().token == "of file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of environment")
    assert Access.find().token == "of environment"


def test_a_file_that_should_hold_the_token_and_cannot_be_read_is_said(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")
    with pytest.raises(InputError, match="RAY_AUTH_TOKEN_PATH: expected a readable file, got '/nowhere/token'"):
        Access.find()


def test_the_token_of_the_working_folder_goes_to_this_machine_only(tmp_path):
    (tmp_path / ".env").write_text("RAY_AUTH_TOKEN=mine\n")
    assert Access.find("http://localhost:8265").token == "mine"
    assert Access.find("http://[::1]:8265").token == "mine"
    assert Access.find("http://ray.example:8265").token is None
    assert Access.find("http://127.0.0.1.evil.example:8265").token is None


def test_the_token_is_never_shown():
    assert "secret" not in repr(Access("http://host", "secret", "RAY_AUTH_TOKEN"))


def test_the_right_token_opens(server):
    Access(server.address, "right").check()


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "expected the token of the cluster at http://127.0.0.1:.*, got none; looked into RAY_AUTH_TOKEN"),
        ("wrong", "expected the token of the cluster at http://127.0.0.1:.*, got another one from here"),
    ],
)
def test_a_wrong_token_is_told_from_none(server, token, words):
    with pytest.raises(ClusterError, match=words) as raised:
        Access(server.address, token, "here").check()
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize("answer", [{}, {"ray_version": None}, [], "text"])
def test_another_server_is_told_from_ray(server, answer):
    server.answer = answer
    with pytest.raises(ClusterError, match=r"expected Ray's Jobs API at .*, got another server"):
        Access(server.address, "right").check()


def test_another_version_of_ray_is_refused(server):
    server.answer = {"ray_version": "2.9.3"}
    with pytest.raises(ClusterError, match=r"expected Ray \d+\.\d+ at .*, as here, got 2\.9\.3"):
        Access(server.address, "right").check()
    server.answer = {"ray_version": f"{ray_version.rpartition('.')[0]}.99"}
    Access(server.address, "right").check()


def test_no_server_is_said_at_once():
    with pytest.raises(ClusterError, match=r"expected Ray's Jobs API at http://127.0.0.1:1, got no answer .*refused"):
        Access("http://127.0.0.1:1").check()


def test_a_cluster_that_asks_for_no_token_is_told(server):
    assert not Access(server.address, "right").is_open()
    server.token = None
    assert Access(server.address, "right").is_open()


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("http://127.0.0.1:8265", True),
        ("http://localhost:8265", True),
        ("https://ray.example", True),
        ("http://ray.example:8265", False),
        ("http://10.0.0.1:8265", False),
        ("http://127.0.0.1.ray.example", False),
    ],
)
def test_only_this_machine_and_https_are_private(address, is_private):
    assert Access(address).is_private is is_private


def test_the_token_does_not_follow_a_redirection(server):
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{server.address}/api/version")
            self.end_headers()

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        thread = threading.Thread(target=other.serve_forever, args=[0.01])
        thread.start()
        with pytest.raises(ClusterError, match="got none"):
            Access(f"http://127.0.0.1:{other.server_port}", "right").check()
        other.shutdown()
        thread.join()


def test_the_token_of_a_private_ray_of_this_process_is_not_the_clusters(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("RAY_AUTH_TOKEN=theirs\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "made here")
    assert Access.find().token == "made here"
    monkeypatch.setattr(SESSION, "_own_token", "made here")
    assert Access.find().token == "theirs"
