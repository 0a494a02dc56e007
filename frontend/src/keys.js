// Single keys lead to what links and menus lead to. Whoever is in their way (WCAG 2.1.4) turns them off.
const OFF = "haru-keys";

function isOn() {
  try {
    return localStorage.getItem(OFF) !== "off";
  } catch {
    return true; // storage is forbidden: they hold for this page
  }
}

function turn(on) {
  try {
    if (on) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "off");
  } catch {
    // They stay as they are.
  }
}

const keys = () => document.getElementById("keys");

function show() {
  keys().querySelector("[data-keys-switch]").checked = isOn();
  keys().showModal();
}

function openMenu() {
  const menu = document.getElementById("pick-filter");
  menu.open = true;
  menu.querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  if (!keys() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.repeat) return;
  if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]") || !isOn()) return;
  const link = document.querySelector(`a[data-key="${CSS.escape(event.key.toUpperCase())}"]`);
  if (event.key === "?") show();
  else if (event.key === "/") openMenu();
  else if (link) link.click();
  else return;
  event.preventDefault();
});

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-keys-open]")) show();
  else if (target.closest("[data-keys-close]") || target === keys()) keys().close();
  else if (target.matches("[data-keys-switch]")) turn(target.checked);
});
