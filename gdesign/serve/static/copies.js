// What takes a team elsewhere: into another program, or to another reader by a link.

import * as api from "./api.js";
import { el } from "./dom.js";
import * as words from "./words.js";

const FORMATS = ["Mermaid", "JSON", "Python"];
const FLASH = 1500; // ms that a button says what it did

export class Copies {
  /**
   * @param {object} options
   * @param {() => {question: string, design: object}} options.team What is copied.
   * @param {(text: string) => void} options.say Announces to readers of the screen.
   * @param {(message: string | null) => void} options.fail Shows what went wrong.
   */
  constructor({ team, say, fail }) {
    Object.assign(this, { team, say, fail });
    const button = (name, make) => {
      const made = el("button", { type: "button", class: "link", onclick: () => this.#copy(made, name, make) }, name);
      return made;
    };
    this.text = el("textarea", { readonly: true, rows: "8", "aria-label": "Text to copy", hidden: true });
    this.root = el(
      "div",
      { class: "copies", role: "group", "aria-label": "Copy this team" },
      el("span", { class: "muted" }, "Copy as"),
      ...FORMATS.map((name) => button(name, () => api.exported(this.team().design, name.toLowerCase()))),
      button("Link", async () => words.linkTo(this.team())),
      this.text,
    );
  }

  reset() {
    this.text.hidden = true;
  }

  async #copy(button, name, make) {
    this.reset();
    this.fail(null);
    let text;
    try {
      text = await make();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.fail(error.message);
      return;
    }
    try {
      await navigator.clipboard.writeText(text);
      this.say(`${name} copied.`);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = name; }, FLASH);
    } catch {
      // a page without TLS has no clipboard, and a browser may allow none: the text is there to be taken
      this.text.hidden = false;
      this.text.value = text;
      this.text.select();
    }
  }
}
