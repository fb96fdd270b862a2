// The /hash workload in Go: net/http and crypto/sha256, nothing else, so that it builds without the network.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const rounds = 100

type answer struct {
	Hash      string `json:"hash"`
	Timestamp string `json:"timestamp"`
	Source    string `json:"source"`
}

// chain hashes input and then, rounds-1 times, the 32 raw bytes of the last round.
func chain(input string) string {
	sum := sha256.Sum256([]byte(input))
	for i := 1; i < rounds; i++ {
		sum = sha256.Sum256(sum[:])
	}
	return hex.EncodeToString(sum[:])
}

func hash(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	input := "weir"
	if values, given := r.URL.Query()["input"]; given {
		input = values[0]
	}
	body, err := json.Marshal(answer{chain(input), time.Now().UTC().Format(time.RFC3339Nano), "go"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// Whoever is gone meanwhile gets nothing; there is nobody to tell.
	_, _ = w.Write(body)
	requests.observe(time.Since(started))
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hash", hash)
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok\n") })
	mux.HandleFunc("/metrics", serveMetrics)
	return mux
}

func main() {
	address := flag.String("listen", "127.0.0.1:8012", "address to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatalf("hash-go: cannot listen on %s: %v", *address, err)
	}
	// A client that trickles its head would otherwise keep a connection for ever.
	server := &http.Server{Handler: routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Minute}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	fmt.Printf("hash-go: listening on %s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("hash-go: %v", err)
	}
}
