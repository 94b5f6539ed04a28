// The query page: panels, and how often they ask again.

import { useEffect, useState } from "react";
import { decodePanels, encodePanels, newPanel, type Panel } from "../panels";
import { PanelView } from "./PanelView";

const REFRESH = [0, 5, 15, 60];

export function QueryPage({ dark }: { dark: boolean }) {
  const [panels, setPanels] = useState<Panel[]>(() => decodePanels(location.search));
  const [refresh, setRefresh] = useState(() => Number(new URLSearchParams(location.search).get("refresh")) || 0);
  const [tick, setTick] = useState(0);

  useEffect(() => {
    const search = encodePanels(panels) + (refresh ? `&refresh=${refresh}` : "");
    if (`?${search}` !== location.search) history.replaceState(null, "", `${location.pathname}?${search}`);
  }, [panels, refresh]);
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
