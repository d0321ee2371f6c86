package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtp"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"create", "--name", "Maître Ève", "--play", "a.ogg", "--play=b.ivf", "-loop", "--record", "d",
		"--identity", "i", "--admit", "auto", "--listen", "0.0.0.0:4000", "--listen", "[::]:4000", "--duration", "90s", "--json"})
	if err != nil {
		t.Fatal(err)
	}
	if o.mode != modeCreate || o.name != "Maître Ève" || !reflect.DeepEqual(o.play, []string{"a.ogg", "b.ivf"}) || !o.loop || o.record != "d" ||
		o.identity != "i" || !o.open || len(o.listen) != 2 || o.duration != 90*time.Second || !o.json || o.local() {
		t.Errorf("%+v", o)
	}
	o, err = parse([]string{"join", "LINK"})
	if err != nil || o.invite != "LINK" || o.name != "Anonymous" || len(o.listen) != 1 || o.listen[0].String() != "127.0.0.1:0" || !o.local() {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parse([]string{"create", "--help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	var input *inputError
	if _, err := parse([]string{"join"}); !errors.As(err, &input) {
		t.Errorf("join: %v", err)
	}
}

func TestFind(t *testing.T) {
	a, b, c := crypto.IdentityKey{0xab, 0xcd, 0xef, 0x01, 0x23}, crypto.IdentityKey{0xab, 0xcd, 0xef, 0x01, 0x24}, crypto.IdentityKey{0x11}
	among := []person{{a, "Paul"}, {b, "Emma"}, {c, "paul"}, {crypto.IdentityKey{0x22}, "Maître Ève Martin"}, {crypto.IdentityKey{0x33}, "abcdef0123"}}
	for _, tt := range []struct {
		who  string
		want *person
	}{
		{"Emma", &among[1]},
		{"emma", &among[1]},
		{"maître ève martin", &among[3]},
		{"abcdef0124", &among[1]},
		{"ABCDEF0124", &among[1]},
		{hexKey(a), &among[0]},
		{"Paul", nil},       // two of that name
		{"abcdef01", nil},   // two of that beginning
		{"abcdef0123", nil}, // one's name is the beginning of another's key
		{"1100000", nil},    // too short
		{"11000000", &among[2]},
		{"Em", nil},
		{"", nil},
	} {
		got, err := find(tt.who, among)
		if tt.want == nil {
			if err == nil {
				t.Errorf("%q is %s", tt.who, got.name)
			}
		} else if err != nil || got != *tt.want {
			t.Errorf("%q is %v, %v, want %s", tt.who, got.name, err, tt.want.name)
		}
	}
}

// TestAddressee: what is for one person never goes to another by mistake.
func TestAddressee(t *testing.T) {
	anna, maria, paul := person{crypto.IdentityKey{0xab, 0xcd, 0xef, 0x01}, "Anna"}, person{crypto.IdentityKey{2}, "Anna Maria"}, person{crypto.IdentityKey{3}, "Paul"}
	for _, tt := range []struct {
		argument string
		among    []person
		to, text string
	}{
		{"Paul good morning", []person{anna, maria, paul}, "Paul", "good morning"},
		{"anna maria good morning", []person{maria, paul}, "Anna Maria", "good morning"},
		{"Anna Maria is late", []person{anna, paul}, "Anna", "Maria is late"},
		{"Anna Maria is late", []person{anna, maria}, "", ""},
		{"abcdef01 Maria  is late", []person{anna, maria}, "Anna", "Maria  is late"},
		{"Paul hello", []person{paul, {crypto.IdentityKey{4}, "paul"}}, "", ""},
		{"Emma hello", []person{anna, paul}, "", ""},
		{"Paul", []person{paul}, "", ""},
		{"", []person{paul}, "", ""},
	} {
		to, text, err := addressee(tt.argument, tt.among)
		if to.name != tt.to || text != tt.text || (err == nil) != (tt.to != "") {
			t.Errorf("%q goes to %q: %q, %v", tt.argument, to.name, text, err)
		}
	}
}

func TestOutput(t *testing.T) {
	var b bytes.Buffer
	o := newOutput(&b, true)
	o.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6789012, time.UTC) }
	o.event("chat", chatData{"<Paul>", "00", "a\nb\x1b & \u202e", true}, "unused")
	o.event("waiting", nil, "unused")
	want := `{"time":"2026-01-02T03:04:05.006Z","event":"chat","from":"<Paul>","key":"00","text":"a\nb\u001b & ` + "\u202e" + `","private":true}` + "\n" +
		`{"time":"2026-01-02T03:04:05.006Z","event":"waiting"}` + "\n"
	if b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%s isn't JSON", line)
		}
	}
	b.Reset()
	o.json = false
	o.event("chat", nil, "%s: %s", "Paul", "a\nb\x1b[2J\u202e\u2028")
	if want := "03:04:05 Paul: a\uFFFDb\uFFFD[2J\uFFFD\uFFFD\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestSpeakerEvent: who speaks is told, and that nobody does.
func TestSpeakerEvent(t *testing.T) {
	var b bytes.Buffer
	p := &participant{out: newOutput(&b, true)}
	p.event(meet.ActiveSpeaker{Member: meet.Member{Name: "Paul", Identity: crypto.IdentityKey{0xab}}, OK: true})
	p.event(meet.ActiveSpeaker{})
	lines := strings.Split(b.String(), "\n")
	if !strings.Contains(lines[0], `"event":"active_speaker","name":"Paul","key":"ab00`) || !strings.HasSuffix(lines[1], `"event":"active_speaker"}`) {
		t.Errorf("%s", b.String())
	}
}

func TestEnding(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason string
		status int
	}{
		{meet.ErrLeft, "left", 0},
		{context.Canceled, "left", 0},
		{&meet.EndedError{ByName: "Claire"}, "ended", 0},
		{meet.ErrResumedElsewhere, "resumed elsewhere", 0},
		{badInput("no"), "input", 2},
		{&meet.InviteExpiredError{}, "input", 2},
		{&meet.RemovedError{ByName: "Claire"}, "removed", 3},
		{&meet.RemovedError{ByName: "Claire", Banned: true}, "banned", 3},
		{&meet.DeniedError{Reason: meet.DeniedLocked}, "denied", 4},
		{meet.ErrAdmissionVoid, "denied", 4},
		{&meet.UnreachableError{Err: errors.New("no route")}, "network", 5},
		{&meet.ImpostorError{Err: errors.New("another")}, "network", 5},
		{errors.New("can't listen"), "network", 5},
	} {
		if got := ending(tt.err); got.Reason != tt.reason || got.Status != tt.status || got.Error == "" {
			t.Errorf("%v: %+v", tt.err, got)
		}
	}
}

func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	made, err := loadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	read, err := loadIdentity(path)
	if err != nil || read.Public() != made.Public() {
		t.Errorf("the second time it is somebody else: %v", err)
	}
}

// TestFeed: in virtual time, packets leave exactly when they should, over several rounds.
func TestFeed(t *testing.T) {
	source := func() *mediafile.Source {
		s, err := mediafile.OpenFS(media.FS, "picture-1.ivf")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		times, s := source(), source()
		start := time.Now()
		frames := 0
		check := func(p *rtp.Packet) error {
			if p.Marker {
				f, err := times.Next()
				if err != nil {
					times.Rewind()
					f, err = times.Next()
				}
				if err != nil || time.Since(start) != f.At {
					t.Errorf("frame %d left at %v, its time is %v (%v)", frames, time.Since(start), f.At, err)
				}
				frames++
			}
			return nil
		}
		if err := feed(t.Context(), s, start, false, check); err != nil || time.Since(start) != s.Duration() || frames != 180 {
			t.Errorf("one round: %v, %v, %d frames", err, time.Since(start), frames)
		}
		times, s = source(), source()
		start, frames = time.Now(), 0
		ctx, cancel := context.WithTimeout(t.Context(), 2*s.Duration()+s.Duration()/2)
		defer cancel()
		if err := feed(ctx, s, start, true, check); !errors.Is(err, context.DeadlineExceeded) || frames < 445 || frames > 455 {
			t.Errorf("two rounds and a half: %v, %d frames", err, frames)
		}
	})
}
