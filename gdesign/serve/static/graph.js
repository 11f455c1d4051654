// A design as a picture. Positions and routes of edges are dagre's, the drawing is cytoscape's.

import cytoscape from "./vendor/cytoscape.js";
import dagre from "./vendor/cytoscape-dagre.js";
import { decisionWords, deciders, number, onlyWaits, range, stacks } from "./words.js";

dagre(cytoscape);
cytoscape.warnings(false); // of edges that cannot be drawn before their nodes are laid out

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const PAD = 10;
const NARROW = 480; // a box of a phone's width
const LARGEST = 1.12; // beyond its own size a small team looks coarse
const SMALLEST = 0.5; // below that nobody can read it: rather one scrolls what is then drawn at SCROLLED
const SCROLLED = 0.62;
const MOST_EDGES = 300; // more take seconds to lay out and show nothing

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const pen = document.createElement("canvas").getContext("2d");

function textWidth(text, font) {
  pen.font = `${font} ${FONT}`;
  return Math.ceil(pen.measureText(text).width);
}

function labels(agent, same) {
  const lines = [agent.operator === "answer" ? agent.llm : `${agent.llm} · ${agent.operator}`];
  if (agent.gate && onlyWaits(agent.gate)) lines.push("later");
  else if (agent.gate) lines.push(agent.gate.watch.length === 1 ? "only if unreadable" : `only if < ${agent.gate.quorum} agree`);
  return { name: `${range(same)}  ${agent.role}`, lines };
}

/** One width for all agents, so that long names fit and short ones leave room. */
function agentWidth(design) {
  const widths = stacks(design).map((same) => {
    const { name, lines } = labels(design.agents[same[0]], same);
    return Math.max(textWidth(name, "600 14px"), ...lines.map((line) => textWidth(line, "12px")));
  });
  return Math.min(230, Math.max(110, ...widths));
}

function elements(design, llmColor) {
  const out = [];
  const node = (id, classes, data) => out.push({ group: "nodes", data: { id, ...data }, classes });
  const end = (id, label) => node(id, "end", { label, width: textWidth(label, "12.5px") });
  const edge = (source, target, classes, label = "") =>
    out.push({ group: "edges", data: { id: `${classes} ${source} ${target}`, source, target, label }, classes });
  const rounds = (e) => (e.rounds.length ? `round ${e.rounds.join(", ")}` : "");

  const all = stacks(design);
  const first = new Map(all.flatMap((same) => same.map((i) => [i, same[0]])));
  const shown = (edges) => edges.filter((e) => first.get(e.src) === e.src && first.get(e.dst) === e.dst);
  const spatial = shown(design.spatial);
  const temporal = shown(design.temporal);
  end("question", "Question");
  all.forEach((same) => {
    const [i] = same;
    const agent = design.agents[i];
    const { name, lines } = labels(agent, same);
    const kind = `agent${agent.gate ? " gated" : ""}${same.length > 1 ? " stack" : ""}`;
    node(`a${i}`, kind, { label: name, llm: llmColor(agent.llm) });
    node(`s${i}`, "under", { label: lines.join("\n") });
  });
  end("answer", design.agents.length === 1 ? "Answer" : decisionWords(design));

  // First, because agents stand in the order in which the layout meets them.
  for (const [i] of all) {
    if (!design.agents[i].gate && !design.spatial.some((e) => e.dst === i)) edge("question", `a${i}`, "flow");
  }
  for (const e of spatial) edge(`a${e.src}`, `a${e.dst}`, "spatial", rounds(e));
  const back = (e) => temporal.find((o) => o.src === e.dst && o.dst === e.src && rounds(o) === rounds(e));
  for (const e of temporal) {
    // Two that hear each other share a line with two heads.
    if (back(e) === undefined) edge(`a${e.src}`, `a${e.dst}`, "temporal", rounds(e));
    else if (e.src < e.dst) edge(`a${e.src}`, `a${e.dst}`, "temporal both", rounds(e));
  }
  for (const [i] of all) {
    for (const w of new Set((design.agents[i].gate?.watch ?? []).map((j) => first.get(j)))) edge(`a${w}`, `a${i}`, "watch");
  }
  for (const i of new Set(deciders(design).map((j) => first.get(j)))) {
    const { kind, weights } = design.decision;
    edge(`a${i}`, "answer", "flow", kind === "weighted_vote" ? `× ${number(weights[i])}` : "");
  }
  return out;
}

function style(width, room) {
  const routed = {
    "curve-style": "unbundled-bezier",
    "control-point-weights": (e) => e.scratch("controlPointWeights") ?? [0.5],
    "control-point-distances": (e) => e.scratch("controlPointDistances") ?? [0],
    "edge-distances": "intersection",
  };
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const moves = still ? {} : { "transition-property": "outline-opacity, opacity", "transition-duration": 350 };
  return [
    { selector: "core", style: { "active-bg-opacity": 0, "selection-box-opacity": 0 } },
    {
      selector: "node",
      style: { "font-family": FONT, color: color("ink"), "text-valign": "center", "text-halign": "center", "overlay-opacity": 0, events: "no" },
    },
    {
      selector: ".agent",
      style: {
        shape: "round-rectangle", "corner-radius": 9, width: width + room, height: 54, events: "yes",
        "background-color": color("card"), "border-width": 2, "border-color": "data(llm)", "border-position": "inside",
        label: "data(label)", "font-size": 14, "font-weight": 600, "text-margin-y": -9, "text-wrap": "ellipsis", "text-max-width": width + 4,
        "outline-color": "data(llm)", "outline-opacity": 0, "outline-width": 6, "outline-offset": 1, ...moves,
      },
    },
    { selector: ".stack", style: { ghost: "yes", "ghost-offset-x": 5, "ghost-offset-y": 5, "ghost-opacity": 0.55 } },
    { selector: ".gated", style: { height: 70, "text-margin-y": -18, "border-style": "dashed" } },
    {
      selector: ".under",
      style: {
        shape: "rectangle", width: 20, height: 12, "background-opacity": 0, "border-width": 0, label: "data(label)", "font-size": 12,
        "line-height": 1.25, color: color("muted"), "text-wrap": "wrap", "text-max-width": width + room, "z-index": 5, ...moves,
      },
    },
    {
      selector: ".end",
      style: {
        shape: "round-rectangle", "corner-radius": 15, width: "data(width)", height: 16, padding: 8, "background-color": color("quiet"),
        "border-width": 0, label: "data(label)", "font-size": 12.5, color: color("muted"),
      },
    },
    {
      selector: "edge",
      style: {
        ...routed, width: 1.8, "line-color": color("edge"), "target-arrow-color": color("edge"), "target-arrow-shape": "triangle",
        "arrow-scale": 1, "overlay-opacity": 0, events: "no", label: "data(label)", "font-family": FONT, "font-size": 11, color: color("muted"),
        "text-background-color": color("card"), "text-background-opacity": 1, "text-background-padding": 2, ...moves,
      },
    },
    { selector: ".flow", style: { width: 1.3, "line-color": color("line"), "target-arrow-color": color("line"), "arrow-scale": 0.8 } },
    {
      selector: ".watch",
      style: {
        "line-style": "dashed", "line-dash-pattern": [7, 5], "line-color": color("watch"), "target-arrow-color": color("watch"),
        "target-arrow-shape": "circle", "target-arrow-fill": "hollow",
      },
    },
    {
      selector: ".temporal",
      style: {
        "line-style": "dashed", "line-dash-pattern": [1, 6], "line-cap": "round", width: 2.4, "line-color": color("temporal"), "target-arrow-color": color("temporal"),
        "target-arrow-shape": "vee", "arrow-scale": 1.15, "edge-distances": "node-position", "control-point-weights": [0.5], "control-point-distances": (e) => e.scratch("bow") ?? [40],
      },
    },
    { selector: ".both", style: { "source-arrow-shape": "vee", "source-arrow-color": color("temporal") } },
    { selector: ".waiting", style: { opacity: 0.45 } },
    { selector: ".speaking", style: { "outline-opacity": 0.6 } },
    { selector: ".speaking.pulse", style: { "outline-opacity": 0.2 } },
    { selector: ".agent.spoken", style: { "background-color": "data(llm)", "background-opacity": 0.13 } },
    { selector: ".silent", style: { opacity: 0.4, "border-style": "dotted" } },
    { selector: ".failed", style: { "border-color": color("bad"), "border-width": 3 } },
    { selector: ".decided", style: { "outline-color": color("good"), "outline-opacity": 1, "outline-width": 3, "outline-offset": 3 } },
    { selector: "edge.far", style: { opacity: 0.15 } },
    { selector: ".under.waiting, .under.silent", style: { opacity: 0.5 } },
  ];
}

export class Graph {
  /** @param {HTMLElement} box Where it is drawn; it grows to what the drawing needs. */
  constructor(box) {
    this.box = box;
    this.sheet = document.createElement("div");
    this.note = document.createElement("p");
    this.note.className = "muted";
    box.append(this.note, this.sheet);
    this.cy = null;
    this.width = 0;
    new ResizeObserver(() => {
      if (this.cy && Math.abs(box.clientWidth - this.width) > 1) requestAnimationFrame(() => this.#place());
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    setInterval(() => still.matches || this.cy?.nodes(".speaking").toggleClass("pulse"), 600);
  }

  /** Draw a design. `llmColor` gives the CSS variable of an LLM's colour. */
  show(design, llmColor) {
    this.design = design;
    this.llmColor = llmColor;
    this.draw();
  }

  draw() {
    if (!this.design) return;
    const states = this.cy ? this.cy.nodes().map((n) => [n.id(), n.classes()]) : [];
    const same = this.cy && this.drawn === this.design;
    this.cy?.destroy();
    this.cy = null;
    const edges = this.design.spatial.length + this.design.temporal.length;
    const gates = this.design.agents.reduce((sum, agent) => sum + (agent.gate?.watch.length ?? 0), 0);
    const drawable = edges + gates + this.design.agents.length <= MOST_EDGES;
    this.note.textContent = drawable ? "" : "This team is too large for a picture; the words say who hears whom.";
    this.sheet.hidden = !drawable;
    this.box.removeAttribute("tabindex");
    if (!drawable) return;
    this.cy = cytoscape({
      container: this.sheet,
      elements: elements(this.design, (llm) => color(this.llmColor(llm))),
      style: style(agentWidth(this.design), this.box.clientWidth < NARROW ? 14 : 28),
      layout: { name: "preset" },
      userZoomingEnabled: false,
      userPanningEnabled: false,
      boxSelectionEnabled: false,
      autoungrabify: true,
      autounselectify: true,
    });
    if (same) for (const [id, classes] of states) this.cy.getElementById(id).classes(classes);
    this.drawn = this.design;
    this.cy.on("mouseover", ".agent", ({ target }) => {
      const near = target.connectedEdges();
      this.cy.edges().difference(near).addClass("far");
    });
    this.cy.on("mouseout", ".agent", () => this.cy.edges().removeClass("far"));
    this.#place();
  }

  /** Lay out, in the direction in which the team can be drawn larger, and take the height it needs. */
  #place() {
    const { cy, box } = this;
    if (!cy || cy.destroyed() || !box.clientWidth) return;
    this.width = box.clientWidth;
    const room = { w: box.clientWidth - 2 * PAD, h: Math.max(380, Math.min(620, box.clientWidth * 1.5)) };
    const scales = ["LR", "TB"].map((direction) => {
      const { w, h } = this.#layout(direction);
      const zoom = Math.min(LARGEST, room.w / w, room.h / h);
      return zoom < SMALLEST ? Math.min(SCROLLED, room.w / w) : zoom; // a long way down is better than one to the side
    });
    if (scales[0] >= scales[1] - 0.02) this.#layout("LR");
    const best = Math.max(...scales);
    const zoom = best < SMALLEST ? SCROLLED : best;
    const bounds = cy.elements().boundingBox({ includeOverlays: false });
    const wide = Math.ceil(bounds.w * zoom) + 2 * PAD;
    this.sheet.style.height = `${Math.ceil(bounds.h * zoom) + 2 * PAD}px`;
    this.sheet.style.width = wide > box.clientWidth ? `${wide}px` : "";
    if (wide > box.clientWidth) box.tabIndex = 0; // so that the keyboard scrolls it
    else box.removeAttribute("tabindex");
    cy.resize();
    cy.zoom(zoom);
    cy.center();
  }

  #layout(direction) {
    const { box, cy } = this;
    // Who hears whom a round later says nothing of the order within a round, which is what the layout shows.
    cy.elements()
      .not(".temporal, .under")
      .layout({
        name: "dagre", rankDir: direction, nodeSep: box.clientWidth < NARROW ? 16 : 26, edgeSep: 14, rankSep: direction === "LR" ? 54 : 40,
        fit: false, useDagreEdgeControlPoints: true,
      })
      .run();
    this.#inReadingOrder(direction === "LR" ? "y" : "x");
    for (const under of cy.nodes(".under")) {
      const agent = cy.getElementById(under.id().replace("s", "a"));
      under.position({ x: agent.position("x"), y: agent.position("y") + (agent.hasClass("gated") ? 10 : 11) });
    }
    const agents = cy.nodes(".agent");
    const middle = { x: 0, y: 0 };
    for (const node of agents) {
      middle.x += node.position("x") / agents.length;
      middle.y += node.position("y") / agents.length;
    }
    for (const e of cy.edges(".temporal")) {
      const [a, b] = [e.source().position(), e.target().position()];
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const upright = Math.abs(dy) / Math.hypot(dx, dy); // nodes are wide: round one above the other the way is longer
      // The side of the line on which the middle of the team does not lie; one that has a partner keeps its own side.
      const inside = dx * (middle.y - a.y) - dy * (middle.x - a.x) > 0;
      const side = e.hasClass("both") && inside ? -1 : 1;
      e.scratch("bow", [side * (42 + 78 * upright + 0.16 * Math.hypot(dx, dy))]);
    }
    cy.style().update();
    return cy.elements().boundingBox({ includeOverlays: false });
  }

  /** Mirror the layout, which has no preference, where that brings lower numbers first. */
  #inReadingOrder(axis) {
    const { cy } = this;
    const places = cy.nodes(".agent").map((node) => node.position(axis));
    const mean = places.reduce((a, b) => a + b, 0) / places.length;
    if (places.reduce((sum, place, i) => sum + i * (place - mean), 0) >= 0) return;
    cy.nodes().not(".under").positions((node) => ({ ...node.position(), [axis]: -node.position(axis) }));
    for (const e of cy.edges()) {
      const distances = e.scratch("controlPointDistances");
      if (distances) e.scratch("controlPointDistances", distances.map((d) => -d));
    }
  }

  /** Mark what an agent does: waiting, speaking, spoken, silent, failed; null for nothing. */
  mark(agent, state) {
    for (const id of [`a${agent}`, `s${agent}`]) {
      const node = this.cy?.getElementById(id);
      node?.removeClass("waiting speaking pulse spoken silent failed decided");
      if (state) node?.addClass(state);
    }
  }

  decided(agent) {
    this.cy?.getElementById(`a${agent}`).addClass("decided");
  }
}
