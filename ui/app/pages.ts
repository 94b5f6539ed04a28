// The app's pages and where the navigation has them.

export interface PageLink {
  name: string;
  label: string;
}

/** The first is where the group's link leads. */
export const STATUS: PageLink[] = [
  { name: "status", label: "Runtime" },
  { name: "tsdb-status", label: "TSDB" },
  { name: "flags", label: "Flags" },
  { name: "config", label: "Configuration" },
  { name: "service-discovery", label: "Service discovery" },
];

export const MAIN: PageLink[] = [
  { name: "query", label: "Query" },
  { name: "targets", label: "Targets" },
  { name: "status", label: "Status" },
];

/** Paths that links from elsewhere may name, for what is not there yet. */
export const LATER = ["alerts", "rules", "alertmanager-discovery"];

export const isStatus = (page: string): boolean => STATUS.some(({ name }) => name === page);

/** Whether a link of the navigation leads to where the page is. */
export const isHere = (link: string, page: string): boolean => link === page || (link === "status" && isStatus(page));
