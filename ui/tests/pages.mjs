// What a person sees on the targets and status pages, and that a narrow screen holds every page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A job whose discovery finds nothing, one that loses targets to relabelling, one whose target cannot be scraped. */
const CONFIG = `scrape_configs:
- job_name: nothing-found
  file_sd_configs: [{files: ['none-*.json']}]
- job_name: half-dropped
  static_configs: [{targets: ['127.0.0.1:1', 'dropped.example:80']}]
  relabel_configs: [{source_labels: [__address__], regex: 'dropped.*', action: drop}]
- job_name: no-host
  file_sd_configs: [{files: ['bad.json']}]
`;

/** Elements that stick out of their card or the page, but for what scrolls inside. */
function stickingOut() {
  const found = [];
  for (const card of document.querySelectorAll(".panel, header, main")) {
    const frame = card.getBoundingClientRect();
    for (const element of card.querySelectorAll("*")) {
      let inside = element.parentElement;
      while (inside !== card && getComputedStyle(inside).overflowX === "visible") inside = inside.parentElement;
      const box = element.getBoundingClientRect();
      if (inside === card && box.width > 0 && (box.right > frame.right + 1 || box.left < frame.left - 1)) found.push(element.outerHTML.slice(0, 120));
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page itself");
  return found;
}

async function withServer({ binary, freePort }, run) {
  const folder = mkdtempSync(join(tmpdir(), "pharos-ui-pools-"));
  writeFileSync(join(folder, "prometheus.yml"), CONFIG);
  writeFileSync(join(folder, "bad.json"), '[{"targets": ["h/p"]}]');
  const port = await freePort();
  const server = spawn(
    binary, ["server", "--config.file=prometheus.yml", `--web.listen-address=127.0.0.1:${port}`, "--storage.tsdb.path=data"],
    { cwd: folder, stdio: "ignore" },
  );
  try {
    const ready = () => fetch(`http://127.0.0.1:${port}/-/ready`).then((answer) => answer.ok, () => false);
    for (const began = Date.now(); !(await ready()); await new Promise((resolve) => setTimeout(resolve, 50))) {
      assert.ok(server.exitCode === null && Date.now() - began < 20_000, "the server with pools of all kinds does not start");
    }
    await run(`http://127.0.0.1:${port}`);
  } finally {
    const ended = new Promise((resolve) => (server.exitCode === null ? server.once("exit", resolve) : resolve()));
    server.kill("SIGINT");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function pageChecks({ check, url, shots, ...rest }) {
  await withServer(rest, (pools) =>
    check("the targets page shows empty pools, and what was dropped and why", async (page) => {
      await page.goto(`${pools}/targets`);
      const pool = (name) => page.getByRole("region", { name });
      await pool("nothing-found").getByText("Discovery found no target for this job.").waitFor();
      assert.match(await pool("nothing-found").innerText(), /0\/0 up/);
      await pool("no-host").getByText('cannot be scraped: "h/p" is not a valid hostname').waitFor();
      assert.equal(await page.getByText("dropped.example").count(), 0);
      await pool("half-dropped").getByRole("button", { name: "1 dropped" }).click();
      await pool("half-dropped").getByText('__address__="dropped.example:80"').waitFor();
      await page.screenshot({ path: join(shots, "pools.png") });
      await page.goto(`${pools}/service-discovery`);
      await pool("half-dropped").getByText('__address__="dropped.example:80"').waitFor();
    }));

  await check("the status pages show the program, its flags, configuration and head", async (page) => {
    await page.goto(`${url}/query`);
    const link = (name) => page.getByRole("link", { name, exact: true });
    await link("Status").click();
    await page.getByRole("row", { name: "Started" }).getByText(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/).waitFor();
    await page.getByRole("row", { name: /Version .*pharos/ }).waitFor();
    await link("Flags").click();
    await page.getByRole("searchbox").fill("lookback");
    await page.getByRole("row", { name: "--query.lookback-delta 5m" }).waitFor();
    assert.match(await page.locator(".figures").innerText(), /^1 of \d\d+ flags$/);
    await link("Configuration").click();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByText("Copied").waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^global:\n(.*\n)*scrape_configs:\n/);
    await link("TSDB").click();
    await page.getByRole("region", { name: "Head" }).getByRole("row", { name: /^Series [\d,]+$/ }).waitFor();
    await page.getByRole("region", { name: "Series by metric name" }).getByText("node_cpu_seconds_total").waitFor();
    await page.screenshot({ path: join(shots, "tsdb.png") });
    await page.goto(`${url}/alerts`);
    assert.equal(await page.locator("main").innerText(), "Rules and alerting are not there yet.");
  }, { permissions: ["clipboard-read", "clipboard-write"] });

  await check("at 400 pixels nothing sticks out of a card", async (page) => {
    for (const path of ["/", "/targets", "/status", "/flags", "/config", "/tsdb-status", "/service-discovery", "/query?g0.expr=up&g0.tab=table"]) {
      await page.goto(url + path);
      await page.locator(".panel").first().waitFor();
      await page.waitForFunction(() => !/asking/.test(document.body.innerText));
      assert.deepEqual(await page.evaluate(stickingOut), [], path);
    }
    await page.screenshot({ path: join(shots, "narrow.png") });
  }, { viewport: { width: 400, height: 900 } });
}
