// Numbers and designs in words; nothing here touches the page.

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** USD with two significant digits and at least cents: $12.30, $0.42, $0.00078. */
export function usd(x) {
  if (x === 0) return "$0";
  const digits = x >= 0.1 ? 2 : Math.min(12, 1 - Math.floor(Math.log10(x)));
  return `$${x.toFixed(digits)}`;
}

let per = 1000;

/** Choose the one unit of all costs: 1 for USD per question, 1000 for USD per 1,000 questions. */
export function setUnit(questions) {
  per = questions;
}

export const perUnit = () => per;
export const unit = () => (per === 1 ? "per question" : "per 1,000 questions");

/** USD for one question, in the unit that was chosen. */
export const cost = (x) => usd(x * per);

export const seconds = (x) => (x < 1 ? `${Math.round(x * 1000)} ms` : `${x.toFixed(1)} s`);
export const number = (x) => Number(x.toPrecision(2)).toString();
export const score = (x) => x.toFixed(2);

/** 1; 1 and 2; 1, 2 and 3. */
export function list(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** The design of the server's JSON (schema version 1), with what may be left out put in. */
export function readDesign(json) {
  return {
    agents: json.agents.map((a) => ({ operator: "answer", ...a, gate: a.gate ?? null })),
    spatial: (json.spatial ?? []).map((e) => ({ ...e, rounds: e.rounds ?? [] })),
    temporal: (json.temporal ?? []).map((e) => ({ ...e, rounds: e.rounds ?? [] })),
    rounds: json.num_rounds ?? 1,
    decision: { weights: [], judge: null, ...json.decision },
  };
}

export const holds = (edge, round) => edge.rounds.length === 0 || edge.rounds.includes(round);

/** Whether a gate never silences: the agent waits for those that it watches, and then speaks. */
export const onlyWaits = (gate) => gate.quorum > gate.watch.length;

/** Agents that nothing tells apart: a list for each kind, in the order of their first. */
export function stacks(design) {
  const at = (edges, end, other, i) => edges.filter((e) => e[end] === i).map((e) => `${e[other]}@${e.rounds}`).sort().join();
  const watched = (i) => design.agents.flatMap((a, j) => (a.gate?.watch.includes(i) ? [j] : [])).join();
  const found = new Map();
  design.agents.forEach((a, i) => {
    const gate = a.gate ? `${a.gate.watch}/${a.gate.quorum}` : "";
    const ties = ["spatial", "temporal"].flatMap((kind) => [at(design[kind], "dst", "src", i), at(design[kind], "src", "dst", i)]);
    const judge = design.decision.judge === i;
    const key = JSON.stringify([a.role, a.llm, a.operator, gate, ties, watched(i), design.decision.weights[i] ?? null, judge]);
    found.set(key, [...(found.get(key) ?? []), i]);
  });
  return [...found.values()];
}

/** 1–3, or 1, 3 and 4. */
export function range(agents) {
  const row = agents.every((a, k) => a === agents[0] + k);
  return row && agents.length > 2 ? `${agents[0] + 1}–${agents.at(-1) + 1}` : list(agents.map((i) => i + 1));
}

/** The agents whose last words can become the answer. */
export function deciders({ agents, decision }) {
  const all = agents.map((_, i) => i);
  if (decision.kind === "judge") return [decision.judge];
  if (decision.kind === "vote") return all;
  if (decision.kind === "weighted_vote") return all.filter((i) => decision.weights[i] !== 0);
  const speaks = all.findLast((i) => agents[i].gate === null || onlyWaits(agents[i].gate)) ?? 0;
  return all.slice(speaks); // a silent last agent leaves the word to the one before
}

/** The turns that a turn waits for, as [agent, round]. */
export function waitsFor(design, agent, round) {
  const before = [];
  for (const e of design.spatial) if (e.dst === agent && holds(e, round)) before.push([e.src, round]);
  for (const w of design.agents[agent].gate?.watch ?? []) before.push([w, round]);
  if (round > 1) {
    before.push([agent, round - 1]);
    for (const e of design.temporal) if (e.dst === agent && holds(e, round)) before.push([e.src, round - 1]);
  }
  return before;
}

export function decisionWords({ agents, decision }) {
  switch (decision.kind) {
    case "vote":
      return "majority vote";
    case "weighted_vote":
      return "weighted vote";
    case "judge":
      return `agent ${decision.judge + 1} decides`;
    default:
      return agents.length === 1 ? "its answer" : "last to speak decides";
  }
}

const numbers = (edges) => list(edges.map((e) => `${e.src + 1}${e.rounds.length ? ` (round ${list(e.rounds)})` : ""}`));

/** What ties an agent to the others, as a few sentences. */
export function agentWords(design, i) {
  const out = [];
  const spatial = design.spatial.filter((e) => e.dst === i);
  const temporal = design.temporal.filter((e) => e.dst === i);
  const gate = design.agents[i].gate;
  if (spatial.length) out.push(`hears ${numbers(spatial)}`);
  if (temporal.length) out.push(`hears ${numbers(temporal)} from the round before`);
  if (gate) {
    const watch = list(gate.watch.map((w) => w + 1));
    out.push(
      onlyWaits(gate)
        ? `waits for ${watch}`
        : gate.watch.length === 1
        ? `speaks only if ${watch} gives no readable answer`
        : `speaks only while fewer than ${gate.quorum} of ${watch} agree`,
    );
  }
  if (design.decision.kind === "weighted_vote") out.push(`its vote weighs ${number(design.decision.weights[i])}`);
  return out.length ? out.join("; ") : "hears nobody";
}

/** A link that opens a question and its team: all of it stands in the part that no server gets. */
export function linkTo(what) {
  const bytes = new TextEncoder().encode(JSON.stringify(what));
  const text = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  return `${location.origin}${location.pathname}#team=${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** What a link holds; null where it holds none. */
export function linked(hash) {
  const [, text] = /^#team=([\w-]+)$/.exec(hash) ?? [];
  if (text === undefined) return null;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const { question, design } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof question !== "string") return null;
    const { agents, spatial, temporal } = readDesign(design);
    const there = (i) => Number.isInteger(i) && i >= 0 && i < agents.length;
    const whole = agents.length > 0 && agents.length <= 256 && agents.every((a) => typeof a.role === "string" && typeof a.llm === "string");
    return whole && [...spatial, ...temporal].every((e) => there(e.src) && there(e.dst)) ? { question, design } : null;
  } catch {
    return null;
  }
}

export const percent = (x) => `${Math.round(100 * x)} %`;

/** agents 1 and 2. */
export const agentNumbers = (agents) => `${agents.length === 1 ? "agent" : "agents"} ${list(agents.map((i) => i + 1))}`;

/** What a team that goes on deciding does, and why; `first` agents were asked before. */
export function moveWords(move, first) {
  const why = move.reason ? `: ${move.reason}` : "";
  if (move.kind === "stop") return `Stop${move.probability === null ? "" : `, right with ${percent(move.probability)}`}${why}`;
  if (move.kind === "design") return teamWords(readDesign(move.design));
  const who = move.agents.map((a, i) => {
    const heard = move.hears[i]?.length ? ` hearing ${list(move.hears[i].map((j) => j + 1))}` : "";
    return `${first + i + 1} ${a.role} on ${a.llm}${heard}`;
  });
  return `Ask ${list(who)}${why}`;
}

/** The whole team in one sentence, for those who do not see the picture. */
export function teamWords(design) {
  const who = design.agents.map((a, i) => `${i + 1} ${a.role} on ${a.llm}`);
  return `Team of ${plural(design.agents.length, "agent")}, ${plural(design.rounds, "round")}, ${decisionWords(design)}: ${list(who)}.`;
}
