package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Upper bounds of the buckets, the same in all three servers.
var bounds = []float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1}

type histogram struct {
	buckets [14]atomic.Uint64 // the last one is above all bounds
	nanos   atomic.Uint64
}

var requests histogram

func (h *histogram) observe(took time.Duration) {
	i := 0
	for i < len(bounds) && took.Seconds() > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(uint64(took))
}

func (h *histogram) write(w *strings.Builder) {
	const name = "hash_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s Time spent on answers to /hash.\n# TYPE %s histogram\n", name, name)
	var total uint64
	for i := range h.buckets {
		total += h.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'f', -1, 64)
		}
		fmt.Fprintf(w, "%s_bucket{source=\"go\",le=\"%s\"} %d\n", name, bound, total)
	}
	fmt.Fprintf(w, "%s_sum{source=\"go\"} %g\n", name, float64(h.nanos.Load())/1e9)
	fmt.Fprintf(w, "%s_count{source=\"go\"} %d\n", name, total)
	fmt.Fprintf(w, "# HELP hash_requests_total Answers to /hash.\n# TYPE hash_requests_total counter\n")
	fmt.Fprintf(w, "hash_requests_total{source=\"go\"} %d\n", total)
}

func serveMetrics(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	requests.write(&text)
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		seconds := float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
		fmt.Fprintf(&text, "# HELP process_cpu_seconds_total Processor time, user and system.\n")
		fmt.Fprintf(&text, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %g\n", seconds)
	}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			pages, _ := strconv.ParseUint(fields[1], 10, 64)
			fmt.Fprintf(&text, "# HELP process_resident_memory_bytes Resident memory.\n")
			fmt.Fprintf(&text, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %d\n",
				pages*uint64(os.Getpagesize()))
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = w.Write([]byte(text.String()))
}
