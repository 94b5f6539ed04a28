// The app: header, theme, and the page that the path names.

import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { pageOf, root } from "./api";
import logo from "./logo.svg";
import { QueryPage } from "./query/QueryPage";
import "./style.css";
import { TargetsPage } from "./targets/TargetsPage";

const PAGES = [["query", "Query"], ["targets", "Targets"]] as const;
type Theme = "auto" | "light" | "dark";

function App() {
  const [page, setPage] = useState(() => pageOf(location.pathname));
  const [theme, setTheme] = useState<Theme>(() => (localStorage.getItem("pharos-theme") as Theme | null) ?? "auto");
  const [systemDark, setSystemDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const dark = theme === "dark" || (theme === "auto" && systemDark);

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
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    history.pushState(null, "", root() + name);
    setPage(name);
  };
  const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
  return (
    <>
      <header>
        <a className="brand" href={`${root()}query`} onClick={go("query")}><img src={logo} alt="" /> {document.title}</a>
        <nav>
          {PAGES.map(([name, label]) => (
            <a key={name} href={root() + name} onClick={go(name)} aria-current={page === name ? "page" : undefined}>{label}</a>
          ))}
        </nav>
        <button
          className="quiet" title="Colours: as the system, light, dark"
          onClick={() => { localStorage.setItem("pharos-theme", next[theme]); setTheme(next[theme]); }}
        >{theme === "auto" ? "◐ auto" : theme === "light" ? "☀ light" : "☾ dark"}</button>
      </header>
      {page === "query" ? <QueryPage dark={dark} /> : page === "targets" ? <TargetsPage /> : (
        <main><p className="empty">This page is not there yet. The API under <code>{root()}api/v1</code> may already answer.</p></main>
      )}
    </>
  );
}

createRoot(document.getElementById("root")!).render(<App />);
