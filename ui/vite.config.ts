import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Relative asset paths: the server puts a <base> into the page, so the app works below any route prefix.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: { outDir: "dist", emptyOutDir: true, chunkSizeWarningLimit: 1500 },
  server: { proxy: { "/api": "http://127.0.0.1:9090" } },
});
