// The page: a question and a budget become a team; a second team beside it; past runs.

import * as api from "./api.js";
import { drawCurve } from "./curve.js";
import { el } from "./dom.js";
import { Panel } from "./panel.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
const AFTER_A_SLIDE = 180; // ms without a move before a new team is asked for
const PAGE = 25; // past runs at a time
const EXAMPLES = 3; // at first
const KINDS = { learned: "Learned team", chain: "Chain", complete: "Complete graph", single: "Single agent" };

const wide = matchMedia("(min-width: 1000px)");

let info = null;
let asked = null; // the question that the teams on the page are for
let designing = null; // aborts the request under way
let pause = 0;
let shown = 0; // past runs in the list
let curve = []; // what is expected along the prices of cost, of the question asked

// -------------------------------------------------------------------- small things

function say(text) {
  $("status").textContent = text;
}

function fail(error, box = $("problem")) {
  if (error.status === 401) {
    $("key-form").hidden = false;
    $("key").focus();
    if (!api.hasKey()) return; // nobody has done anything wrong yet
  }
  box.textContent = error.message;
  box.hidden = false;
}

const llmColor = (llm) => `llm-${Math.max(0, info.pool.llms.findIndex((m) => m.name === llm)) % 8}`;

function llmPrice(llm) {
  const found = info.pool.llms.find((m) => m.name === llm);
  return found ? `${words.usd(found.usd_per_1M_input)} / ${words.usd(found.usd_per_1M_output)}` : null;
}

const panel = (name) => new Panel({ name, llmColor, llmPrice, say, changed: compare });
const left = panel("Learned team");
const right = panel("Comparison");
const replayed = panel("Past run");
$("panels").append(left.root, right.root);
$("past-panel").append(replayed.root);

// -------------------------------------------------------------------- the budget

/** The price of cost at a place of the slider: logarithmic between the server's bounds. */
function lambda() {
  const { low, high } = info.lambda;
  const from = low > 0 ? low : high / 1000;
  const place = Number($("slider").value) / Number($("slider").max);
  if (place === 0) return low;
  return Number((from * (high / from) ** place).toPrecision(3));
}

function placeOf(value) {
  const { low, high } = info.lambda;
  const from = low > 0 ? low : high / 1000;
  if (!(value > from)) return 0;
  return Math.round((Math.log(value / from) / Math.log(high / from)) * Number($("slider").max));
}

const limited = () => $("by-limit").checked;

function readout() {
  const points = 100 * lambda();
  const one = words.cost(0.001);
  const meaning = points === 0 ? "cost does not matter" : `${one} more ${words.unit()} must gain ${words.number(points)} points of score`;
  $("lambda").textContent = `λ ${words.number(lambda())}`;
  $("meaning").textContent = meaning;
  $("slider").setAttribute("aria-valuetext", `lambda ${words.number(lambda())}: ${meaning}`);
  $("slide-box").hidden = limited();
  $("limit-box").hidden = !limited();
  $("limit-unit").textContent = words.unit();
  showCurve();
}

function budget(kind) {
  if (!limited()) return { lambda: lambda() };
  return kind !== "learned" || $("limit").value === "" ? {} : { max_usd: (Number($("limit").value) * 1000) / Number($("unit").value) };
}

/** What is expected to be gained for more money, and where one stands. */
function showCurve() {
  const apart = (p) => Math.abs(Math.log(p.lambda / lambda()));
  const near = curve.length && curve.reduce((a, b) => (apart(b) < apart(a) ? b : a));
  drawCurve($("curve"), curve, limited() ? left.expectedFigures : near);
}

async function lookAlong(question, signal) {
  try {
    curve = await api.curve(question, signal);
  } catch (error) {
    if (!signal.aborted && !(error instanceof api.ApiError)) throw error;
    if (signal.aborted) return;
    curve = [];
  }
  showCurve();
}

// -------------------------------------------------------------------- designing

async function design() {
  const question = asked;
  designing?.abort();
  designing = new AbortController();
  const { signal } = designing;
  const kind = $("against").value;
  const teams = [[left, "learned"], ...(kind === "none" ? [] : [[right, kind]])];
  $("problem").hidden = true;
  $("design").setAttribute("aria-busy", "true");
  try {
    const found = await Promise.all(teams.map(([, k]) => api.design({ question, kind: k, ...budget(k) }, signal)));
    if (curve.of !== question) lookAlong(question, signal).then(() => { curve.of = question; });
    $("result").hidden = false;
    right.root.hidden = kind === "none";
    $("panels").classList.toggle("two", kind !== "none");
    teams.forEach(([panel, k], i) => showTeam(panel, k, found[i], question));
    stale();
    compare();
    showCurve();
    say(words.teamWords(left.design));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof api.ApiError)) throw error;
    fail(error);
  }
  $("design").removeAttribute("aria-busy");
}

function showTeam(panel, kind, found, question) {
  const facts = () => [
    ...(found.expected
      ? [["Expected score", words.score(found.expected.score)], [`Expected ${words.unit()}`, words.cost(found.expected.usd / 1000)]]
      : []),
    ...(kind === "learned" && found.lambda !== null && found.lambda !== undefined ? [["λ", words.number(found.lambda)]] : []),
    ...(kind === "learned" ? [["Designed in", words.seconds(found.seconds)]] : []),
  ];
  const { tree } = found; // only what goes on deciding while it runs has one
  panel.show({ title: KINDS[kind], json: found.design, question, expected: found.expected, facts, tree, budget: tree ? budget(kind) : null });
}

/** Both teams, figure by figure. */
function compare() {
  const two = !right.root.hidden && right.design && left.design;
  $("table-box").hidden = !two;
  if (!two) return;
  const figures = [];
  const row = (name, read, format, lower = false) => {
    const values = [left, right].map((p) => read(p) ?? null);
    if (values.every((v) => v === null)) return;
    const clear = values.every((v) => typeof v === "number") && values[0] !== values[1] && lower !== null;
    const best = clear ? (lower === values[0] < values[1] ? 0 : 1) : -1;
    figures.push({ name, cells: values.map((v, i) => el("td", { class: `${i === best ? "best " : ""}${name === "Answer" ? "" : "number"}` }, v === null ? "–" : format(v))) });
  };
  const done = (name) => (p) => (p.running ? null : p.done?.[name]);
  row("Agents", (p) => p.design.agents.length, String, null);
  row("Expected score", (p) => p.expectedFigures?.score, words.score);
  row(`Expected ${words.unit()}`, (p) => (p.expectedFigures ? p.expectedFigures.usd / 1000 : null), words.cost, true);
  row("Answer", (p) => (p.done && !p.running ? (p.done.answer ?? "not readable") : null), String, null);
  row(`Cost ${words.unit()}`, done("usd"), words.cost, true);
  row("Tokens", (p) => (p.done && !p.running ? p.done.prompt_tokens + p.done.completion_tokens : null), (n) => n.toLocaleString("en"), true);
  row("Calls", done("calls"), String, true);
  row("Calls in a row", done("critical_path"), String, true);
  const teams = [left, right].map((p) => p.title.textContent);
  const names = figures.map(({ name }) => name);
  const head = (texts) => $("table-head").replaceChildren(el("td", {}), ...texts.map((text) => el("th", { scope: "col" }, text)));
  const body = (texts, cells) =>
    $("table-body").replaceChildren(...texts.map((text, i) => el("tr", {}, el("th", { scope: "row" }, text), ...cells(i))));
  if (wide.matches) {
    head(names);
    body(teams, (i) => figures.map(({ cells }) => cells[i]));
  } else {
    head(teams);
    body(names, (i) => figures[i].cells);
  }
}

// -------------------------------------------------------------------- past runs

async function more() {
  $("past-problem").hidden = true;
  try {
    const filter = { q: $("past-text").value.trim(), score: $("past-score").value };
    const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
    const { runs, total } = await api.history(shown, PAGE, given);
    shown += runs.length;
    $("past-list").append(...runs.map(pastRow));
    $("more").hidden = shown >= total;
    const none = Object.keys(given).length ? "No run is like that." : "This run folder holds no runs yet.";
    $("num-past").textContent = total === 0 ? none : `${shown} of ${words.plural(total, "run")}, newest first`;
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    fail(error, $("past-problem"));
  }
}

let sought = 0;

/** List past runs from the newest on, a moment after the last letter of a search. */
function seek() {
  clearTimeout(sought);
  sought = setTimeout(() => {
    shown = 0;
    $("past-list").replaceChildren();
    more();
  }, AFTER_A_SLIDE);
}

function pastRow(run) {
  const verdict = run.score === 1 ? "right" : run.score === 0 ? "wrong" : run.score === null || run.score === undefined ? "" : words.score(run.score);
  const open = el("button", { type: "button", class: "link question", onclick: () => openPast(run.id, open) }, run.question ?? run.task);
  return el(
    "li",
    {},
    open,
    el(
      "span",
      { class: "meta" },
      el("span", { class: "tag" }, run.phase),
      el("span", {}, run.answer === null ? "no answer" : `answered ${run.answer}`),
      el("span", { class: `verdict ${verdict}` }, verdict),
      el("span", {}, words.plural(run.num_agents, "agent")),
      el("span", {}, `${words.cost(run.usd)} ${words.unit()}`),
    ),
  );
}

async function openPast(id, button) {
  $("past-problem").hidden = true;
  try {
    const past = await api.past(id);
    for (const old of $("past-list").querySelectorAll("[aria-current]")) old.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    $("past-panel").hidden = false;
    $("past-question").textContent = past.question ?? past.task;
    const facts = () => [["Task", past.task], ...(past.phase ? [["Phase", past.phase]] : [])];
    replayed.load(past, { title: "Past run", facts });
    replayed.title.focus();
    $("past-panel").scrollIntoView({ block: "start" });
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    fail(error, $("past-problem"));
  }
}

// -------------------------------------------------------------------- wiring

function route() {
  const past = location.hash === "#past";
  $("view-design").hidden = past;
  $("view-past").hidden = !past;
  $("to-design").setAttribute("aria-current", past ? "false" : "page");
  $("to-past").setAttribute("aria-current", past ? "page" : "false");
  if (past && shown === 0 && info) more();
  if (!past && info) openLinked();
}

/** Show the team that a link holds; return whether there is one. */
function openLinked() {
  const found = words.linked(location.hash);
  if (found === null) {
    if (location.hash.startsWith("#team=")) fail(new api.ApiError("This link holds no team; ask for another one.", 400));
    return false;
  }
  designing?.abort();
  asked = found.question;
  $("question").value = found.question;
  $("result").hidden = false;
  right.root.hidden = true;
  $("panels").classList.remove("two");
  left.show({ title: "Linked team", json: found.design, question: found.question });
  stale();
  compare();
  return true;
}

/** Say what the teams are for where the question in the box is another by now. */
function stale() {
  $("for").textContent = asked;
  $("for-box").hidden = $("question").value.trim() === asked;
}

function submit(event) {
  event?.preventDefault();
  asked = $("question").value.trim();
  if (asked) design();
}

function again() {
  clearTimeout(pause);
  if (asked) pause = setTimeout(design, AFTER_A_SLIDE);
}

async function start() {
  try {
    info = await api.info();
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    fail(error);
    return;
  }
  $("problem").hidden = true;
  $("key-form").hidden = true;
  $("about").replaceChildren(
    el("span", {}, `${info.designer} designer`),
    el("span", {}, `${words.plural(info.pool.roles.length, "role")}, ${words.plural(info.pool.llms.length, "LLM")}`),
    ...(info.simulated ? [el("span", { class: "tag" }, "simulated LLMs")] : []),
  );
  $("version").textContent = info.version;
  $("examples").replaceChildren(
    ...info.examples.map((text, i) => {
      const take = () => {
        $("question").value = text;
        submit();
      };
      return el("li", { hidden: i >= EXAMPLES }, el("button", { type: "button", class: "chip", title: text, onclick: take }, text));
    }),
  );
  $("more-examples").hidden = info.examples.length <= EXAMPLES;
  $("examples-label").textContent = info.simulated ? "Examples; the simulated agents answer only questions of these kinds" : "Examples";
  $("examples-box").hidden = info.examples.length === 0;
  $("slider").value = String(placeOf(info.lambda.trained));
  $("ask").disabled = false;
  readout();
  route();
  if (location.hash.startsWith("#team=")) return; // which says what it holds, or that it holds none
  if ($("question").value.trim() === "" && info.examples.length) $("question").value = info.examples[0];
  submit(); // designs cost nothing, so the page opens with one
}

$("ask-form").addEventListener("submit", submit);
$("question").addEventListener("input", stale);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
});
$("slider").addEventListener("input", () => { readout(); again(); });
$("limit").addEventListener("input", again);
$("unit").addEventListener("change", () => {
  const before = Number($("limit").value) / words.perUnit();
  words.setUnit(Number($("unit").value));
  if ($("limit").value !== "") $("limit").value = String(Number((before * words.perUnit()).toPrecision(6)));
  readout();
  for (const one of [left, right, replayed]) one.recount();
  if (shown) seek();
  compare();
});
$("past-text").addEventListener("input", seek);
$("past-score").addEventListener("change", seek);
$("past-form").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["by-lambda", "by-limit"]) $(id).addEventListener("change", () => { readout(); again(); });
$("against").addEventListener("change", () => { if (asked) design(); });
$("run-both").addEventListener("click", () => { left.run(); right.run(); });
$("more-examples").addEventListener("click", () => {
  const [first] = $("examples").querySelectorAll("li[hidden]");
  for (const item of $("examples").children) item.hidden = false;
  $("more-examples").hidden = true;
  first.firstElementChild.focus();
});
$("more").addEventListener("click", more);
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.setKey($("key").value);
  start();
});
addEventListener("hashchange", route);
wide.addEventListener("change", compare);
right.root.hidden = true;
start();
