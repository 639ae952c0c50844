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

// Limits for clients of the endpoint.
const (
	maxConnections = 16
	requestTime    = 5 * time.Second  // for a request's header
	answerTime     = 10 * time.Second // for a request and its response
	idleTime       = 2 * time.Minute
	leaveTime      = time.Second // for requests in progress at the end
)

// Server serves the endpoint /metrics.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Listen opens the listener for an address: PORT for a port of 127.0.0.1, HOST:PORT, or
// :PORT for all addresses.
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

// Serve serves the metrics of e until Close. It takes ownership of the listener.
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
		// strangers' mistakes are not the user's
		MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(netutil.LimitListener(ln, maxConnections))
	}()
	return s
}

// Close stops the server. Requests in progress get a moment to finish.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.done
}
