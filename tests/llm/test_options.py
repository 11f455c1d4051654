import pytest

from gdesign.errors import ConfigError
from gdesign.llm.openai import OpenAIClient
from tests.llm.asking import ask, authorization, error, made, pool
from tests.llm.chat_server import Raw, chat_server


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url, api_key_env="MY_KEY"))
    assert authorization(seen[0]) == "Bearer sk-secret"


def test_a_missing_key_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="MY_KEY"):
        OpenAIClient(base_url="https://api.example.org/v1", api_key_env="MY_KEY")


@pytest.mark.parametrize("url", ["http://localhost:9/v1", "http://127.0.0.1:9/v1", "http://[::1]:9/v1"])
def test_an_endpoint_on_this_machine_needs_no_key(monkeypatch, url):
    monkeypatch.delenv("MY_KEY", raising=False)
    OpenAIClient(base_url=url, api_key_env="MY_KEY")


def test_openai_gets_the_usual_key_and_nobody_else_does(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url))
        ask(made(url, api_key_env="OPENAI_API_KEY"))
    assert [authorization(sent) for sent in seen] == [None, "Bearer sk-secret"]
    OpenAIClient()
    for url in ("https://api.example.org/v1", "https://api.openai.com.example.org/v1", "http://api.openai.com/v1"):
        with pytest.raises(
            ConfigError, match=r"OPENAI_API_KEY goes to https://api\.openai\.com alone.*api_key_env"
        ) as caught:
            OpenAIClient(base_url=url)
        assert "sk-secret" not in str(caught.value)
        OpenAIClient(base_url=url, api_key_env="OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="set the environment variable OPENAI_API_KEY"):
        OpenAIClient()


def test_an_llm_of_a_pool_that_names_openai_gets_the_usual_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    far = pool({"name": "far", "base_url": "https://api.openai.com/v1"})
    with pytest.raises(ConfigError, match=r"'far'.*OPENAI_API_KEY"):
        made("http://127.0.0.1:9/v1", pool=far)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    made("http://127.0.0.1:9/v1", pool=far)


def test_an_endpoint_elsewhere_may_want_no_key():
    OpenAIClient(base_url="http://vllm.example.org:8000/v1", api_key_env="")


def test_no_error_holds_the_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    refusal = error(401, message="Incorrect API key: sk-secret")
    with chat_server(lambda body: refusal) as url, pytest.raises(ConfigError) as caught:
        ask(made(url, api_key_env="MY_KEY"))
    assert "Incorrect API key: ***" in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_error_holds_a_key_that_a_redirect_or_a_refused_field_repeats(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk/secret")
    for refusal in (
        Raw(302, headers={"location": "https://login.example.org/?key=sk/secret"}),
        Raw(302, headers={"location": "https://login.example.org/?key=sk%2Fsecret"}),
        error(400, code="unsupported_value", param="sk/secret", message="no"),
    ):
        with chat_server(lambda body, refusal=refusal: refusal) as url, pytest.raises(ConfigError) as caught:
            ask(made(url, api_key_env="MY_KEY"))
        assert "***" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/v1?key=sk-secret",
        "https://api.example.org/v1#sk-secret",
        "https://me:sk-secret@api.example.org/v1",
        "ftp://api.example.org/v1?key=sk-secret",
        "https://[sk-secret/v1?key=sk-secret",
    ],
)
def test_a_url_that_may_carry_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError, match="base_url") as caught:
        OpenAIClient(base_url=url, api_key_env="")
    assert "key=sk-secret" not in str(caught.value)
    assert "sk-secret@" not in str(caught.value)
    assert "#sk-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://lan:port/v1", "http://lan:99999/v1", "http:///v1", "lan/v1"])
def test_a_url_that_leads_nowhere_is_refused(url):
    with pytest.raises(ConfigError, match=r"base_url is .*expected something like"):
        OpenAIClient(base_url=url, api_key_env="")


@pytest.mark.parametrize(
    "key", ["sk-se\ncret", "sk-s\u00e9cret", "\u201csk-secret\u201d", "sk-secret\x01", "sk- secret"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        made("http://127.0.0.1:9/v1", api_key_env="MY_KEY")
    assert "cret" not in str(caught.value)


def test_what_the_sdk_keeps_in_variables_of_its_own_goes_nowhere(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret\nX-Team: sk-secret")
    monkeypatch.setenv("MY_KEY", "own")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url, api_key_env="MY_KEY"))
        ask(made(url, api_key_env=""))
    assert [authorization(sent) for sent in seen] == ["Bearer own", None]
    assert "sk-secret" not in str(seen)


def test_a_loopback_endpoint_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with chat_server() as url:
        assert ask(made(url)).text == "Answer: 4"
