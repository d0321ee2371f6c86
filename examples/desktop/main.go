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

	"github.com/huisclos/huisclos/examples/desktop/internal/instance"
)

const usage = `huisclos: end-to-end encrypted meetings without a server.

  desktop [flags] [huisclos:LINK]

It shows a page in your browser. To end it, choose "Close Huis clos" there, or press Ctrl-C here.

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
	f.run = filepath.Join(f.data, "run")
	if f.data == "" {
		var err error
		if f.run, err = usualRun(); err != nil {
			return f, err
		}
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

// show opens the browser at a URL, or says where to.
func show(url string, noBrowser bool, stdout io.Writer) {
	if noBrowser {
		_, _ = fmt.Fprintln(stdout, url)
	} else if err := openBrowser(url); err != nil {
		_, _ = fmt.Fprintln(stdout, "No browser could be opened. Open this address, within two minutes:", url)
	}
}

// usualRun is the directory of what ends with the program: its spool and its socket. It is on this machine, and only the
// user may enter it.
func usualRun() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return os.MkdirTemp("", "huisclos-")
	}
	return filepath.Join(dir, "huisclos"), nil
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
	defer stop()
	context.AfterFunc(ctx, stop)                     // a second signal ends the program at once
	if url, ok := instance.Hand(f.run, f.link); ok { // it runs already, and has the link now
		show(url, f.noBrowser, stdout)
		return 0
	}
	a, err := newAgent(ctx, f.options)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "desktop:", err)
		return 1
	}
	if first, err := instance.Listen(f.run, a.openAgain); err == nil { // else each start is its own
		defer func() { _ = first.Close() }()
		context.AfterFunc(a.context, func() { _ = first.Close() }) // no later start waits for one that is ending
	}
	show(a.port.LaunchURL(), f.noBrowser, stdout)
	if err := a.wait(); err != nil {
		_, _ = fmt.Fprintln(stderr, "desktop:", err)
		return 1
	}
	_, _ = fmt.Fprintln(stdout, "huisclos has ended.")
	return 0
}
