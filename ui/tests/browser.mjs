// Drives the web app in real Chromium against a real `pharos up`, as a person would, and keeps screenshots.
//
//   PHAROS=path/to/pharos CHROMIUM=/usr/bin/chromium node tests/browser.mjs

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { chartChecks } from "./charts.mjs";
import { pageChecks } from "./pages.mjs";

const here = import.meta.dirname;
const shots = join(here, "screenshots");
const binary = process.env.PHAROS ?? ["release", "debug"].map((p) => join(here, "../../target", p, "pharos")).find(existsSync);
const browserPath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
if (!binary || !browserPath) {
  console.error(`no ${binary ? "Chromium (CHROMIUM=…)" : "pharos binary (PHAROS=…)"} to test with`);
  process.exit(2);
}
mkdirSync(shots, { recursive: true });

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const port = await freePort();
const data = mkdtempSync(join(tmpdir(), "pharos-ui-"));
const url = `http://127.0.0.1:${port}`;
const server = spawn(
  binary,
  ["up", `--web.listen-address=127.0.0.1:${port}`, `--agent.listen-address=127.0.0.1:${await freePort()}`, `--storage.tsdb.path=${data}`, "--scrape-interval=1s"],
  { stdio: ["ignore", "ignore", "inherit"] },
);
const began = Date.now();
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

let passed = 0;
let failed = 0;
async function check(name, run, settings = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: "light", ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  try {
    await run(page);
    assert.deepEqual(errors, [], "errors on the page");
    passed++;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    await page.screenshot({ path: join(shots, `failed-${name.replaceAll(/\W+/g, "-")}.png`) });
    console.log(`FAILED  ${name}\n${error.stack}`);
  } finally {
    await context.close();
  }
}

/** How many pixels of a chart have a series' colour: the grid alone has none. */
const drawn = (page, index) =>
  page.locator(".chart canvas").nth(index).evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const spread = Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
      if (data[i + 3] > 100 && spread > 90) count++;
    }
    return count;
  });

async function reachable() {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`pharos ended with ${server.exitCode}`);
    try {
      if ((await fetch(`${url}/-/ready`)).ok) return;
    } catch {
      if (Date.now() - began > 20_000) throw new Error("pharos is not reachable");
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

try {
  await reachable();
  await check("the first page draws this machine within 20 seconds of the start", async (page) => {
    await page.goto(url);
    await page.waitForFunction(() => document.querySelectorAll(".chart canvas").length === 4);
    for (let panel = 0; panel < 4; panel++) {
      while ((await drawn(page, panel)) < 10) {
        assert.ok(Date.now() - began < 20_000, `panel ${panel} shows nothing after 20 s`);
        await page.waitForTimeout(250);
      }
    }
    assert.match(await page.locator(".legend").first().innerText(), /mode="user"/);
    await page.screenshot({ path: join(shots, "home.png") });
  });

  await check("the query page completes, runs, draws and zooms", async (page) => {
    await page.goto(`${url}/query`);
    await page.getByLabel("Range").selectOption({ label: "5m" });
    await page.waitForFunction(() => new URLSearchParams(location.search).get("g0.range_input") === "5m");
    const editor = page.getByLabel("Expression");
    await editor.click();
    await editor.pressSequentially("node_cpu_seco");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "node_cpu_seconds_total" }).first().waitFor();
    await editor.press("Escape");
    await editor.fill('sum by (mode) (rate(node_cpu_seconds_total[1m]))');
    await page.getByRole("button", { name: "Run" }).click();
    await page.locator(".legend li", { hasText: 'mode="idle"' }).waitFor();
    await page.waitForFunction(() => /\d+ ms/.test(document.querySelector(".figures").textContent));
    assert.ok((await drawn(page, 0)) > 10);
    await editor.press("Escape");
    await page.screenshot({ path: join(shots, "query.png") });
    const box = await page.locator(".chart .u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => new URLSearchParams(location.search).get("g0.range_input") === "2m");
    assert.ok(new URL(page.url()).searchParams.get("g0.end_input"));
  });

  await check("a table shows values, an error its place", async (page) => {
    await page.goto(`${url}/query?g0.expr=up&g0.tab=table`);
    await page.locator("td", { hasText: 'up{instance="' }).first().waitFor();
    const editor = page.getByLabel("Expression");
    await editor.fill("sum(up");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").filter({ hasText: "bad_data" }).waitFor();
    assert.match(await page.getByRole("alert").innerText(), /parse error/);
  });

  await check("the targets page shows who is scraped and how it went", async (page) => {
    await page.goto(`${url}/targets`);
    await page.getByText("3 of 3 up").waitFor();
    await page.locator("code", { hasText: 'job="node"' }).waitFor();
    await page.screenshot({ path: join(shots, "targets.png") });
    await page.getByRole("searchbox").fill("no such target");
    await page.getByText("No target fits the filter.").waitFor();
  });

  await check("dark colours are kept", async (page) => {
    await page.goto(`${url}/query?g0.expr=node_load1&g0.range_input=5m`);
    await page.getByTitle("Colours: as the system, light, dark").click();
    await page.getByTitle("Colours: as the system, light, dark").click();
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await page.reload();
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await page.locator(".legend li").first().waitFor();
    await page.screenshot({ path: join(shots, "dark.png") });
  });

  await chartChecks({ check, url, shots });
  await pageChecks({ check, url, shots, binary, freePort });
} catch (error) {
  failed++;
  console.log(`FAILED  ${error.stack}`);
} finally {
  await browser.close();
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGINT");
  const code = server.exitCode ?? (await ended);
  if (code !== 0) {
    failed++;
    console.log(`FAILED  Ctrl-C stops cleanly: exit code ${code}`);
  } else {
    passed++;
    console.log("ok      Ctrl-C stops cleanly");
  }
  rmSync(data, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
