// app is the application that the end-to-end test watches: it counts its requests, says which version it is, and has a second
// page of metrics for the ServiceMonitor that changes its path.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
)

const version = "1"

func main() {
	var requests, scrapes atomic.Int64
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprintln(w, "hello")
	})
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprintf(w, "# HELP app_requests_total Requests answered.\n# TYPE app_requests_total counter\napp_requests_total %d\n", requests.Load())
		fmt.Fprintf(w, "# HELP app_scrapes_total Times that this page was fetched.\n# TYPE app_scrapes_total counter\napp_scrapes_total %d\n", scrapes.Add(1))
		fmt.Fprintf(w, "# HELP app_build_info What runs.\n# TYPE app_build_info gauge\napp_build_info{version=%q} 1\n", version)
	})
	http.HandleFunc("/more-metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprint(w, "# HELP app_more A metric of the second page.\n# TYPE app_more gauge\napp_more 1\n")
	})
	address := ":8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	log.Fatal(http.ListenAndServe(address, nil))
}
