// One team: its picture, its words, its run. Live runs and replays come through the same door: turns, then an end.

import * as api from "./api.js";
import { Copies } from "./copies.js";
import { el, fact, figures as inARow } from "./dom.js";
import { Graph } from "./graph.js";
import * as words from "./words.js";

const SPEEDS = [0.5, 1, 2, 4];
const PACE = 220; // ms between two messages of a run, so that the eye can follow where agents take no time
const still = matchMedia("(prefers-reduced-motion: reduce)");
const BETWEEN_TURNS = [700, 2600]; // ms a replay waits for the next turn: at least so that one can follow, at most

export class Panel {
  #stop = null; // aborts the run under way
  #timer = null; // of a replay under way

  /**
   * @param {object} options
   * @param {string} options.name What readers of the screen call it.
   * @param {(llm: string) => string} options.llmColor CSS variable of an LLM's colour.
   * @param {(llm: string) => string | null} options.llmPrice Its price in words.
   * @param {(text: string) => void} options.say Announces to readers of the screen.
   * @param {() => void} options.changed Called when figures changed.
   */
  constructor({ name, llmColor, llmPrice, say, changed }) {
    Object.assign(this, { name, llmColor, llmPrice, say, changed });
    this.title = el("h2", { tabindex: "-1" }, name);
    this.facts = el("p", { class: "facts" });
    this.expected = el("dl", { class: "figures expected" });
    this.picture = el("div", { class: "graph", role: "img" });
    this.legend = el("ul", { class: "legend", "aria-label": "Legend" });
    this.team = el("ol", { class: "team", "aria-label": "The team in words" });
    this.tree = el("div", { class: "tree", hidden: true });
    this.waves = el("ol", { class: "waves", "aria-label": "What was decided on the way", hidden: true });
    this.runButton = el("button", { type: "button", class: "primary", onclick: () => this.run() }, "Run this team");
    this.stopButton = el("button", { type: "button", hidden: true, onclick: () => this.stop() }, "Stop");
    this.progress = el("progress", { max: "1", value: "0", "aria-label": "Turns taken" });
    this.totals = el("dl", { class: "figures totals" });
    this.shares = el("div", { class: "shares", role: "img" });
    this.messages = el("ol", { class: "messages", "aria-label": "What the agents said" });
    this.answer = el("div", { class: "answer", hidden: true });
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    this.replay = this.#replayControls();
    this.copies = new Copies({ team: () => ({ question: this.question, design: this.json }), say, fail: (message) => this.fail(message) });
    this.runBox = el("div", { class: "run" }, this.runButton, this.stopButton);
    this.talk = el(
      "div",
      { class: "talk", hidden: true },
      this.progress,
      this.totals,
      this.shares,
      this.answer,
      this.waves,
      this.replay,
      this.messages,
    );
    this.root = el(
      "section",
      { class: "panel", "aria-label": name },
      el(
        "div",
        { class: "columns" },
        el("div", { class: "plan" }, el("header", {}, this.title, this.facts), this.expected, this.picture, this.legend),
        el("div", { class: "side" }, el("h3", {}, "The team in words"), this.team, this.tree, this.copies.root, this.runBox, this.error, this.talk),
      ),
    );
    this.graph = new Graph(this.picture);
  }

  #replayControls() {
    this.playButton = el("button", { type: "button", onclick: () => (this.#timer ? this.pause() : this.play()) }, "Replay");
    this.stepButton = el("button", { type: "button", onclick: () => this.step() }, "Step");
    this.startButton = el("button", { type: "button", onclick: () => this.#seek(0) }, "To the start");
    this.position = el("input", {
      type: "range", min: "0", max: "1", value: "0", step: "1", "aria-label": "Turn of the replay",
      oninput: () => this.#seek(Number(this.position.value)),
    });
    this.speed = el("select", { "aria-label": "Speed of the replay" }, ...SPEEDS.map((s) => el("option", { value: String(s), selected: s === 1 }, `${s}×`)));
    return el("div", { class: "replay", role: "group", "aria-label": "Replay", hidden: true }, this.playButton, this.stepButton, this.startButton, this.position, this.speed);
  }

  // ------------------------------------------------------------------ the team

  /** Show a designed team; a run of the team before ends. */
  show({ title, json, question, expected = null, facts = () => [], tree = null, budget = null }) {
    this.stop();
    this.pause();
    const order = budget ? { question, ...budget } : { question, design: json };
    Object.assign(this, { order, question, expectedFigures: expected, turns: [], at: 0, done: null, running: false });
    this.title.textContent = title;
    this.planned = facts;
    this.copies.reset();
    this.#showFacts();
    this.#draw(json, tree ? "its first wave" : null);
    this.#showTree(tree);
    this.fail(null);
    this.talk.hidden = true;
    this.answer.hidden = true;
    this.replay.hidden = true;
    this.messages.replaceChildren();
    this.runBox.hidden = false;
    this.#buttons();
    this.changed();
  }

  #showFacts() {
    const facts = this.planned();
    this.expected.replaceChildren(...facts.map(([name, value]) => fact(name, value)));
    this.expected.hidden = facts.length === 0;
  }

  /** Say all costs in the unit that was chosen by now. */
  recount() {
    if (!this.design) return;
    this.#showFacts();
    this.messages.replaceChildren(...this.turns.slice(0, this.at).map((turn) => this.#message(turn)));
    this.#paint();
  }

  /** Show who takes part and who hears whom; a team that goes on deciding grows by this. */
  #draw(json, stage = null) {
    const design = words.readDesign(json);
    this.design = design;
    this.json = json;
    const facts = [words.plural(design.agents.length, "agent"), words.plural(design.rounds, "round"), stage ?? words.decisionWords(design)];
    this.facts.replaceChildren(...facts.map((t) => el("span", {}, t)));
    this.picture.setAttribute("aria-label", `${words.teamWords(design)} The list below says the same in words.`);
    this.graph.show(design, this.llmColor);
    this.#showLegend();
    this.#showTeam();
  }

  /** What a team that goes on deciding may do, as far as it can tell. */
  #showTree(tree) {
    this.tree.hidden = !tree;
    if (!tree) return this.tree.replaceChildren();
    const branch = (node, first) => {
      const size = node.move.agents?.length ?? 0;
      const likely = node.when === "" ? null : el("span", { class: "muted" }, `${words.percent(node.probability)} ${node.when}: `);
      const below = node.branches.map((b) => branch(b, first + size));
      return el("li", {}, likely, words.moveWords(node.move, first), below.length ? el("ul", {}, ...below) : null);
    };
    this.tree.replaceChildren(el("h3", {}, "What may follow"), el("ul", {}, branch(tree, 0)));
  }

  #decide(event, data) {
    const note = event === "stop" ? words.moveWords(data, 0) : `Wave ${data.wave}, ${words.agentNumbers(data.agents)}${data.reason ? `: ${data.reason}` : ""}`;
    this.waves.hidden = false;
    this.waves.append(el("li", {}, note));
    this.say(note);
    if (event === "wave") this.#draw(data.design, "still deciding");
    this.#paint();
  }

  #showLegend() {
    const { agents, spatial, temporal } = this.design;
    const entries = [];
    const line = (kind, text) => entries.push(el("li", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text));
    if (spatial.length) line("spatial", "hears in the same round");
    if (temporal.length) line("temporal", "hears from the round before");
    if (agents.some((a) => a.gate && !words.onlyWaits(a.gate))) line("watch", "watches: speaks only if they do not agree");
    if (agents.some((a) => a.gate && words.onlyWaits(a.gate))) line("watch", "is asked later");
    for (const llm of new Set(agents.map((a) => a.llm))) {
      const price = this.llmPrice(llm);
      const dot = el("span", { class: `dot ${this.llmColor(llm)}`, "aria-hidden": "true" });
      entries.push(el("li", {}, dot, el("span", {}, llm), price ? el("span", { class: "muted" }, price) : null));
    }
    entries.push(el("li", { class: "muted" }, "(USD per 1M tokens in / out)"));
    this.legend.replaceChildren(...entries);
  }

  #showTeam() {
    this.rows = words.stacks(this.design).map((same) => {
      const [i] = same;
      const agent = this.design.agents[i];
      const state = el("span", { class: "state" });
      const how = agent.operator === "answer" ? agent.llm : `${agent.llm} · ${agent.operator}`;
      const times = same.length > 1 ? ` × ${same.length}` : "";
      const row = el(
        "li",
        {},
        el("span", { class: `badge ${this.llmColor(agent.llm)}`, "aria-hidden": "true" }, words.range(same)),
        el("span", { class: "who" }, el("strong", {}, `${agent.role}${times}`), " ", el("span", { class: "muted" }, how)),
        el("span", { class: "ties" }, words.agentWords(this.design, i)),
        state,
      );
      return { row, state, same };
    });
    this.team.replaceChildren(...this.rows.map(({ row }) => row));
  }

  // ------------------------------------------------------------------ a run

  /** Run the team on its question; messages arrive as agents have spoken. */
  async run() {
    this.stop();
    this.pause();
    this.#reset([]);
    this.running = true;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.talk.hidden = false;
    this.replay.hidden = true;
    this.#buttons();
    this.#paint();
    this.say(`${this.title.textContent} runs.`);
    try {
      for await (const { event, data } of api.run(this.order, signal)) {
        if (signal.aborted) return; // what had come before the stop is not shown after it
        if (event === "turn") {
          this.#hear(data);
          if (!still.matches) await new Promise((on) => setTimeout(on, PACE));
        }
        if (event === "wave" || event === "stop") this.#decide(event, data);
        if (event === "error") throw new api.ApiError(data.message, 200);
        if (event === "done") {
          this.done = data;
          if (data.design) this.#draw(data.design);
        }
      }
      if (!this.done) throw new api.ApiError("The connection broke before the run ended.", 0);
    } catch (error) {
      if (signal.aborted) return; // whoever stopped it has shown something else
      if (!(error instanceof api.ApiError)) throw error;
      this.fail(error.message);
    }
    this.#ended();
  }

  stop() {
    if (!this.#stop) return;
    this.#stop.abort();
    this.#ended();
    this.say("Stopped.");
  }

  #ended() {
    this.#stop = null;
    this.running = false;
    const hadFocus = document.activeElement === this.stopButton;
    this.#buttons();
    if (hadFocus) this.runButton.focus();
    this.replay.hidden = this.turns.length === 0;
    this.talk.hidden = this.turns.length === 0;
    this.position.max = String(this.turns.length);
    this.#paint();
    if (this.done) this.say(`The answer of ${this.title.textContent} is ${this.done.answer ?? "not readable"}.`);
  }

  #buttons() {
    this.runButton.hidden = this.running;
    this.stopButton.hidden = !this.running;
    this.runButton.textContent = this.turns.length ? "Run again" : "Run this team";
  }

  #hear(turn) {
    this.turns.push(turn);
    this.at = this.turns.length;
    this.messages.append(this.#message(turn));
    this.#paint();
    const { role } = this.design.agents[turn.agent];
    this.say(`Agent ${turn.agent + 1}, ${role}, ${turn.error ? "failed" : turn.silent ? "stays silent" : "has spoken"}.`);
  }

  // ------------------------------------------------------------------ a replay

  /** Show a run that ended long ago, ready to be replayed. */
  load(past, { title, facts }) {
    this.show({ title, json: past.design, question: past.question, facts });
    this.runBox.hidden = true;
    const turns = [...past.turns].sort((a, b) => a.round - b.round || (a.end ?? 0) - (b.end ?? 0) || a.agent - b.agent);
    this.done = past;
    this.#reset(turns, past);
    this.talk.hidden = false;
    this.replay.hidden = false;
    this.position.max = String(turns.length);
    this.#seek(turns.length);
  }

  #reset(turns, done = null) {
    Object.assign(this, { turns, done, at: 0 });
    this.messages.replaceChildren();
    this.waves.replaceChildren();
    this.waves.hidden = true;
    this.fail(null);
  }

  play() {
    if (this.at >= this.turns.length) this.#seek(0);
    this.playButton.textContent = "Pause";
    this.#wait();
    this.#paint();
  }

  pause() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.playButton.textContent = "Replay";
  }

  #wait() {
    const spent = ((this.turns[this.at]?.end ?? 0) - (this.turns[this.at - 1]?.end ?? 0)) * 1000;
    const [least, most] = BETWEEN_TURNS;
    this.#timer = setTimeout(() => {
      this.step();
      if (this.at < this.turns.length) this.#wait();
      else this.pause();
      this.#paint();
    }, Math.min(most, Math.max(least, spent)) / Number(this.speed.value));
  }

  step() {
    if (this.at < this.turns.length) this.#seek(this.at + 1, true);
  }

  #seek(at, goesOn = false) {
    if (!goesOn) this.pause();
    while (this.at > at) {
      this.messages.lastElementChild.remove();
      this.at -= 1;
    }
    while (this.at < at) {
      this.messages.append(this.#message(this.turns[this.at]));
      this.at += 1;
    }
    this.#paint();
  }

  // ------------------------------------------------------------------ painting

  #paint() {
    const { design, turns, at } = this;
    const total = design.agents.length * design.rounds;
    const heard = turns.slice(0, at);
    const whole = !this.running && at === turns.length;
    this.progress.value = at / total;
    this.position.value = String(at);
    this.stepButton.disabled = at >= turns.length;
    this.startButton.disabled = at === 0;
    const sum = (name) => heard.reduce((s, t) => s + (t[name] ?? 0), 0);
    const known = heard.some((t) => t.prompt_tokens !== undefined && t.prompt_tokens !== null);
    const figures = known || !this.done ? { in: sum("prompt_tokens"), out: sum("completion_tokens"), usd: sum("usd") } : null;
    this.totals.replaceChildren(
      fact("Turns", `${at} of ${total}`),
      ...(figures
        ? [
            fact("Tokens in", figures.in.toLocaleString("en")),
            fact("Tokens out", figures.out.toLocaleString("en")),
            fact(`Cost ${words.unit()}`, words.cost(figures.usd)),
          ]
        : []),
    );
    this.#showShares(heard);
    this.#marks(heard, this.running || at < turns.length, whole);
    this.answer.hidden = !(whole && this.done);
    if (whole && this.done) this.#showAnswer();
    this.changed();
  }

  #marks(heard, under_way, whole) {
    const ended = new Map(heard.map((t) => [`${t.agent} ${t.round}`, t]));
    const states = this.design.agents.map((_, i) => {
      let round = 1;
      while (ended.has(`${i} ${round}`)) round += 1;
      const last = ended.get(`${i} ${round - 1}`);
      let state = last ? (last.error ? "failed" : last.silent ? "silent" : "spoken") : "waiting";
      const ready = words.waitsFor(this.design, i, round).every(([a, r]) => ended.has(`${a} ${r}`));
      if (under_way && round <= this.design.rounds && ready && (this.running || this.#timer)) state = "speaking";
      if (heard.length === 0 && !under_way) state = null;
      return { state, round };
    });
    for (const { row, state: text, same } of this.rows) {
      // a stack shows what is furthest: who thinks, then who failed, then the rest
      const i = ["speaking", "failed", "spoken", "silent", "waiting"].map((s) => same.find((a) => states[a].state === s)).find((a) => a !== undefined) ?? same[0];
      const { state, round } = states[i];
      this.graph.mark(same[0], state);
      row.dataset.state = state ?? "";
      const rounds = this.design.rounds > 1 && state === "speaking" ? ` in round ${round}` : "";
      const num = same.filter((a) => states[a].state === state).length;
      const some = state && num < same.length ? `${num} of ${same.length} ` : "";
      text.textContent = some + (state === "speaking" ? `thinks${rounds}` : (state ?? ""));
    }
    const decided = whole && this.done ? this.#decidedBy() : [];
    for (const { row, state, same } of this.rows) {
      const num = same.filter((i) => decided.includes(i)).length;
      if (num === 0) continue;
      this.graph.decided(same[0]);
      const some = num < same.length ? `${num} of ${same.length} ` : "";
      state.textContent = some + (this.votes ? "agrees" : "decided");
      row.dataset.state = "decided";
    }
  }

  /** Where the money went, by LLM. */
  #showShares(heard) {
    const spent = new Map();
    for (const t of heard) if (t.usd) spent.set(this.design.agents[t.agent].llm, (spent.get(this.design.agents[t.agent].llm) ?? 0) + t.usd);
    const all = [...spent.values()].reduce((a, b) => a + b, 0);
    this.shares.hidden = all === 0 || spent.size < 2;
    this.shares.setAttribute("aria-label", `Cost by LLM: ${[...spent].map(([llm, x]) => `${llm} ${Math.round((100 * x) / all)} %`).join(", ")}`);
    this.shares.replaceChildren(
      ...[...spent].map(([llm, x]) => {
        const part = el("span", { class: this.llmColor(llm), title: `${llm}: ${words.cost(x)} ${words.unit()}` });
        part.style.flexGrow = String(x / all);
        return part;
      }),
    );
  }

  get votes() {
    return this.design.decision.kind.endsWith("vote");
  }

  /** The agents whose last word is the answer; where one decides alone, that one. */
  #decidedBy() {
    const by = this.done.decided_by;
    if (by === null) return [];
    if (!this.votes && by !== undefined) return [by % this.design.agents.length]; // an index into the turns by round, then agent
    const last = new Map(this.turns.filter((t) => !t.silent && !t.error).sort((a, b) => a.round - b.round).map((t) => [t.agent, t.answer]));
    const those = words.deciders(this.design).filter((i) => last.has(i) && last.get(i) === this.done.answer);
    return this.votes ? those : those.slice(-1); // past runs do not say who it was
  }

  #message(turn) {
    const agent = this.design.agents[turn.agent];
    const figures = [];
    if (turn.prompt_tokens || turn.completion_tokens) {
      figures.push(`${turn.prompt_tokens.toLocaleString("en")} → ${turn.completion_tokens.toLocaleString("en")} tokens`);
    }
    if (turn.usd) figures.push(words.cost(turn.usd));
    if (turn.end - turn.start > 0.0005) figures.push(words.seconds(turn.end - turn.start));
    const item = el(
      "li",
      { class: `message ${this.llmColor(agent.llm)}` },
      el(
        "div",
        { class: "head" },
        el("span", { class: `badge ${this.llmColor(agent.llm)}` }, String(turn.agent + 1)),
        el("strong", {}, agent.role),
        el("span", { class: "muted" }, agent.llm),
        this.design.rounds > 1 ? el("span", { class: "tag" }, `round ${turn.round}`) : null,
        el("span", { class: "cost" }, ...inARow(figures)),
      ),
    );
    if (turn.error) {
      item.classList.add("bad");
      item.append(el("p", {}, `Its call failed: ${turn.error}`));
    } else if (turn.silent) {
      item.classList.add("quiet");
      item.append(el("p", {}, "Stays silent: the agents that it watches agree. It costs nothing."));
    } else {
      const text = el("p", { class: "text" }, turn.text ?? "Its words were not recorded.");
      if (turn.text === null || turn.text === undefined) text.classList.add("muted");
      item.append(text);
      if ((turn.text ?? "").length > 600) {
        text.classList.add("long");
        const more = el("button", { type: "button", class: "link", "aria-expanded": "false" }, "Show all");
        more.addEventListener("click", () => {
          const open = !text.classList.toggle("long");
          more.textContent = open ? "Show less" : "Show all";
          more.setAttribute("aria-expanded", String(open));
        });
        item.append(more);
      }
      item.append(el("p", { class: "reads" }, turn.answer === null ? "no readable answer" : "read as ", turn.answer === null ? null : el("strong", {}, turn.answer)));
    }
    return item;
  }

  #showAnswer() {
    const { done } = this;
    const by = this.#decidedBy();
    let whose = "";
    if (this.votes && by.length) whose = ` by ${words.decisionWords(this.design)}, with ${by.length} of ${words.plural(this.design.agents.length, "agent")}`;
    else if (by.length) whose = ` of agent ${by[0] + 1}, ${this.design.agents[by[0]].role}`;
    const figures = [];
    if (done.usd !== undefined) figures.push(`${words.cost(done.usd)} ${words.unit()}`);
    if (done.prompt_tokens !== undefined) figures.push(`${(done.prompt_tokens + done.completion_tokens).toLocaleString("en")} tokens`);
    if (done.calls !== undefined) figures.push(words.plural(done.calls, "call"));
    if (done.critical_path !== undefined) figures.push(`${done.critical_path} in a row`);
    if (done.seconds) figures.push(words.seconds(done.seconds));
    if (done.label) figures.push(done.label);
    const verdict = done.score === undefined || done.score === null ? null : done.score === 1 ? "right" : done.score === 0 ? "wrong" : `score ${words.score(done.score)}`;
    this.answer.replaceChildren(
      el("p", { class: "label" }, "Answer", el("span", { class: "muted" }, whose)),
      el("p", { class: "value" }, done.answer ?? "no readable answer", verdict ? el("span", { class: `verdict ${verdict}` }, verdict) : null),
      el("p", { class: "muted" }, ...inARow(figures)),
    );
  }

  fail(message) {
    this.error.hidden = message === null;
    this.error.textContent = message ?? "";
  }
}
