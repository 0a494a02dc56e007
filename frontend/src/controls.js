// Small things a person touches: menus that close, the theme, copying, and how long ago the page was news.
const MENUS = "details:has(> .menu-panel)";

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(MENUS)) {
    if (!menu.open) continue;
    if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(MENUS)) {
    if (!menu.open) continue;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault(); // a dialog around it stays
  }
});

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "as the system", light: "light", dark: "dark" };

class Theme extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("[data-theme-button]");
    this.button.addEventListener("click", () => this.set(NEXT[this.theme]));
    this.name();
  }

  get theme() {
    return document.documentElement.dataset.theme ?? "auto";
  }

  set(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === "auto") localStorage.removeItem("haru-theme");
      else localStorage.setItem("haru-theme", theme);
    } catch {
      // Storage is forbidden: the choice holds for this page.
    }
    this.name();
    document.dispatchEvent(new CustomEvent("haru:theme"));
  }

  name() {
    this.button.title = `Theme: ${NAMES[this.theme]}`;
    this.button.setAttribute("aria-label", this.button.title);
  }
}

class Copy extends HTMLElement {
  connectedCallback() {
    this.querySelector("[data-copy-button]").addEventListener("click", (event) => this.copy(event.currentTarget));
  }

  async copy(button) {
    const code = this.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code); // not allowed here: selected, it is one key away
      return;
    }
    const label = button.lastChild;
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = before), 2000);
  }
}

// Adds a line to a text area, once.
class AddLine extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").addEventListener("click", () => this.add(document.getElementById(this.dataset.to)));
  }

  add(area) {
    const lines = area.value.split("\n").filter((line) => line.trim());
    if (!lines.includes(this.dataset.line)) area.value = [...lines, this.dataset.line].join("\n");
    area.focus();
  }
}

// A dialog that was fetched: it opens when it comes and is gone when it closes; focus goes back to where it came from.
let opener;
let leaving = false;
document.addEventListener("click", ({ target }) => {
  const link = target.closest("[hx-target='#dialog']");
  // A link of a menu is hidden again when the dialog closes: its menu stands for it.
  if (link && !link.closest("dialog")) opener = link.closest("details")?.querySelector("summary") ?? link;
});

class Dialog extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.dialog.addEventListener("close", () => this.leave());
    this.dialog.addEventListener("click", (event) => {
      if (event.target !== this.dialog && !event.target.closest("[data-close]")) return;
      event.preventDefault();
      this.dialog.close();
    });
    this.dialog.showModal();
  }

  leave() {
    this.remove();
    // One with an address of its own is an entry of the history, which goes with it.
    if (!("entry" in this.dataset) || this.passed) return;
    leaving = true;
    history.back();
  }

  // The back button was pressed: the entry has gone already.
  pass() {
    this.passed = true;
    this.dialog.close();
  }

  disconnectedCallback() {
    // After the swap that may have taken the dialog away.
    setTimeout(() => opener?.isConnected && !document.querySelector("dialog[open]") && opener.focus());
  }
}

// The dashboard below a dialog is as it was: nothing needs to be loaded again when the dialog goes.
addEventListener("popstate", (event) => {
  const dialog = document.querySelector("haru-dialog[data-entry]");
  if (!dialog && !leaving) return;
  event.stopImmediatePropagation();
  leaving = false;
  dialog?.pass();
}, true);

let refreshed = Date.now();
document.addEventListener("htmx:after:swap", () => (refreshed = Date.now()));

class Age extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.tell(), 1000);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  tell() {
    const seconds = Math.round((Date.now() - refreshed) / 1000);
    this.textContent = seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
  }
}

customElements.define("haru-theme", Theme);
customElements.define("haru-copy", Copy);
customElements.define("haru-add-line", AddLine);
customElements.define("haru-dialog", Dialog);
customElements.define("haru-age", Age);
