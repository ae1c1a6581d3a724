// Opens a report in headless Chromium at phone and desktop width, in light and dark, and prints what it saw as JSON.
//
//   node inspect.mjs <report.html> <folder for screenshots> <name>
//
// Output: { text, requests: [], views: [{ name, errors: [], violations: [], overflow, charts: [], firstFocus, toggled }] }
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [file, folder, name] = process.argv.slice(2);
const address = pathToFileURL(resolve(file)).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const widths = { phone: { width: 390, height: 844, isMobile: true, hasTouch: true }, desktop: { width: 1280, height: 900 } };

mkdirSync(folder, { recursive: true });
const browser = await puppeteer.launch({ executablePath: await chromium.executablePath(), args: chromium.args, headless: "shell" });
const seen = { requests: [], views: [] };
try {
  for (const [device, viewport] of Object.entries(widths)) {
    for (const scheme of ["light", "dark"]) seen.views.push(await look(`${name}-${device}-${scheme}`, viewport, scheme));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function look(view, viewport, scheme) {
  const page = await browser.newPage();
  const errors = [];
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => request.url() !== address && seen.requests.push(request.url()));
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(address, { waitUntil: "networkidle0" });
  await page.screenshot({ path: join(folder, `${view}.png`), fullPage: true });
  await page.keyboard.press("Tab");
  const firstFocus = await page.evaluate(() => document.activeElement.textContent);
  const toggled = await withKeyboard(page);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  const found = await page.evaluate(() => ({
    charts: [...document.querySelectorAll(".chart:not([hidden])")].map((chart) => ({
      id: chart.id,
      label: chart.querySelector("[role=img]").getAttribute("aria-label"),
      shapes: chart.querySelectorAll("[role=img] svg path").length,
    })),
    overflow: document.documentElement.scrollWidth - innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
  }));
  seen.text ??= await page.evaluate(() => document.body.innerText);
  // Evaluated by the debugger, so that the page's own security policy does not have to allow it.
  await page.evaluate(axe);
  const audit = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const violations = audit.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  await page.close();
  return { name: view, errors, firstFocus, toggled, violations, ...found };
}

// Whether Enter opens the first table behind a chart.
async function withKeyboard(page) {
  const summary = await page.$("main details > summary");
  if (!summary) return null;
  await summary.focus();
  await page.keyboard.press("Enter");
  const open = await summary.evaluate((element) => element.parentElement.open);
  await page.keyboard.press("Enter");
  return open;
}
