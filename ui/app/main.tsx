// The app: header, theme, and the page that the path names.

import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { pageOf, root } from "./api";
import logo from "./logo.svg";
import { isHere, isStatus, LATER, MAIN, type PageLink, STATUS } from "./pages";
import { QueryPage } from "./query/QueryPage";
import { ConfigPage } from "./status/ConfigPage";
import { FlagsPage } from "./status/FlagsPage";
import { RuntimePage } from "./status/RuntimePage";
import { TsdbPage } from "./status/TsdbPage";
import "./style.css";
import { TargetsPage } from "./targets/TargetsPage";

type Theme = "auto" | "light" | "dark";

function Page({ name, dark }: { name: string; dark: boolean }) {
  switch (name) {
    case "query": return <QueryPage dark={dark} />;
    case "targets":
    case "service-discovery": return <TargetsPage key={name} discovery={name === "service-discovery"} />;
    case "status": return <RuntimePage />;
    case "tsdb-status": return <TsdbPage />;
    case "flags": return <FlagsPage />;
    case "config": return <ConfigPage />;
    default: return <main><p className="empty">{LATER.includes(name) ? "Rules and alerting are not there yet." : "There is no such page."}</p></main>;
  }
}

function App() {
  const [page, setPage] = useState(() => pageOf(location.pathname));
  const [theme, setTheme] = useState<Theme>(() => (localStorage.getItem("pharos-theme") as Theme | null) ?? "auto");
  const [systemDark, setSystemDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const dark = theme === "dark" || (theme === "auto" && systemDark);
  // the way back to the query page leads to the panels that were there
  const queries = useRef("");

  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setSystemDark(media.matches);
    const moved = () => setPage(pageOf(location.pathname));
    media.addEventListener("change", changed);
    addEventListener("popstate", moved);
    return () => { media.removeEventListener("change", changed); removeEventListener("popstate", moved); };
  }, []);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";

  const go = (name: string) => (event: React.MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    if (name === page) return;
    if (page === "query") queries.current = location.search;
    history.pushState(null, "", root() + name + (name === "query" ? queries.current : ""));
    setPage(name);
  };
  const link = ({ name, label }: PageLink, here: boolean) => (
    <a key={name} href={root() + name} onClick={go(name)} aria-current={here ? "page" : undefined}>{label}</a>
  );
  const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
  return (
    <>
      <header>
        <a className="brand" href={`${root()}query`} onClick={go("query")}><img src={logo} alt="" /> {document.title}</a>
        <nav aria-label="Pages">{MAIN.map((one) => link(one, isHere(one.name, page)))}</nav>
        <button
          className="quiet" title="Colours: as the system, light, dark"
          onClick={() => { localStorage.setItem("pharos-theme", next[theme]); setTheme(next[theme]); }}
        >{theme === "auto" ? "◐ auto" : theme === "light" ? "☀ light" : "☾ dark"}</button>
      </header>
      {isStatus(page) && <nav className="sub" aria-label="Status">{STATUS.map((one) => link(one, one.name === page))}</nav>}
      <Page name={page} dark={dark} />
    </>
  );
}

createRoot(document.getElementById("root")!).render(<App />);
