// The pictures of the pages, gathered into one sprite when the front end is built.

// Names of lucide icons; a template asks for one with {% icon "settings" %}.
export const icons = [
  "arrow-down", "arrow-down-right", "arrow-left", "arrow-up", "arrow-up-right", "calendar", "check", "chevron-down",
  "chevron-left", "chevron-right", "chevrons-up-down", "copy", "globe",
  "key-round", "link", "log-out", "maximize-2", "monitor", "moon-star", "plus", "settings", "smartphone", "sun", "sun-moon",
  "bookmark", "list-filter", "search", "tablet", "trash-2", "user", "x",
];

// Names as the dashboard shows them, in lower case, to the name of the icon in simple-icons. What isn't here gets a letter.
export const brands = {
  google: "google", github: "github", "hacker news": "ycombinator", reddit: "reddit", duckduckgo: "duckduckgo",
  mastodon: "mastodon", perplexity: "perplexity", x: "x", twitter: "x", facebook: "facebook", youtube: "youtube",
  instagram: "instagram", bluesky: "bluesky", claude: "claude", gemini: "googlegemini", pinterest: "pinterest",
  tiktok: "tiktok", wikipedia: "wikipedia", "stack overflow": "stackoverflow", telegram: "telegram", whatsapp: "whatsapp",
  discord: "discord", gitlab: "gitlab", medium: "medium", qwant: "qwant", kagi: "kagi", startpage: "startpage",
  lobsters: "lobsters", "product hunt": "producthunt", ecosia: "ecosia", baidu: "baidu",
  chrome: "googlechrome", "chrome mobile": "googlechrome", chromium: "googlechrome", safari: "safari", "mobile safari": "safari",
  firefox: "firefoxbrowser", "firefox mobile": "firefoxbrowser", brave: "brave", opera: "opera", "opera mobile": "opera",
  vivaldi: "vivaldi", "duckduckgo mobile": "duckduckgo",
  macos: "apple", "mac os x": "apple", ios: "apple", ipados: "apple", linux: "linux", android: "android", ubuntu: "ubuntu",
  fedora: "fedora", debian: "debian",
};
