package metrics

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds of what clients of the endpoint may take.
const (
	maxConnections = 16
	requestTime    = 5 * time.Second  // for a request's header
	answerTime     = 10 * time.Second // for a request and its answer
	idleTime       = 2 * time.Minute
	leaveTime      = time.Second // for what is under way at the end
)

// Server is the endpoint /metrics.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Listen opens the listener for an address: PORT of 127.0.0.1, HOST:PORT, or
// :PORT of all addresses.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	if !strings.Contains(addr, ":") {
		addr = net.JoinHostPort("127.0.0.1", addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return nil, fmt.Errorf("%q is not PORT or HOST:PORT", addr)
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
}

// Serve serves what e has until Close. It takes the listener over.
func Serve(ln net.Listener, e *Exporter) *Server {
	registry := prometheus.NewRegistry()
	registry.MustRegister(e)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxConnections}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "mqbench: the figures are under /metrics\n")
	})
	s := &Server{done: make(chan struct{}), http: &http.Server{
		Handler: mux, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0), // what strangers send is not the user's concern
	}}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(netutil.LimitListener(ln, maxConnections))
	}()
	return s
}

// Close ends the serving. Answers under way get a moment.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
}
