// Runs in <head>, before the first paint, so that no page flashes in the wrong theme.
// What a person chose is "light" or "dark" in localStorage; nothing there means: as the system has it.
const root = document.documentElement;
root.classList.add("js");
try {
  const chosen = localStorage.getItem("haru-theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
} catch {
  // Storage is forbidden: the system's theme it is.
}
