"""The page in a real Chromium, against a server that pretends; and what its files must not hold."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.resources import files
from itertools import product

import pytest

from gdesign.api import load
from gdesign.runs.log import RunsFile
from gdesign.serve.app import Serving
from tests.serve.folders import JOINT, POLICY, SWARM, folder
from tests.serve.pretend import PAST, QUESTIONS, SCRIPT, pretending
from tests.serve.serving import serving

STATIC = files("gdesign.serve") / "static"
OWN = [
    "index.html",
    "style.css",
    "app.js",
    "api.js",
    "copies.js",
    "curve.js",
    "dom.js",
    "graph.js",
    "panel.js",
    "words.js",
]
WIDTHS = [400, 1400]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

in_a_browser = pytest.mark.slow


# --------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_the_page_names_no_other_host_and_builds_no_html_from_text(name):
    text = (STATIC / name).read_text()
    assert not re.search(r"https?://|(?:src|href)=[\"']//", text)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text
    )


def test_the_page_has_no_inline_script_and_no_inline_style():
    html = (STATIC / "index.html").read_text()
    assert all(re.search(r"\bsrc=", tag) for tag in re.findall(r"<script[^>]*>", html))
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)


def test_the_libraries_are_those_that_their_readme_names():
    readme = (STATIC / "vendor" / "README.md").read_text()
    for name in ("cytoscape.js", "cytoscape-dagre.js"):
        assert sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() in readme
        assert "Permission is hereby granted" in (STATIC / "vendor" / f"LICENSE.{name.removesuffix('.js')}").read_text()


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_on_what_it_stands_on(mode):
    blocks = re.findall(r":root \{([^}]*)\}", (STATIC / "style.css").read_text())
    colors = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[mode == "dark"]))
    for ink, paper in product(["ink", "muted"], ["page", "card", "quiet"]):
        assert contrast(colors[ink], colors[paper]) >= 4.5, (ink, paper)
    for ink, paper in [("accent", "card"), ("good", "card"), ("bad", "card"), ("bad", "bad-page"), ("bad", "page")]:
        assert contrast(colors[ink], colors[paper]) >= 4.5, (ink, paper)
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
    for line in ["edge", "watch", "temporal", *(f"llm-{k}" for k in range(8))]:
        assert contrast(colors[line], colors["card"]) >= 3, line


# --------------------------------------------------------------------------- a browser


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    named = os.environ.get("GDESIGN_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if found is None:
        pytest.skip("no Chromium on PATH and none named by GDESIGN_CHROMIUM")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address():
    with pretending() as url:
        yield url


@pytest.fixture
def visit(browser, address):
    """Open the page; at the end of the test nothing may have gone wrong and no other host been asked."""
    opened = []

    def go(where="", *, width=1400, url=address, refused=(), **context):
        tab = browser.new_context(viewport={"width": width, "height": 900}, **context)
        tab.set_default_timeout(5000)
        page = tab.new_page()
        wrong, asked = [], []
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        opened.append((tab, url, wrong, asked, refused))
        page.goto(url + where)
        return page

    yield go
    for tab, url, wrong, asked, refused in opened:
        tab.close()
        # Chromium itself reports an answer such as 400 on the console; the page cannot keep it from that.
        assert [text for text in wrong if not any(word in text for word in refused)] == []
        assert [one for one in asked if not one.startswith(url)] == []


def design(page, question=QUESTIONS[0]):
    page.fill("#question", question)
    with page.expect_response(lambda r: "/v1/designs" in r.url and r.request.post_data_json["question"] == question):
        page.click("#design")
    page.wait_for_selector("#design:not([aria-busy])")
    page.wait_for_selector("#panels .team li")
    return page.locator("#panels .panel").first


def slide_to(page, place):
    page.locator("#slider").fill(str(place))


def drawn(panel):
    """Whether the picture holds more than one colour."""
    return panel.locator("canvas").last.evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size > 20"
    )


def overflows(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_typed_question_becomes_a_team_in_a_picture_and_in_words(visit, width):
    page = visit(width=width)
    panel = design(page)
    assert panel.locator(".facts").inner_text().split("\n") == ["3 agents", "2 rounds", "weighted vote"]
    assert "0.83" in panel.locator(".expected").inner_text()
    assert "hears 1; hears 1 and 3 from the round before; its vote weighs 1" in panel.locator(".team").inner_text()
    assert "2 mathematician on math-specialist" in panel.locator(".graph").get_attribute("aria-label")
    assert drawn(panel)
    assert not overflows(page)


@in_a_browser
def test_the_page_opens_with_a_team_for_the_first_example(visit):
    page = visit()
    page.wait_for_selector("#panels .graph canvas", state="attached")
    assert page.input_value("#question") == QUESTIONS[0]


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_an_example_is_one_click(visit, width):
    page = visit(width=width)
    page.get_by_role("button", name=QUESTIONS[1]).click()
    page.wait_for_selector("#panels canvas", state="attached")
    assert page.input_value("#question") == QUESTIONS[1]


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_the_slider_changes_the_team(visit, width):
    page = visit(width=width)
    panel = design(page)
    slide_to(page, 0)
    panel.get_by_text("4 agents").wait_for()
    assert "speaks only while fewer than 2 of 1 and 2 agree" in panel.locator(".team").inner_text()
    assert "watches" in panel.locator(".legend").inner_text()
    slide_to(page, 100)
    panel.get_by_text("1 agent", exact=True).wait_for()
    assert page.locator("#lambda").inner_text() == "λ 1"
    assert "must gain 100 points" in page.locator("#slider").get_attribute("aria-valuetext")


@in_a_browser
def test_the_arrow_keys_move_the_slider_by_a_step(visit):
    page = visit()
    design(page)
    before = page.locator("#lambda").inner_text()
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert page.locator("#lambda").inner_text() != before


@in_a_browser
def test_a_limit_in_usd_is_sent_instead_of_the_price_of_cost(visit):
    page = visit()
    page.get_by_text("Spending limit").click()
    page.fill("#limit", "0.25")
    with page.expect_request(lambda r: "max_usd" in (r.post_data or "")) as asked:
        design(page)
    assert asked.value.post_data_json == {"question": QUESTIONS[0], "kind": "learned", "max_usd": 0.25}
    with page.expect_request(lambda r: "chain" in (r.post_data or "")) as asked:
        page.select_option("#against", "chain")
    assert asked.value.post_data_json == {"question": QUESTIONS[0], "kind": "chain"}


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_shows_each_message_with_its_tokens_and_cost_and_then_the_answer(visit, width):
    page = visit(width=width)
    panel = design(page)
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".answer .value").wait_for()
    messages = panel.locator(".message")
    assert messages.count() == 6
    assert [t.split("\n")[:2] for t in messages.locator(".head").all_inner_texts()[:2]] == [
        ["1", "assistant"],
        ["2", "mathematician"],
    ]
    assert "130 → 85 tokens" in messages.nth(1).inner_text()
    assert "$0.40" in messages.nth(1).inner_text()
    assert panel.locator(".answer .value").inner_text() == "21"
    assert "weighted vote, with 3 of 3 agents" in panel.locator(".answer").inner_text()
    totals = panel.locator(".totals").inner_text().split("\n")
    assert dict(zip(totals[::2], totals[1::2], strict=True)) == {
        "Turns": "6 of 6", "Tokens in": "780", "Tokens out": "510", "Cost per 1,000 questions": "$2.36",
    }  # fmt: skip
    assert not overflows(page)


@in_a_browser
def test_messages_arrive_while_the_run_goes_on_and_it_can_be_stopped(visit):
    page = visit()
    panel = design(page, "a slow one")
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".message").first.wait_for()
    assert panel.locator(".message").count() == 1
    assert not panel.locator(".answer").is_visible()
    assert panel.locator("[data-state=spoken]").count() == 1
    assert "thinks in round 1" in panel.locator(".team").inner_text()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("button", name="Run again").wait_for()
    assert panel.locator(".message").count() == 1
    assert not panel.locator(".answer").is_visible()


@in_a_browser
def test_a_new_team_ends_the_run_of_the_one_before(visit):
    page = visit()
    panel = design(page)
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".message").first.wait_for()
    slide_to(page, 100)
    panel.get_by_text("1 agent", exact=True).wait_for()
    page.wait_for_timeout(1000)  # for what the server had sent before
    assert panel.locator(".message").count() == 0
    assert panel.get_by_role("button", name="Run this team").is_visible()


@in_a_browser
def test_a_silent_agent_and_a_failed_call_are_told_apart_from_those_that_spoke(visit):
    page = visit()
    panel = design(page, "this one fails")
    slide_to(page, 0)
    panel.get_by_text("4 agents").wait_for()
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".answer .value").wait_for()
    states = [row.get_attribute("data-state") for row in panel.locator(".team li").all()]
    assert states == ["failed", "spoken", "decided", "silent"]
    assert "the endpoint answers 503" in panel.locator(".message").first.inner_text()
    assert "Stays silent" in panel.locator(".message").last.inner_text()


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["chain", "complete", "single"])
def test_a_second_team_stands_beside_the_learned_one_and_both_run(visit, width, kind):
    page = visit(width=width)
    design(page)
    page.select_option("#against", kind)
    other = page.locator("#panels .panel").nth(1)
    other.locator("canvas").last.wait_for(state="attached")
    page.get_by_role("button", name="Run both").click()
    page.locator(".answer .value").nth(1).wait_for()
    page.locator(".answer .value").nth(0).wait_for()
    assert drawn(other)
    cells = page.locator("#table-box").inner_text()
    assert "Learned team" in cells
    assert "$2.36" in cells
    boxes = [panel.bounding_box() for panel in page.locator("#panels .panel").all()]
    assert (boxes[0]["y"] == boxes[1]["y"]) == (width == 1400)
    assert not overflows(page)
    page.select_option("#against", "none")
    other.wait_for(state="hidden")


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_past_run_is_looked_up_and_replayed(visit, width):
    page = visit(width=width)
    page.get_by_role("link", name="Past runs").click()
    page.locator("#past-list li").nth(24).wait_for()
    page.get_by_role("button", name="More").click()
    page.locator("#past-list li").nth(len(PAST) - 1).wait_for()
    assert page.locator("#past-list li").count() == len(PAST)
    assert page.locator("#num-past").inner_text() == "30 of 30 runs, newest first"
    assert not page.get_by_role("button", name="More").is_visible()
    page.locator("#past-list button").first.click()
    panel = page.locator("#past-panel .panel")
    panel.locator(".answer .value").wait_for()
    assert "right" in panel.locator(".answer").inner_text()
    assert panel.locator(".message").count() == 6
    panel.get_by_role("button", name="To the start").click()
    assert panel.locator(".message").count() == 0
    assert not panel.locator(".answer").is_visible()
    panel.get_by_role("button", name="Step").click()
    assert panel.locator(".message").count() == 1
    panel.get_by_label("Turn of the replay").fill("3")
    assert panel.locator(".message").count() == 3
    panel.get_by_label("Speed of the replay").select_option("4")
    panel.get_by_role("button", name="Replay").click()
    assert not panel.locator(".answer").is_visible()
    panel.locator(".answer .value").wait_for()
    assert panel.locator(".message").count() == 6
    assert not overflows(page)


@in_a_browser
def test_a_past_run_without_its_words_says_so(visit):
    page = visit("#past")
    page.locator("#past-list button").nth(1).click()
    panel = page.locator("#past-panel .panel")
    panel.locator(".message").first.wait_for()
    assert "Its words were not recorded." in panel.locator(".message").first.inner_text()
    assert "read as 21" in panel.locator(".message").first.inner_text()


@in_a_browser
def test_a_run_that_has_ended_can_be_replayed_at_once(visit):
    page = visit()
    panel = design(page)
    panel.get_by_role("button", name="Run this team").click()
    panel.get_by_role("button", name="To the start").click()
    assert panel.locator(".message").count() == 0
    panel.get_by_role("button", name="Step").click()
    assert panel.locator(".message").count() == 1


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_script_in_a_question_in_names_and_in_what_agents_say_is_shown_and_not_run(visit, width):
    page = visit(width=width, refused=["status of 400"])
    question = f"script {SCRIPT}"
    panel = design(page, question)
    page.select_option("#against", "chain")
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".answer .value").wait_for()
    assert panel.locator(".answer .value").inner_text() == SCRIPT
    assert panel.locator(".message .text").first.inner_text() == SCRIPT
    assert SCRIPT in panel.locator(".team").inner_text()
    page.fill("#question", "another")
    assert page.locator("#for").inner_text() == question
    page.fill("#question", "refused")
    page.click("#design")
    page.get_by_text("The question is refused").wait_for()
    assert SCRIPT in page.locator("#problem").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main script, main img").count() == 0
    assert not overflows(page)


@in_a_browser
@pytest.mark.parametrize(
    ("question", "message"),
    [("upstream", "The endpoint of small is down."), ("breaks", "The connection broke before the run ended.")],
)
def test_a_run_that_breaks_off_says_why_and_keeps_what_was_said(visit, question, message):
    page = visit()
    panel = design(page, question)
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".error").wait_for()
    assert panel.locator(".error").inner_text() == message
    assert panel.locator(".message").count() >= 1
    assert not panel.locator(".answer").is_visible()


@in_a_browser
def test_costs_are_told_in_one_unit_that_is_chosen_once(visit):
    page = visit()
    panel = design(page)
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".answer .value").wait_for()
    assert "Cost per 1,000 questions" in panel.locator(".totals").inner_text()
    assert "$2.36" in panel.locator(".totals").inner_text()
    page.select_option("#unit", "1")
    assert "Cost per question" in panel.locator(".totals").inner_text()
    assert "$0.0024" in panel.locator(".totals").inner_text()
    assert "$0.00040" in panel.locator(".message").nth(1).inner_text()
    assert "$0.00042" in panel.locator(".expected").inner_text()
    assert page.locator("#meaning").inner_text().startswith("$0.0010 more per question must gain 2.9 points")
    assert "1,000 questions" not in page.locator("#result").inner_text()
    page.get_by_text("Spending limit").click()
    with page.expect_request(lambda r: "max_usd" in (r.post_data or "")) as asked:
        page.fill("#limit", "0.00025")
    assert asked.value.post_data_json["max_usd"] == pytest.approx(0.25)


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_curve_shows_what_more_money_is_expected_to_bring_and_where_one_stands(visit, width):
    page = visit(width=width)
    design(page)
    page.locator("#curve circle").wait_for()
    places = []
    for place in (0, 50, 100):
        slide_to(page, place)
        places.append(float(page.locator("#curve circle").get_attribute("cx")))
    assert places == sorted(set(places), reverse=True)
    assert (
        page.locator("#curve")
        .get_attribute("aria-label")
        .startswith("Expected score by cost per 1,000 questions: from")
    )
    assert not overflows(page)


@in_a_browser
def test_a_team_is_copied_for_other_programs_and_opened_again_by_a_link(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    panel = design(page, QUESTIONS[1])
    for name, text in (("Mermaid", "mermaid of 3 agents"), ("Python", "python of 3 agents")):
        panel.get_by_role("button", name=name, exact=True).click()
        panel.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == text
        panel.get_by_role("button", name=name, exact=True).wait_for()
    panel.get_by_role("button", name="Link", exact=True).click()
    panel.get_by_role("button", name="Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = visit(link.partition("/#")[2].join(["#", ""]))
    other.get_by_role("heading", name="Linked team").wait_for()
    assert other.input_value("#question") == QUESTIONS[1]
    assert other.locator("#panels .team").first.inner_text() == panel.locator(".team").inner_text()
    other.get_by_role("button", name="Run this team").click()
    other.locator(".answer .value").wait_for()


@in_a_browser
def test_where_there_is_no_clipboard_the_text_is_there_to_be_taken(visit):
    page = visit()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    panel = design(page)
    panel.get_by_role("button", name="JSON", exact=True).click()
    panel.locator(".copies textarea").wait_for()
    assert panel.locator(".copies textarea").input_value() == "json of 3 agents"


@in_a_browser
@pytest.mark.parametrize("hash", ["#team=x", "#team=eyJxIjoxfQ", "#team=%00"])
def test_a_link_that_holds_no_team_says_so(visit, hash):
    page = visit(hash)
    page.get_by_text("This link holds no team").wait_for()


@in_a_browser
def test_agents_that_nothing_tells_apart_are_a_stack(visit):
    page = visit()
    panel = design(page, "three alike vote")
    (row,) = panel.locator(".team li").all()
    assert row.inner_text().split("\n")[0] == "1\u20133"
    assert "assistant \u00d7 3" in row.inner_text()
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".answer .value").wait_for()
    assert panel.locator(".message").count() == 3
    assert row.locator(".state").inner_text() == "agrees"


@in_a_browser
def test_past_runs_are_searched_and_sifted(visit):
    page = visit("#past")
    rows = page.locator("#past-list li")
    page.get_by_text("25 of 30 runs").wait_for()
    page.fill("#past-text", "river")
    page.get_by_text("10 of 10 runs").wait_for()
    assert rows.count() == 10
    page.select_option("#past-score", "1")
    page.get_by_text("No run is like that.").wait_for()
    page.fill("#past-text", "")
    page.get_by_text("20 of 20 runs").wait_for()


@in_a_browser
def test_a_page_of_live_agents_shows_no_null(visit, tmp_path):
    path = folder(tmp_path / "a")
    with serving(Serving(load(path), folder=path, simulated=False)) as url:
        page = visit(url=url.removesuffix("v1"))
        page.wait_for_selector("#panels .team li")
        assert page.locator("#about").inner_text().split("\n") == ["joint designer", "4 roles, 4 LLMs"]


@in_a_browser
def test_on_a_phone_no_number_breaks_and_the_comparison_folds(visit):
    page = visit(width=400)
    design(page)
    page.select_option("#against", "chain")
    page.locator("#table-box table").wait_for()
    page.get_by_role("button", name="Run both").click()
    page.locator(".answer .value").nth(1).wait_for()
    broken = page.evaluate(
        """() => [...document.querySelectorAll("dd, td.number, .whole")]
            .filter(e => e.checkVisibility())
            .filter(e => e.getClientRects().length > 1 || (e.matches("dd") && e.scrollWidth > e.clientWidth + 1))
            .map(e => e.textContent)"""
    )
    assert broken == []
    page.get_by_text("The two teams in figures").first.click()
    assert not page.locator("#table-box table").is_visible()


@in_a_browser
def test_a_server_that_has_gone_is_named_plainly(visit):
    page = visit(refused=["ERR_CONNECTION_REFUSED"])
    page.route("**/v1/designs", lambda route: route.abort("connectionrefused"))
    page.fill("#question", "anyone there?")
    page.click("#design")
    page.get_by_text("The server does not answer. Is it still running?").wait_for()


@in_a_browser
def test_a_server_with_a_key_asks_for_it(visit):
    with pretending(key="secret") as url:
        page = visit(url=url, refused=["status of 401"])
        page.wait_for_selector("#key:focus")
        assert not page.locator("#problem").is_visible()  # nobody has done anything wrong yet
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This server asks for a key.").wait_for()
        page.fill("#key", "secret")
        page.keyboard.press("Enter")
        page.wait_for_selector("#ask:enabled")
        design(page)
        assert not page.locator("#key-form").is_visible()


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_every_control_is_reached_by_the_tab_key_and_shows_that_it_has_the_focus(visit, width):
    page = visit(width=width)
    page.wait_for_selector("#ask:enabled")
    page.fill("#question", QUESTIONS[0])
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#panels canvas", state="attached")
    page.select_option("#against", "chain")
    page.get_by_role("button", name="Run both").click()
    page.locator(".answer .value").nth(1).wait_for()
    page.locator(".answer .value").nth(0).wait_for()
    page.focus(".skip")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, summary, textarea")]
            .filter(e => e.checkVisibility() && !e.matches(":disabled") && !(e.type === "radio" && !e.checked))
            .map((e, i) => e.dataset.tab = String(i))"""
    )
    reached = ["0"]
    for _ in wanted[1:]:
        page.keyboard.press("Tab")
        place, visible = page.evaluate(
            """() => {
                const e = document.activeElement;
                const shown = e.type === "radio" ? e.nextElementSibling : e;
                return [e.dataset.tab ?? null, getComputedStyle(shown).outlineStyle !== "none"];
            }"""
        )
        assert visible, page.evaluate("document.activeElement.outerHTML")
        reached.append(place)
    assert reached == wanted


@in_a_browser
def test_a_team_is_designed_run_and_replayed_without_a_mouse(visit):
    page = visit()
    page.wait_for_selector("#ask:enabled")
    page.focus("#question")
    page.keyboard.press("Control+a")
    page.keyboard.type("How many are left?")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#design:not([aria-busy])")
    run = page.get_by_role("button", name="Run this team")
    run.focus()
    page.keyboard.press("Enter")
    page.locator(".answer .value").first.wait_for()
    page.get_by_label("Turn of the replay").first.focus()
    page.keyboard.press("Home")
    assert page.locator(".message").count() == 0
    page.keyboard.press("ArrowRight")
    assert page.locator(".message").count() == 1


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_team_too_large_for_the_screen_can_be_scrolled_and_one_too_large_to_draw_is_told(visit, width):
    page = visit(width=width)
    panel = design(page, "twelve who all hear each other")
    assert drawn(panel)
    box = panel.locator(".graph")
    assert box.evaluate("b => b.scrollWidth > b.clientWidth")
    assert box.get_attribute("tabindex") == "0"
    design(page, "forty who all hear each other")
    assert "too large for a picture" in box.inner_text()
    assert "hears 1, 2 and 3" in panel.locator(".team").inner_text()
    assert not overflows(page)
    design(page)
    assert drawn(panel)
    assert box.get_attribute("tabindex") is None


@in_a_browser
def test_readers_of_the_screen_hear_what_happens(visit):
    page = visit()
    panel = design(page, "a slow one")
    assert page.locator("#status").inner_text().startswith("Team of 3 agents, 2 rounds, weighted vote: 1 assistant")
    panel.get_by_role("button", name="Run this team").click()
    page.locator("#status").get_by_text("Agent 1, assistant, has spoken.").wait_for()


@in_a_browser
def test_dark_mode_changes_the_page_and_the_picture(visit):
    page = visit(color_scheme="light")
    panel = design(page)
    page.wait_for_timeout(100)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor"), panel.screenshot()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(200)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor"), panel.screenshot()
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    assert drawn(panel)


@in_a_browser
def test_nothing_moves_for_those_who_asked_for_less_motion(visit):
    page = visit(reduced_motion="reduce")
    panel = design(page)
    panel.get_by_role("button", name="Run this team").click()
    panel.locator(".message").first.wait_for()
    assert page.evaluate("document.getAnimations().length") == 0


@in_a_browser
def test_long_words_are_folded_and_unfolded(visit):
    page = visit(width=400)
    panel = design(page, "a long one")
    panel.get_by_role("button", name="Run this team").click()
    first = panel.locator(".message").first
    first.wait_for()
    folded = first.bounding_box()["height"]
    first.get_by_role("button", name="Show all").click()
    assert first.bounding_box()["height"] > 2 * folded
    assert not overflows(page)


@in_a_browser
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_read_whatever_the_line_ends_and_wherever_chunks_are_cut(visit, end, size):
    page = visit()
    text = end.join([": hello", "event: turn", 'data: {"a":', "data:1}", "", "data: über", "", ""])
    found = page.evaluate(
        """async ([text, size]) => {
            const { events } = await import("/static/api.js");
            const bytes = new TextEncoder().encode(text);
            const body = new ReadableStream({ start(c) {
                for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, i + size));
                c.close();
            } });
            const out = [];
            for await (const one of events(body)) out.push([one.event, one.data]);
            return out;
        }""",
        [text, size],
    )
    assert found == [["turn", '{"a":\n1}'], ["message", "über"]]


# --------------------------------------------------------------------------- the real server


@pytest.fixture(scope="module", params=["joint", "swarm"])
def served(request, tmp_path_factory):
    """A designer behind `gdesign serve`, with two past runs: one with its words, one without."""
    path = folder(tmp_path_factory.mktemp("served"), designer={"joint": JOINT, "swarm": SWARM}[request.param])
    model = load(path)
    with ThreadPoolExecutor(1) as thread:  # playwright has an event loop running in this one
        answer = thread.submit(model.ask, QUESTIONS[0]).result()
    with RunsFile(path / "runs.jsonl") as runs:
        for words in (False, True):
            runs.append(answer.run, answer.outcome, phase="test", words=words)
    with serving(Serving(model, folder=path, simulated=True)) as url:
        yield url.removesuffix("v1")


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_and_the_server_understand_each_other(visit, served, width):
    page = visit(url=served, width=width)
    panel = design(page, QUESTIONS[0])
    slide_to(page, 100)
    page.wait_for_selector("#design:not([aria-busy])")
    page.select_option("#against", "complete")
    page.get_by_role("button", name="Run both").click()
    page.locator("#panels .answer .value").nth(1).wait_for()
    page.locator("#panels .answer .value").nth(0).wait_for()
    assert "tokens" in panel.locator(".message").first.inner_text()
    assert panel.locator("[data-state=decided]").count() >= 1
    assert "simulated" in panel.locator(".answer").inner_text()
    assert drawn(panel)
    page.get_by_role("link", name="Past runs").click()
    page.get_by_text("2 of 2 runs, newest first").wait_for()
    for number in (0, 1):
        page.locator("#past-list button").nth(number).click()
        page.locator("#past-panel .answer .value").wait_for()
        assert page.locator("#past-panel [data-state=decided]").count() >= 1
    assert not overflows(page)


@in_a_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_a_team_that_goes_on_deciding_grows_and_says_why(visit, tmp_path, width):
    path = folder(tmp_path / "a", designer=POLICY)
    with serving(Serving(load(path), folder=path, simulated=True)) as url:
        page = visit(url=url.removesuffix("v1"), width=width)
        panel = design(page, QUESTIONS[0])
        assert panel.locator(".team li").count() == 1
        assert "first" in panel.locator(".tree").inner_text()
        panel.get_by_role("button", name="Run this team").click()
        panel.locator(".answer .value").wait_for()
        waves = panel.locator(".waves li").all_inner_texts()
        num = len(waves) - 1
        assert num >= 2
        assert waves[0].startswith("Wave 1, agent 1: the first is asked")
        assert waves[-1].startswith("Stop")
        assert panel.locator(".team li").count() == panel.locator(".message").count() == num
        assert drawn(panel)
        assert not overflows(page)


@in_a_browser
def test_what_the_server_refuses_is_shown(visit, served):
    page = visit(url=served, refused=["status of 400"])
    panel = design(page, "Why is the sky blue?")
    panel.get_by_role("button", name="Run this team").click()
    panel.get_by_text("the simulated agents know no other questions").wait_for()
    assert not panel.locator(".talk").is_visible()
    page.get_by_text("Spending limit").click()
    page.fill("#limit", "0.000001")
    page.locator("#problem").wait_for()
    assert page.locator("#problem").inner_text() != ""
