// Builds everything a browser loads into src/haru/web/static/build. Run with `npm run build`; `npm run watch` goes on.
import { execFileSync, spawn } from "node:child_process";
import { cp, copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { brands, icons } from "./icons.js";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../src/haru/web/static/build");
const modules = join(here, "node_modules");
const watch = process.argv.includes("--watch");
const TRACKER_LIMIT = 2000; // bytes, uncompressed

async function main() {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await Promise.all([scripts(), sprite(), flags(), font()]);
  styles();
  if (!watch) await compress();
}

// Beside each larger file that shrinks by much, what browsers take in its place.
async function compress() {
  for (const name of await readdir(out, { recursive: true })) {
    if (!/\.(css|js|svg)$/.test(name)) continue;
    const plain = await readFile(join(out, name));
    if (plain.length < 1000) continue;
    for (const [ending, packed] of [["gz", gzipSync(plain, { level: 9 })], ["br", brotliCompressSync(plain)]]) {
      if (packed.length < plain.length * 0.8) await writeFile(join(out, `${name}.${ending}`), packed);
    }
  }
}

async function scripts() {
  const shared = { outdir: out, bundle: true, minify: true, legalComments: "none", logLevel: "warning" };
  const pages = { ...shared, entryPoints: ["src/app.js", "src/theme.js"], format: "iife", target: "es2022" };
  const tracker = { ...shared, entryPoints: ["tracker/haru.js"], format: "iife", target: "es2017" };
  for (const options of [pages, tracker]) {
    if (watch) await (await esbuild.context(options)).watch();
    else await esbuild.build(options);
  }
  if (watch) return;
  const size = (await readFile(join(out, "haru.js"))).length;
  if (size >= TRACKER_LIMIT) throw new Error(`The tracker has ${size} bytes; it must stay under ${TRACKER_LIMIT}.`);
}

function styles() {
  const cli = join(modules, "@tailwindcss/cli/dist/index.mjs");
  const args = [cli, "-i", "src/app.css", "-o", join(out, "app.css"), "--minify"];
  if (watch) spawn(process.execPath, [...args, "--watch=always"], { cwd: here, stdio: "inherit" });
  else execFileSync(process.execPath, args, { cwd: here, stdio: ["ignore", "ignore", "inherit"] });
}

// One SVG with a <symbol> for each icon: `#i-…` are outlines in the colour of the text, `#b-…` are brands in theirs.
async function sprite() {
  const symbols = await Promise.all(icons.map(outline));
  const logo = await readFile(join(here, "src/logo.svg"), "utf8");
  const blossom = logo.slice(logo.indexOf(">") + 1, logo.lastIndexOf("</svg>")).replace(/\s+/g, " ").trim();
  symbols.push(`<symbol id="i-haru" viewBox="0 0 32 32" fill="currentColor">${blossom}</symbol>`);
  await copyFile(join(here, "src/logo.svg"), join(out, "logo.svg"));
  const slugs = [...new Set(Object.values(brands))];
  const data = createRequire(import.meta.url)("simple-icons/icons.json");
  const colours = new Map(data.map((icon) => [icon.slug ?? slugOf(icon.title), icon.hex]));
  symbols.push(...(await Promise.all(slugs.map((slug) => brand(slug, colours.get(slug))))));
  await writeFile(join(out, "icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`);
  await writeFile(join(out, "brands.json"), JSON.stringify(brands));
}

async function outline(name) {
  const svg = await readFile(join(modules, "lucide-static/icons", `${name}.svg`), "utf8");
  const drawing = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).replace(/\s+/g, " ").trim();
  return `<symbol id="i-${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${drawing}</symbol>`;
}

async function brand(slug, hex) {
  const svg = await readFile(join(modules, "simple-icons/icons", `${slug}.svg`), "utf8");
  const path = svg.match(/<path d="([^"]+)"/)[1];
  return `<symbol id="b-${slug}" viewBox="0 0 24 24" fill="${visible(hex)}"><path d="${path}"/></symbol>`;
}

// A brand in black, white or near them would vanish on one of the themes: it takes the colour of the text.
function visible(hex) {
  if (!hex) return "currentColor";
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return light < 60 || light > 225 ? "currentColor" : `#${hex}`;
}

function slugOf(title) {
  return title.toLowerCase().normalize("NFD").replace(/\+/g, "plus").replace(/\./g, "dot").replace(/&/g, "and").replace(/[^a-z0-9]/g, "");
}

// A flag for each country.
async function flags() {
  const source = join(modules, "flag-icons/flags/4x3");
  await mkdir(join(out, "flags"));
  const codes = (await readdir(source)).filter((name) => /^[a-z]{2}\.svg$/.test(name)).map((name) => name.slice(0, 2));
  await Promise.all(codes.map((code) => copyFile(join(source, `${code}.svg`), join(out, "flags", `${code}.svg`))));
}

async function font() {
  await cp(join(modules, "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"), join(out, "inter.woff2"));
}

await main();
