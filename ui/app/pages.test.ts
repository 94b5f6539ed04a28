import { expect, it } from "vitest";
import { isHere, isStatus, LATER, MAIN, STATUS } from "./pages";

it("knows which entry of the navigation a page belongs to", () => {
  expect(MAIN.filter(({ name }) => isHere(name, "flags")).map(({ label }) => label)).toEqual(["Status"]);
  expect(MAIN.filter(({ name }) => isHere(name, "targets")).map(({ label }) => label)).toEqual(["Targets"]);
  expect(MAIN.some(({ name }) => isHere(name, "alerts"))).toBe(false);
});

it("has a page for every status link, and none twice", () => {
  expect(STATUS.every(({ name }) => isStatus(name))).toBe(true);
  const names = [...new Set([...MAIN, ...STATUS].map(({ name }) => name)), ...LATER];
  expect(new Set(names).size).toBe(names.length);
});
