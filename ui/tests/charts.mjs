// What a person sees and does on the query page: axes, the pointer's read-out, zoom, errors, completion.

import assert from "node:assert/strict";
import { join } from "node:path";

const query = (url, params) => `${url}/query?${new URLSearchParams(params)}`;
const range = (page) => new URL(page.url()).searchParams.get("g0.range_input");
const figures = (page) => page.locator(".figures").innerText();

/** Keeps, per canvas, the texts of its last drawing with their boxes in pixels of the screen. */
function recordTexts() {
  const texts = new WeakMap();
  const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    texts.set(this.canvas, []);
    return clearRect.apply(this, box);
  };
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const size = this.measureText(text);
    const corner = this.getTransform().transformPoint({ x: x - size.actualBoundingBoxLeft, y: y - size.actualBoundingBoxAscent });
    texts.get(this.canvas)?.push({
      text, left: corner.x, top: corner.y, right: corner.x + size.width, bottom: corner.y + size.actualBoundingBoxAscent + size.actualBoundingBoxDescent,
    });
    return fillText.call(this, text, x, y);
  };
  window.textsOf = (canvas) => texts.get(canvas) ?? [];
}

/** The labels of the first chart; fails where two of them touch or one is cut. */
async function labels(page) {
  const { texts, width } = await page.locator(".chart canvas").first().evaluate((canvas) => ({ texts: window.textsOf(canvas), width: canvas.width }));
  assert.ok(texts.length > 4, `only ${texts.length} labels`);
  for (const [i, a] of texts.entries()) {
    assert.ok(a.left >= 0 && a.right <= width, `${a.text} is cut: ${a.left} to ${a.right} of ${width}`);
    for (const b of texts.slice(i + 1)) {
      const clear = a.right < b.left || b.right < a.left || a.bottom < b.top || b.bottom < a.top;
      assert.ok(clear, `${a.text} and ${b.text} collide`);
    }
  }
  return texts.map(({ text }) => text);
}

export async function chartChecks({ check, url, shots }) {
  for (const width of [1400, 400]) {
    await check(`labels of the axes are whole and keep clear of each other at ${width} pixels`, async (page) => {
      await page.addInitScript(recordTexts);
      for (const [expr, span] of [["18446744073709551615", "5m"], ["vector(1000000.5) + 0 * time()", "10m"], ["time()", "1d"], ["time() / 7", "1w"], ["time() % 7", "1m"]]) {
        await page.goto(query(url, { "g0.expr": expr, "g0.range_input": span }));
        await page.locator(".legend li").first().waitFor();
        const texts = await labels(page);
        assert.ok(texts.some((text) => /^\d{4}-\d\d-\d\d$/.test(text)), `no date among ${texts}`);
        assert.ok(texts.every((text) => !/[ap]m|\//.test(text)), `${texts}`);
      }
      assert.equal(await page.locator(".zone").innerText(), "Times in Australia/Darwin (UTC+09:30)");
    }, { viewport: { width, height: 900 }, timezoneId: "Australia/Darwin", locale: "en-US" });
  }

  await check("the pointer names the time, the nearest series and its value", async (page) => {
    const expr = 'label_replace(vector(1), "which", "low", "", "") or label_replace(vector(9), "which", "high", "", "")';
    await page.goto(query(url, { "g0.expr": expr, "g0.range_input": "5m", "g0.end_input": "2026-01-02 12:00:00" }));
    await page.locator(".legend li").nth(1).waitFor();
    const box = await page.locator(".chart .u-over").boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + 40);
    await page.locator(".tip", { hasText: 'which="high"' }).waitFor();
    assert.match(await page.locator(".tip").innerText(), /^2026-01-02 13:57:3\d\n9\n/);
    assert.ok(await page.locator(".highlight").isVisible());
    await page.screenshot({ path: join(shots, "pointer.png") });
    await page.mouse.move(box.x + box.width / 2, box.y + box.height - 30);
    await page.locator(".tip", { hasText: 'which="low"' }).waitFor();
    await page.mouse.move(5, 5);
    await page.locator(".tip").waitFor({ state: "detached" });
  }, { timezoneId: "Africa/Johannesburg" });

  await check("the pointer stays quick among thousands of series", async (page) => {
    await page.route("**/api/v1/query_range", async (route) => {
      const asked = new URLSearchParams(route.request().postData());
      const [start, end, step] = ["start", "end", "step"].map((name) => Number(asked.get(name)));
      const times = Array.from({ length: (end - start) / step + 1 }, (_, i) => start + i * step);
      const result = Array.from({ length: 4440 }, (_, i) => ({
        metric: { __name__: "many", number: String(i) }, values: times.map((time) => [time, String(i + Math.sin(time / 60))]),
      }));
      await route.fulfill({ json: { status: "success", data: { resultType: "matrix", result } } });
    });
    await page.goto(query(url, { "g0.expr": "many", "g0.range_input": "5m" }));
    await page.getByText("4440 series").waitFor({ timeout: 60_000 });
    const box = await page.locator(".chart .u-over").boundingBox();
    await page.mouse.move(box.x + 10, box.y + 10);
    await page.locator(".tip").waitFor();
    const began = Date.now();
    for (let i = 0; i < 40; i++) await page.mouse.move(box.x + 20 + i * 10, box.y + 20 + i * 4);
    const each = (Date.now() - began) / 40;
    assert.ok(each < 200, `${each} ms for a move`);
    assert.match(await page.locator(".tip").innerText(), /many\{number="\d+"\}/);
  });

  await check("Back and a double click return from a zoom", async (page) => {
    await page.goto(query(url, { "g0.expr": "time()", "g0.range_input": "1h" }));
    const zoom = async (from, to) => {
      await page.locator(".legend li").first().waitFor();
      const before = range(page);
      const box = await page.locator(".chart .u-over").boundingBox();
      await page.mouse.move(box.x + box.width * from, box.y + 50);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * to, box.y + 60, { steps: 5 });
      await page.mouse.up();
      await page.waitForFunction((old) => new URLSearchParams(location.search).get("g0.range_input") !== old, before);
      return range(page);
    };
    const shows = (span) => page.waitForFunction((text) => document.querySelector(".controls select").selectedOptions[0].text === text, span);
    const first = await zoom(0.2, 0.8);
    const second = await zoom(0.3, 0.6);
    assert.match(await page.getByLabel("End time").inputValue(), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    await page.goBack();
    await shows(first);
    await page.goForward();
    await shows(second);
    const box = await page.locator(".chart .u-over").boundingBox();
    await page.mouse.dblclick(box.x + 100, box.y + 100);
    await shows(first);
    await page.mouse.dblclick(box.x + 100, box.y + 100);
    await shows("1h");
    assert.equal(await page.getByLabel("End time").inputValue(), "");
  });

  await check("an error has no old figures beside it, and a graph without lines says why", async (page) => {
    await page.goto(query(url, { "g0.expr": "time()", "g0.range_input": "5m" }));
    await page.waitForFunction(() => /1 series · \d+ ms/.test(document.querySelector(".figures").textContent));
    const run = async (expr) => {
      await page.getByLabel("Expression").fill(expr);
      await page.getByRole("button", { name: "Run" }).click();
    };
    await run("sum(");
    await page.getByRole("alert").filter({ hasText: "bad_data" }).waitFor();
    assert.equal(await figures(page), "");
    await run("0 / vector(0)");
    await page.getByText("All values in this range are NaN").waitFor();
    await run("sum(rate(no_such_total[1m]))");
    await page.getByText("rate() needs at least two scrapes").waitFor();
  });

  await check("a short outage keeps the last graph and says since when", async (page) => {
    await page.goto(query(url, { "g0.expr": "time()", "g0.range_input": "5m", refresh: "5" }));
    await page.locator(".legend li").first().waitFor();
    await page.route("**/api/v1/**", (route) => route.abort());
    await page.getByRole("alert").filter({ hasText: /cannot be reached since \d\d:\d\d:\d\d\. Below is its last answer/ }).waitFor();
    assert.ok(await page.locator(".old .chart canvas").isVisible());
    assert.doesNotMatch(await page.locator("main").innerText(), /TypeError|fetch/);
    await page.unroute("**/api/v1/**");
    await page.getByRole("alert").waitFor({ state: "detached" });
    await page.locator(".old").waitFor({ state: "detached" });
  });

  await check("the completion list has eight whole rows and a sign for each kind", async (page) => {
    await page.goto(`${url}/query`);
    const editor = page.getByLabel("Expression");
    await editor.click();
    await editor.pressSequentially("node_");
    const list = page.locator(".cm-tooltip-autocomplete ul");
    await list.locator("li").nth(8).waitFor({ state: "attached" });
    const [height, row] = await list.evaluate((ul) => [ul.clientHeight, ul.querySelector("li").getBoundingClientRect().height]);
    assert.equal(height, 8 * row);
    await editor.fill("");
    await editor.pressSequentially("su");
    const icon = page.locator("li", { hasText: "aggregation" }).locator(".cm-completionIcon").first();
    assert.equal(await icon.evaluate((one) => getComputedStyle(one, "::after").content), '"Σ"');
  });
}
