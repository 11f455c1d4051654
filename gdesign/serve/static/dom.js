// Builds elements. Whatever others wrote (questions, agents, LLMs, errors) enters as text, never as HTML.

/** `el("p", {class: "x", hidden: true, onclick: f}, "text", child)` */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** The same for a part of a picture in SVG, whose namespace the picture in the page tells. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(document.querySelector("svg").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Figures in a row, none of them broken over two lines. */
export const figures = (texts) => texts.flatMap((text, i) => [...(i ? [" · "] : []), el("span", { class: "whole" }, text)]);

/** A term and its value, for a `dl`. */
export const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
