package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const usage = `huisclos: end-to-end encrypted meetings without a server.

  desktop [flags] [huisclos:LINK]

It shows a page in your browser. To end it, choose Quit there, or press Ctrl-C here.

`

func main() { os.Exit(program(os.Args[1:], os.Stdout, os.Stderr)) }

type flags struct {
	options
	noBrowser bool
}

func parse(args []string, stderr io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("desktop", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		set.PrintDefaults()
	}
	var listen string
	set.BoolVar(&f.noBrowser, "no-browser", false, "don't open a browser; print the address to open")
	set.StringVar(&f.language, "language", "", "fr or en; the system's if empty")
	set.StringVar(&listen, "listen", "", "where meetings listen, ADDRESS:PORT, at most one IPv4 and one IPv6, with a comma; everywhere if empty")
	set.DurationVar(&f.grace, "grace", 30*time.Second, "how long a meeting goes on when its tab was closed")
	set.DurationVar(&f.idle, "idle", 10*time.Minute, "how long the program stays without tab and meeting; 0 is for ever")
	set.StringVar(&f.data, "data", "", "directory of what is remembered, if you have it remembered; the system's usual place if empty")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if f.language != "" && f.language != "fr" && f.language != "en" {
		return f, fmt.Errorf("-language %q: fr or en", f.language)
	}
	for _, text := range strings.FieldsFunc(listen, func(r rune) bool { return r == ',' }) {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return f, fmt.Errorf("-listen %q: %w", text, err)
		}
		f.listen = append(f.listen, address)
	}
	if f.data == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			dir = os.TempDir() // where nothing is kept for long, rather than not at all
		}
		f.data = filepath.Join(dir, "huisclos")
	}
	switch set.NArg() {
	case 0:
	case 1:
		f.link = set.Arg(0)
	default:
		return f, errors.New("one link at most")
	}
	return f, nil
}

// program is everything but the exit.
func program(args []string, stdout, stderr io.Writer) int {
	f, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "desktop:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	a, err := newAgent(ctx, f.options)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "desktop:", err)
		return 1
	}
	if f.noBrowser {
		_, _ = fmt.Fprintln(stdout, a.port.LaunchURL())
	} else if err := openBrowser(a.port.LaunchURL()); err != nil {
		_, _ = fmt.Fprintln(stdout, "No browser could be opened. Open this address, within two minutes:", a.port.LaunchURL())
	}
	if err := a.wait(); err != nil {
		_, _ = fmt.Fprintln(stderr, "desktop:", err)
		return 1
	}
	_, _ = fmt.Fprintln(stdout, "huisclos has ended.")
	return 0
}
