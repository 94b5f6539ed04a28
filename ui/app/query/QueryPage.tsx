// The query page: panels, and how often they ask again.

import { useEffect, useRef, useState } from "react";
import { pageOf } from "../api";
import { decodePanels, encodePanels, newPanel, type Panel, takeOver } from "../panels";
import { PanelView } from "./PanelView";

const REFRESH = [0, 5, 15, 60];
const refreshOf = (search: string): number => Number(new URLSearchParams(search).get("refresh")) || 0;

export function QueryPage({ dark }: { dark: boolean }) {
  const [panels, setPanels] = useState<Panel[]>(() => decodePanels(location.search));
  const [refresh, setRefresh] = useState(() => refreshOf(location.search));
  const [tick, setTick] = useState(0);

  // what a person changes is a step that the browser's Back undoes; what the page itself writes is none
  const own = useRef(true);
  useEffect(() => {
    const search = encodePanels(panels) + (refresh ? `&refresh=${refresh}` : "");
    const url = `${location.pathname}?${search}`;
    if (`?${search}` !== location.search) history[own.current ? "replaceState" : "pushState"](null, "", url);
    own.current = false;
  }, [panels, refresh]);
  useEffect(() => {
    const moved = () => {
      if (pageOf(location.pathname) !== "query") return;
      own.current = true;
      setPanels((all) => takeOver(all, decodePanels(location.search)));
      setRefresh(refreshOf(location.search));
    };
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  useEffect(() => {
    if (!refresh) return;
    const timer = setInterval(() => document.hidden || setTick((n) => n + 1), refresh * 1000);
    return () => clearInterval(timer);
  }, [refresh]);

  const replace = (panel: Panel) => setPanels((all) => all.map((one) => (one.id === panel.id ? panel : one)));
  const remove = (id: number) => setPanels((all) => all.filter((one) => one.id !== id));
  return (
    <main className={panels.length > 1 ? "grid" : ""}>
      {panels.map((panel) => (
        <PanelView
          key={panel.id} panel={panel} tick={tick} dark={dark} onChange={replace}
          onRemove={panels.length > 1 ? () => remove(panel.id) : undefined}
        />
      ))}
      <footer className="page">
        <button onClick={() => setPanels((all) => [...all, newPanel()])}>Add a panel</button>
        <label>Refresh <select value={refresh} onChange={(e) => setRefresh(Number(e.target.value))}>
          {REFRESH.map((seconds) => <option key={seconds} value={seconds}>{seconds ? `every ${seconds}s` : "off"}</option>)}
        </select></label>
      </footer>
    </main>
  );
}
