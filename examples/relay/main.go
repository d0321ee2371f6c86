package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/huisclos/huisclos/transport/relay"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	gologshim.SetDefaultHandler(slog.DiscardHandler) // libp2p's own log names addresses
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	if err := run(ctx, os.Args[1:], reload, os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "huisclos-relay:", sentence(err))
		os.Exit(1)
	}
}

// run is the program; it ends with ctx. out gets what is for the operator's eyes, logs what happens.
func run(ctx context.Context, args []string, reload <-chan os.Signal, out, logs io.Writer) error {
	s, err := parse(args, logs)
	if err != nil {
		return err
	}
	if s.newToken != "" {
		return addToken(s, out)
	}
	key, err := loadKey(s.keyFile)
	if err != nil {
		return err
	}
	tokens, err := loadTokens(s.tokensFile, true)
	if err != nil {
		return err
	}
	s.config.Key, s.config.Tokens = key, tokens
	if s.show {
		return show(s, publicKey(key), tokens, tokens.All(), out)
	}
	log := slog.New(slog.NewTextHandler(logs, nil))
	s.config.Logger = log
	if _, err := s.publicAddresses(0); err != nil {
		return err // before a port is opened
	}
	r, err := relay.Listen(s.config)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if s.metrics != "" {
		stop, err := serveMetrics(s.metrics, r)
		if err != nil {
			return err
		}
		defer stop()
	}
	s.port = r.Addresses()[0].Port()
	if s.quiet {
		_, _ = fmt.Fprintf(out, "fingerprint  %s\n%d tokens; huisclos-relay -show prints what to hand out\n", r.Key().Fingerprint(), tokens.Len())
	} else if err := show(s, r.Key(), tokens, tokens.All(), out); err != nil {
		return err
	}
	log.Info("running", "sockets", r.Addresses(), "tokens", tokens.Len())
	serve(ctx, s, r, reload, log)
	log.Info("shutting down", "circuits", r.Stats().Circuits)
	drain, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	return r.Shutdown(drain)
}

// serve reads the tokens again whenever it is told to, until ctx is done. A file that can't be read changes nothing.
func serve(ctx context.Context, s *settings, r *relay.Relay, reload <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
			tokens, err := loadTokens(s.tokensFile, false)
			if err != nil {
				log.Error("the tokens stay as they were", "reason", sentence(err))
				continue
			}
			r.SetTokens(tokens)
			log.Info("tokens read again", "tokens", tokens.Len())
		}
	}
}

// show prints what to hand out for some of the tokens. It is secret: it is how one gets in.
func show(s *settings, key relayauth.Key, tokens relayauth.Tokens, some []relayauth.Token, out io.Writer) error {
	addresses, err := s.publicAddresses(s.port)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "fingerprint  %s\n", key.Fingerprint())
	for _, a := range addresses {
		_, _ = fmt.Fprintf(out, "reached at   %s\n", a)
	}
	for _, t := range some {
		uri := relayauth.URI{Relay: key, Addresses: addresses, Token: t}
		if err := uri.Validate(); err != nil {
			return &problem{"the -public addresses don't fit: give at most 2 IP addresses, or 8 multiaddresses", err}
		}
		note := tokens.Note(t.ID())
		if note == "" {
			note = t.String()
		}
		_, _ = fmt.Fprintf(out, "\nHand this to those who may use the relay (%s):\n%s\n", note, uri)
	}
	if tokens.Len() == 0 {
		_, _ = fmt.Fprintln(out, "\nThere are no tokens, so nobody may use the relay; -new-token NAME makes one.")
	}
	return nil
}

// addToken appends a token to the file and prints what to hand out for it.
func addToken(s *settings, out io.Writer) error {
	key, err := loadKey(s.keyFile)
	if err != nil {
		return err
	}
	if _, err := s.publicAddresses(s.port); err != nil {
		return err
	}
	t, err := appendToken(s.tokensFile, s.newToken)
	if err != nil {
		return err
	}
	all, err := loadTokens(s.tokensFile, false)
	if err != nil {
		return err
	}
	if !all.Has(t.ID()) {
		return &problem{s.tokensFile + " doesn't hold the new token: its last line may lack an end", nil}
	}
	if err := show(s, publicKey(key), all, []relayauth.Token{t}, out); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, "\nA relay that runs takes it after SIGHUP (systemctl reload huisclos-relay).")
	return nil
}

// serveMetrics serves the counts to Prometheus.
func serveMetrics(address string, r *relay.Relay) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &problem{"can't serve metrics on " + address + ": " + reason(err) + "; choose another address with -metrics", err}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{r})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
