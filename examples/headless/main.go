package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// The exit statuses.
const (
	statusOver    = 0 // left, or ended
	statusFailed  = 1 // the demo saw something that should not be
	statusInput   = 2
	statusRemoved = 3
	statusDenied  = 4
	statusNetwork = 5
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program. It returns its exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprint(stdout, usage)
		return statusOver
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "headless:", oneLine(err))
		return statusInput
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	switch o.mode {
	case modeDemo:
		return demo(ctx, stdout, language(os.Getenv))
	case modeVerify:
		return verifyFile(o.file, stdout, stderr, language(os.Getenv))
	}
	out := newOutput(stdout, o.json)
	err = takePart(ctx, o, readLines(stdin), out)
	end := ending(err)
	if o.json || end.Status == statusOver {
		out.event("ended", end, "%s", end.Error)
	}
	if end.Status != statusOver {
		_, _ = fmt.Fprintln(stderr, "headless:", end.Error)
	}
	return end.Status
}

// readLines sends the lines of r until it ends; nothing more comes then, and the program goes on.
func readLines(r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		s := bufio.NewScanner(r)
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	return lines
}

// takePart checks everything the user gave, enters the meeting and stays. It returns why it ended.
func takePart(ctx context.Context, o options, lines <-chan string, out *output) error {
	files, err := openMedia(o.play)
	if err != nil {
		return err
	}
	var r *recordings
	if o.record != "" {
		if r, err = newRecordings(o.record, out); err != nil {
			return err
		}
	}
	shared, err := newFiles(o)
	if err != nil {
		return err
	}
	defer shared.close()
	var link meet.Invite
	if o.mode == modeJoin {
		if link, err = readInvite(ctx, o.invite, lines); err != nil {
			return err
		}
	}
	config := meet.Config{Name: o.name, Listen: o.listen, AskRouter: o.router}
	o.network.apply(&config)
	if config.Identity = crypto.GenerateIdentity(); o.identity != "" {
		if config.Identity, err = loadIdentity(o.identity); err != nil {
			return err
		}
	}
	var known *contactFile
	if o.contacts != "" {
		if known, config.Contacts, err = loadContacts(o.contacts); err != nil {
			return err
		}
	}
	began := time.Now()
	m, err := enter(ctx, o, link, config, lines, out)
	if err != nil {
		return err
	}
	if err := ready(ctx, m, o, config.Identity, out); err != nil {
		return errors.Join(err, m.Close())
	}
	p := newParticipant(m, out, r)
	p.began = began
	p.files = shared
	p.contacts = known
	err = p.run(ctx, lines, o.duration, files, o.loop)
	if o.attendance != "" {
		if err := p.attendance(context.Background(), o.attendance); err != nil {
			p.refuse("attendance", err)
		}
	}
	if o.exposure != "" {
		if err := p.exposure(context.Background(), o.exposure); err != nil {
			p.refuse("exposure", err)
		}
	}
	return err
}

func readInvite(ctx context.Context, text string, lines <-chan string) (meet.Invite, error) {
	if text == "-" {
		select {
		case text = <-lines:
		case <-ctx.Done():
			return meet.Invite{}, meet.ErrLeft
		}
	}
	link, err := meet.ParseInvite(text)
	if err != nil {
		return link, badInput("%w", err)
	}
	return link, nil
}

// enter creates a meeting or joins one, which may take as long as somebody lets us wait.
func enter(ctx context.Context, o options, link meet.Invite, config meet.Config, lines <-chan string, out *output) (*meet.Meeting, error) {
	if o.mode == modeCreate {
		config.Policy = meet.DefaultPolicy()
		if o.open {
			config.Policy.Entry = meet.EntryOpen
		}
		return meet.Create(ctx, config)
	}
	config.OnWaiting = func() { out.event("waiting", nil, "waiting at the door until somebody decides") }
	if o.reply {
		config.OnReply = func(code string) {
			out.event("reply", replyData{code}, "nobody can be reached; send this code to who sent you the link, and leave this running: %s", code)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	joined := make(chan struct{})
	var m *meet.Meeting
	var err error
	go func() {
		defer close(joined)
		m, err = meet.Join(ctx, link, config)
	}()
	for {
		select {
		case <-joined:
			return m, err
		case line := <-lines:
			if line == "leave" {
				cancel(meet.ErrLeft)
			} else if line != "" {
				text := "not in the meeting yet: only leave works"
				out.event("error", errorData{line, text}, "can't %s: %s", line, text)
			}
		}
	}
}

// ready says that we are in, and makes the first invite of a new meeting.
func ready(ctx context.Context, m *meet.Meeting, o options, self *crypto.Identity, out *output) error {
	id := m.ID()
	d := readyData{Name: o.name, Key: hexKey(self.Public()), Meeting: hexBytes(id[:])}
	if o.mode == modeJoin {
		out.event("ready", d, "you are in the meeting as %s (%s)", o.name, self.Public())
		return nil
	}
	link, err := m.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		return err
	}
	d.Invite = link.String()
	reach := "it shows your address to whoever carries it"
	if o.local() {
		reach = "it works on this machine only, see --listen"
	}
	out.event("ready", d, "the meeting has begun; send this link (%s): %s", reach, d.Invite)
	showReach(link, out)
	return nil
}

// ending says how the program ends, for the reason why the meeting did or never began.
func ending(err error) endedData {
	d := endedData{Reason: "network", Error: oneLine(err), Status: statusNetwork}
	var input *inputError
	var removed *meet.RemovedError
	var ended *meet.EndedError
	var denied *meet.DeniedError
	var expired *meet.InviteExpiredError
	switch {
	case errors.As(err, &input), errors.As(err, &expired), errors.Is(err, meet.ErrContact):
		d.Reason, d.Status = "input", statusInput
	case errors.As(err, &removed):
		d.Reason, d.Status = "removed", statusRemoved
		if removed.Banned {
			d.Reason = "banned"
		}
		d.By, d.ByKey = removed.ByName, hexKey(removed.By)
	case errors.As(err, &ended):
		d.Reason, d.Status = "ended", statusOver
		d.By, d.ByKey = ended.ByName, hexKey(ended.By)
	case errors.As(err, &denied), errors.Is(err, meet.ErrAdmissionVoid):
		d.Reason, d.Status = "denied", statusDenied
	case errors.Is(err, meet.ErrResumedElsewhere):
		d.Reason, d.Status = "resumed elsewhere", statusOver
	case errors.Is(err, meet.ErrLeft), errors.Is(err, meet.ErrClosed), errors.Is(err, context.Canceled):
		d.Reason, d.Error, d.Status = "left", meet.ErrLeft.Error(), statusOver
	}
	return d
}
