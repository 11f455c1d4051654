from email.utils import formatdate
from time import time

import pytest

from gdesign.llm.refusals import refusal_of

SENT = ("model", "messages", "temperature", "seed", "max_tokens")


def refusal(status, body, **headers):
    found = refusal_of(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    assert found is not None
    return found


def told(**values):
    return {"error": values}


# --------------------------------------------------------------------------- what is an error


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": "4"}}]},
        {"choices": [{"message": {"content": "4"}, "error": None}], "error": None},
        {"choices": [{"message": {"content": "4"}}], "error": {}},
        {"choices": [{"message": {"content": "4"}}], "error": {"code": "0", "message": "OK", "type": None}},
        {"choices": [{"message": {"content": "4"}}], "error": {"code": None, "message": ""}},
        {"choices": [{"message": {"content": "4"}, "error": {"code": 200, "message": None}}]},
        {"choices": [{"message": {"content": "4"}}], "base_resp": {"status_code": 0, "status_msg": ""}},
        "no JSON",
        [],
    ],
)
def test_a_success_that_tells_no_error_is_none(body):
    assert refusal_of(200, {}, body) is None


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            told(message="Provider returned error", code=429, metadata={"raw": "error code: 1015"}),
            429,
            "error code: 1015",
        ),
        ({**told(message="overloaded", code="503"), "choices": [{"message": {"content": None}}]}, 503, "overloaded"),
        ({"choices": [{"message": {"content": ""}, "error": {"code": 502, "message": "lost"}}]}, 502, "lost"),
        ({"success": False, "error": {"message": "busy", "code": "RATE_LIMITED"}, "status": 429}, 429, "busy"),
        ([told(code=429, message="Resource has been exhausted", status="RESOURCE_EXHAUSTED")], 429, "exhausted"),
        (
            {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}},
            401,
            "x-api-key",
        ),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, 0, "rate limit"),
        ({"error": "No models loaded"}, 0, "No models loaded"),
        ({"choices": [{"message": {"content": ""}}], "error": {"code": 0, "message": "queue full"}}, 0, "queue full"),
        ({"choices": [{"message": {"content": ""}}], "error": {"code": 7, "message": None}}, 0, ""),
        ({"id": None, "choices": None}, 0, ""),
    ],
)
def test_an_error_that_http_calls_a_success_has_the_status_of_its_body(body, status, message):
    found = refusal(200, body)
    assert found.status == status
    assert message in found.message


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (500, told(message="litellm.RateLimitError", code="429"), 429),
        (400, told(message="Provider returned error", code=503), 503),
        (429, told(message="slow down", code=400), 429),
        (401, told(message="no", code="invalid_api_key"), 401),
        (400, told(message="no", code=3001), 400),
    ],
)
def test_a_number_in_the_body_is_the_more_exact_status(status, body, means):
    assert refusal(status, body).status == means


# --------------------------------------------------------------------------- what it means


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (402, told(message="Insufficient Balance", code="invalid_request_error")),
        (429, told(message="You exceeded your current quota, please check your plan", code="insufficient_quota")),
        (429, told(message="You exceeded your current quota", type="insufficient_quota", code=None)),
        (429, told(message="Your account is suspended", type="exceeded_current_quota_error")),
        (400, {"type": "error", "error": {"message": "Your credit balance is too low to access the API."}}),
        (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
        (403, {"code": "permission", "error": "Your newly created team doesn't have any credits yet."}),
        (429, told(code="1113", message="余额不足或无可用资源包,请充值。")),
        (429, told(message="Provider returned error", metadata={"raw": '{"message":"due to insufficient balance"}'})),
        (200, told(message="This request requires more credits, or fewer max_tokens.", code=402)),
        (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None}),
    ],
)
def test_an_account_without_credit_is_known_in_every_form(status, body):
    assert refusal(status, body).no_credit


@pytest.mark.parametrize(
    "body",
    [
        told(
            message="Rate limit reached on tokens per minute (TPM). Please try again in 5.289s.",
            code="rate_limit_exceeded",
        ),
        told(
            message="Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests per day", code=429
        ),
        told(message="You exceeded your current quota. Please retry in 34.07s.", status="RESOURCE_EXHAUSTED"),
    ],
)
def test_a_limit_that_passes_is_no_lack_of_credit(body):
    assert not refusal(429, body).no_credit


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"object": "error", "message": "System role not supported", "type": "BadRequestError", "code": 400}),
        (400, [told(code=400, message="Developer instruction is not enabled for models/gemma-3-27b-it")]),
        (400, told(message="Conversation roles must alternate user/assistant/user/assistant/...")),
        (500, told(code=500, message="Jinja Exception: System role not supported", type="server_error")),
        (400, told(message="Unsupported value: 'messages[0].role' does not support 'system' with this model.")),
        (400, told(message="does not support this value", param="messages[0].role", code="unsupported_value")),
        (400, {"error": 'Error rendering prompt with jinja template: "Only user and assistant roles are supported!"'}),
        (400, {"message": "This model doesn't support system messages. Try again without system messages."}),
        (400, told(message='messages: Unexpected role "system".')),
        (422, {"error": "Template error: System role not supported", "error_type": "template_error"}),
    ],
)
def test_a_model_that_knows_no_system_role_is_known_in_every_form(status, body):
    assert refusal(status, body).wrong_role


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens.",
        "The system is not available right now, try again later.",
        "The system prompt is too long and cannot be sent; it must not exceed 4000 tokens.",
        "After the optional system message, conversation roles must alternate user and assistant roles",
    ],
)
def test_other_trouble_is_not_about_the_system_role(message):
    assert not refusal(400, told(message=message)).wrong_role


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (
            "seed",
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
        ),
        ("seed", {"object": "Error", "message": [{"type": "extra_forbidden", "loc": ["body", "seed"]}], "code": 3001}),
        ("seed", {"object": "error", "message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}}),
        ("seed", [told(code=400, message='Invalid JSON payload received. Unknown name "seed": Cannot find field.')]),
        (
            "max_tokens",
            told(message="'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        ),
        (
            "max_tokens",
            told(message="max_tokens is too large: 5000. This model supports at most 4096 completion tokens"),
        ),
        ("temperature", told(message="invalid temperature: only 1 is allowed for this model")),
        ("temperature", told(message="`temperature` is deprecated for this model.")),
        ("temperature", told(message="Unsupported value", param="temperature", code="unsupported_value")),
        ("temperature", {"error": "Input validation error: `temperature` must be strictly positive"}),
        ("max_tokens", told(message="Unrecognized request argument supplied: max_tokens", param=None)),
    ],
)
def test_a_field_that_a_model_does_not_take_is_known_in_every_form(field, body):
    assert refusal(400, body).field_among(SENT) == field


@pytest.mark.parametrize(
    "body",
    [
        told(
            message="This model's maximum context length is 8192 tokens. However, you requested 9000 (1000 max_tokens)"
        ),
        told(message="Invalid 'messages[1].content': string too long", param="messages[1].content"),
        told(message="Something went wrong with seed potatoes"),
        told(message="top_p is not supported"),
        told(message="This model does not support max_tokens_to_sample"),
    ],
)
def test_what_is_about_no_field_that_was_sent_names_none(body):
    assert refusal(400, body).field_among(SENT) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, [told(code=400, message="API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")]),
        (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***."}),
        (400, told(message="no", details=[{"reason": "API_KEY_INVALID"}])),
        (200, {"base_resp": {"status_code": 1004, "status_msg": "authentication failed"}}),
    ],
)
def test_a_wrong_key_is_known_whatever_the_status(status, body):
    assert refusal(status, body).wrong_key


@pytest.mark.parametrize(
    "body",
    [
        told(message="Model Not Exist", code="invalid_request_error"),
        told(message="foo/bar is not a valid model ID", code=400),
        {"object": "error", "message": "Invalid model: foo", "type": "invalid_model", "code": "1500"},
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        told(message='model "qwen9" not found, try pulling it first'),
    ],
)
def test_a_model_or_an_address_that_is_not_there_is_known(body):
    assert refusal(400, body).wrong_model


@pytest.mark.parametrize(
    "body",
    [
        told(code="content_filter", message="filtered"),
        told(code=None, message="filtered", innererror={"code": "ResponsibleAIPolicyViolation"}),
        told(code="data_inspection_failed", message="Input data may contain inappropriate content."),
        told(code=400, message="flagged", metadata={"flagged_input": "2"}),
    ],
)
def test_a_prompt_that_a_filter_refused_is_known(body):
    assert refusal(400, body).filtered


# --------------------------------------------------------------------------- how long to wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "20"}, 20),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "20s"}, 20),
        ({"retry_after": "1m30s"}, 90),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after": lambda: formatdate(time() + 30, usegmt=True)}, 30),
        ({"retry_after": lambda: str(time() + 30)}, 30),
        ({"x_ratelimit_reset": lambda: str(int((time() + 30) * 1000))}, 30),
        ({"x_ratelimit_reset_requests": "1s", "x_ratelimit_reset_tokens": "6m0s"}, 1),
        (
            {
                "x_ratelimit_reset_requests": "120ms",
                "x_ratelimit_remaining_requests": "9",
                "x_ratelimit_reset_tokens": "7.66s",
                "x_ratelimit_remaining_tokens": "0",
            },
            7.66,
        ),
        ({"ratelimit_reset": "12"}, 12),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_every_form_of_a_header(headers, seconds):
    found = refusal(429, told(message="slow down"), **{k: v if isinstance(v, str) else v() for k, v in headers.items()})
    assert found.wait == (None if seconds is None else pytest.approx(seconds, abs=1.1 if seconds == 30 else 1e-9))


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (told(message="Rate limit reached. Please try again in 20s. Contact us"), 20),
        (told(message="Limit 300000, Requested 16144. Please try again in 579ms. Visit"), 0.579),
        (told(message="Please try again in 1m9.696s. Visit"), 69.696),
        (told(message="Please try again in 6 minutes."), 360),
        (told(message="have exceeded token rate limit. Please retry after 33 seconds. Please go here"), 33),
        (told(message="You exceeded your current quota. Please retry in 34.074824224s."), 34.074824224),
        (
            told(message="slow", details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]),
            34,
        ),
        (told(message="slow", metadata={"headers": {"Retry-After": "8"}}), 8),
        (told(message="slow", resets_in_seconds=14), 14),
        (told(message="slow", retryDelay="PT1M5S"), 65),
        (told(message="Rate limit. Retry after PT7S."), 7),
        (told(message="Please try again later."), None),
        (told(message="Please try again in a while, by model 7b."), None),
    ],
)
def test_a_wait_is_read_in_every_form_of_a_body(body, seconds):
    found = refusal(429, body)
    assert found.wait == (None if seconds is None else pytest.approx(seconds))


def test_a_header_that_says_how_long_to_wait_counts_more_than_words():
    assert refusal(429, told(message="try again in 20s"), retry_after="3", x_ratelimit_reset="50").wait == 3


def test_where_a_gateway_tells_when_a_limit_is_reset_it_is_waited_for():
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((time() + 40) * 1000))}
    found = refusal(429, told(message="free-models-per-min", code=429, metadata={"headers": headers}))
    assert found.wait == pytest.approx(40, abs=1)
