// Expected score against expected cost, as a small picture.

import { svg } from "./dom.js";
import * as words from "./words.js";

const [W, H, START, END, TOP, BOTTOM] = [340, 120, 34, 10, 12, 20]; // W and H stand in the page, too

/**
 * @param {HTMLElement} box Where it is drawn; hidden where there is nothing to be gained for money.
 * @param {{score: number, usd: number}[]} curve What is expected along the prices of cost; USD for 1,000 questions.
 * @param {{score: number, usd: number} | null} here Where one stands.
 */
export function drawCurve(box, curve, here) {
  const points = curve.filter((p) => p.score !== null).sort((a, b) => a.usd - b.usd);
  box.hidden = !(here && points.length > 1 && points.at(-1).usd > 1.02 * points[0].usd);
  if (box.hidden) return;
  const scores = points.map((p) => p.score);
  const [low, high] = [Math.min(...scores, Math.max(...scores) - 0.05), Math.max(...scores)];
  const along = points[0].usd > 0 ? Math.log : (x) => x;
  const [from, to] = [points[0], points.at(-1)].map((p) => along(p.usd));
  const x = (usd) => Math.min(W - END, Math.max(START, START + ((along(usd) - from) / (to - from)) * (W - START - END)));
  const y = (score) => TOP + ((high - score) / (high - low)) * (H - TOP - BOTTOM);
  const cost = (p) => words.cost(p.usd / 1000);
  const label = (text, at, up, anchor, kind = "") => svg("text", { x: at, y: up, "text-anchor": anchor, class: kind }, text);
  const [left, right] = [points[0], points.at(-1)];
  const place = x(here.usd);
  box.querySelector("svg").replaceChildren(
    svg("line", { class: "axis", x1: START, x2: W - END, y1: H - BOTTOM, y2: H - BOTTOM }),
    svg("polyline", { class: "line", points: points.map((p) => `${x(p.usd)},${y(p.score)}`).join(" ") }),
    svg("line", { class: "drop", x1: place, x2: place, y1: y(here.score), y2: H - BOTTOM }),
    svg("circle", { class: "at", cx: place, cy: y(here.score), r: 6 }),
    label(words.score(high), START - 6, TOP + 4, "end"),
    label(words.score(low), START - 6, H - BOTTOM, "end"),
    ...(place > START + 60 ? [label(cost(left), START, H - 5, "start")] : []),
    ...(place < W - END - 60 ? [label(cost(right), W - END, H - 5, "end")] : []),
    label(cost(here), Math.min(W - END - 24, Math.max(START + 24, place)), H - 5, "middle", "here"),
  );
  const at = (p) => `${words.score(p.score)} at ${cost(p)}`;
  box.setAttribute("aria-label", `Expected score by cost ${words.unit()}: from ${at(left)} to ${at(right)}; here ${at(here)}.`);
}
