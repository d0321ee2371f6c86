package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

const usage = `headless: a participant in encrypted meetings, without a screen

  headless demo                    three members in one run, on bundled media; ends in about 20 s
  headless create [flags]          begins a meeting, prints an invite link and stays
  headless join [flags] INVITE     INVITE may be -: it is then the first line of stdin, where ps doesn't show it
  headless verify FILE             checks an attendance record, offline, and shows it

flags:
  --name S           what the others are shown (default Anonymous)
  --play FILE        send this file; repeat for more. .ogg (Opus), .ivf (VP8, VP9, AV1) or .h264
  --loop             play the files again and again
  --record DIR       write a file for each remote track
  --identity FILE    who you are; made if missing (default: somebody new each time)
  --contacts FILE    whom you know; made if missing, and rewritten whenever somebody is met or verified
  --admit auto|ask   create: let in whoever has a link, or ask for each (default ask)
  --attendance FILE  write the attendance record when it is over
  --exposure FILE    write, when it is over, who could observe what
  --listen ADDR      IP:PORT to listen on; one IPv4 and one IPv6 at most (default 127.0.0.1:0: this machine only)
  --router           ask your own router to let others in, and nobody else (PCP, NAT-PMP or UPnP)
  --reply            join: where no door can be reached, print a reply code for who sent the link, and wait to be dialled
  --relay URI        a relay that you may use (huisclos-relay:…); repeat for more
  --proxy URL        the proxy through which relays are reached, such as http://192.0.2.1:3128
  --duration D       leave after this time in the meeting, such as 90s or 1h
  --files DIR        where accepted files go; nothing there is overwritten
  --accept-files     accept every file that is offered, up to 4 GiB each
  --json             events as one JSON object a line

commands on stdin:
  admit WHO | deny WHO | remove WHO | ban WHO | lock | unlock | role WHO host|member|viewer | invite | reply CODE
  verify WHO | mark WHO | unmark WHO | contacts | say TEXT | tell WHO TEXT | react TEXT | hand up|down | askmute WHO
  record ask|consent WHO|refuse WHO|withdraw WHO|stop | members | words | stats | links | attendance FILE
  exposure FILE | leave | end
  send FILE [WHO] | accept FILE-ID [PATH] | refuse FILE-ID | pause FILE-ID | resume FILE-ID | cancel FILE-ID
  WHO is a name, or 8 or more digits of the beginning of a key; so of FILE-ID

exit status: 0 left or ended, 2 bad usage, invite, identity, contacts, record or media file, 3 removed, 4 denied, 5 network
`

// The modes.
const (
	modeDemo   = "demo"
	modeCreate = "create"
	modeJoin   = "join"
	modeVerify = "verify"
)

// options are the command line, checked as far as it can be without looking at files.
type options struct {
	mode     string
	name     string
	play     []string
	loop     bool
	record   string
	identity string
	open     bool // whoever has a link is let in
	listen   []netip.AddrPort
	duration time.Duration
	json     bool
	invite   string
	files    string
	// acceptFiles has every offered file received into files.
	acceptFiles bool

	router bool // may be asked
	reply  bool // print a reply code where nobody can be reached

	contacts   string // file of
	attendance string // where to write the record at the end
	exposure   string // where to write who could observe what, at the end
	file       string // to verify
	network    networkOptions
}

// inputError is something that the user gave and that can't be used: exit status 2.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

func badInput(format string, args ...any) error { return &inputError{fmt.Errorf(format, args...)} }

// parse reads the command line, without the program's name. The errors are flag.ErrHelp and *inputError.
func parse(args []string) (options, error) {
	if len(args) == 0 {
		return options{}, badInput("say what to do: demo, create, join or verify (headless -h explains)")
	}
	o := options{mode: args[0]}
	switch o.mode {
	case "-h", "-help", "--help", "help":
		return o, flag.ErrHelp
	case modeDemo, modeCreate, modeJoin, modeVerify:
	default:
		return o, badInput("%q is none of demo, create, join and verify (headless -h explains)", o.mode)
	}
	set := flag.NewFlagSet(o.mode, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	if o.takesPart() {
		o.define(set)
	}
	if err := set.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, badInput("%w (headless -h lists the flags)", err)
	}
	return o, o.rest(set.Args())
}

// define declares the flags of create and join.
func (o *options) define(set *flag.FlagSet) {
	set.StringVar(&o.name, "name", "Anonymous", "")
	set.Func("play", "", func(s string) error { o.play = append(o.play, s); return nil })
	set.BoolVar(&o.loop, "loop", false, "")
	set.StringVar(&o.record, "record", "", "")
	set.StringVar(&o.identity, "identity", "", "")
	set.StringVar(&o.contacts, "contacts", "", "")
	set.StringVar(&o.attendance, "attendance", "", "")
	set.StringVar(&o.exposure, "exposure", "", "")
	set.Func("listen", "", o.addListen)
	o.network.define(set)
	set.DurationVar(&o.duration, "duration", 0, "")
	set.BoolVar(&o.json, "json", false, "")
	set.StringVar(&o.files, "files", "", "")
	set.BoolVar(&o.acceptFiles, "accept-files", false, "")
	set.BoolVar(&o.router, "router", false, "")
	if o.mode == modeJoin {
		set.BoolVar(&o.reply, "reply", false, "")
	}
	if o.mode == modeCreate {
		set.Func("admit", "", func(s string) error {
			o.open = s == "auto"
			if s != "auto" && s != "ask" {
				return errors.New("it is auto or ask")
			}
			return nil
		})
	}
}

func (o *options) addListen(s string) error {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return errors.New("an address is like 192.0.2.1:4000 or [2001:db8::1]:4000, with port 0 for any")
	}
	same := func(a netip.AddrPort) bool { return a.Addr().Unmap().Is4() == addr.Addr().Unmap().Is4() }
	if slices.ContainsFunc(o.listen, same) {
		return errors.New("one IPv4 and one IPv6 address at most")
	}
	o.listen = append(o.listen, addr)
	return nil
}

// rest checks what flags alone can't, with the arguments after them.
func (o *options) rest(args []string) error {
	switch {
	case o.mode == modeJoin && len(args) == 0:
		return badInput("join needs an invite link")
	case o.mode == modeJoin && len(args) == 1:
		o.invite = args[0]
	case o.mode == modeVerify && len(args) != 1:
		return badInput("verify needs one file: an attendance record")
	case o.mode == modeVerify:
		o.file = args[0]
	case len(args) > 0:
		return badInput("%q is one argument too many (flags go before the invite)", args[len(args)-1])
	}
	if !o.takesPart() {
		return nil
	}
	if err := crypto.CheckName(o.name); err != nil {
		return badInput("--name: %w", err)
	}
	if o.acceptFiles && o.files == "" {
		return badInput("--accept-files: say where to, with --files DIR")
	}
	if o.duration < 0 {
		return badInput("--duration: %v is not a time to stay", o.duration)
	}
	if len(o.play) > meet.MaxPublications {
		return badInput("--play: at most %d files", meet.MaxPublications)
	}
	if len(o.listen) == 0 {
		o.listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	return nil
}

// takesPart says whether the mode is one of those that enter a meeting with the user's flags.
func (o *options) takesPart() bool { return o.mode == modeCreate || o.mode == modeJoin }

// local reports whether nobody on another machine can reach us.
func (o *options) local() bool {
	return !slices.ContainsFunc(o.listen, func(a netip.AddrPort) bool { return !a.Addr().Unmap().IsLoopback() })
}

// oneLine makes a sentence of an error's text, which may have come from a library.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
