import { describe, expect, it } from "vitest";
import { identityOf, needsTwoSamples, whyNoLine } from "./answer";
import { newPanel } from "../panels";

describe("a graph without a line says why", () => {
  const values = (...texts: string[]) => ({ metric: {}, values: texts.map((text, i): [number, string] => [i, text]) });
  it("has nothing to say where one line has a number", () => {
    expect(whyNoLine([values("NaN"), values("NaN", "0")], "x", true)).toBeUndefined();
  });
  it.each([
    [[values("NaN", "NaN")], /are NaN/],
    [[values("+Inf"), values("-Inf")], /are infinite/],
    [[values("+Inf", "NaN")], /are NaN or infinite/],
    [[{ metric: {} }], /native histograms/],
    [[], /first scrape/],
  ])("%j", (series, text) => expect(whyNoLine(series, "x", true)).toMatch(text));
  it("explains rate() at the start, and not for a range in the past", () => {
    expect(whyNoLine([], "sum(rate(x[1m]))", true)).toMatch(/rate\(\) needs at least two scrapes/);
    expect(whyNoLine([], "sum(rate(x[1m]))", false)).toBe("No samples in this range.");
  });
});

it("finds the function that needs two samples", () => {
  expect(needsTwoSamples("sum by (a) (irate (x[1m]))")).toBe("irate");
  expect(needsTwoSamples("increase(x[5m])")).toBe("increase");
  expect(needsTwoSamples('x{a="rate("} # rate(y)')).toBeUndefined();
  expect(needsTwoSamples("my_rate + rate_limit")).toBeUndefined();
});

it("tells questions apart", () => {
  const panel = newPanel({ expr: "up" });
  expect(identityOf(panel)).toBe(identityOf({ ...panel, id: 99, title: "other" }));
  expect(identityOf(panel)).not.toBe(identityOf({ ...panel, range: 5 }));
});
