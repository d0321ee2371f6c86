package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Maître Dupont": "Maître Dupont", " a\nb ": "a b", "a\u202eb\u2066c\u200fd": "abcd", "a\x00\x1b[31mb": "a[31mb", "\xff": "\uFFFD",
		"👩\u200d⚖": "👩\u200d⚖", "\ufeffx": "x", strings.Repeat("é", 100): strings.Repeat("é", 32), "": "",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := cleanText("a\nb\u2028c" + strings.Repeat("x", 100_000)); !strings.HasPrefix(got, "a\nb c") || len(got) != maxChat {
		t.Error(len(got))
	}
}

func TestEncoderLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		targets  []int
		pictures []string
		layers   bool
		want     map[string]uint64
	}{
		"nobody there":              {nil, []string{"camera"}, false, map[string]uint64{"camera": startVideo}},
		"no picture":                {[]int{0}, nil, false, nil},
		"nothing known":             {[]int{0}, []string{"camera"}, false, map[string]uint64{"camera": startVideo}},
		"nothing known, many":       {make([]int, 20), []string{"camera"}, false, map[string]uint64{"camera": 400_000}},
		"the slowest rules":         {[]int{5_000_000, 1_000_000, 0}, []string{"camera"}, false, map[string]uint64{"camera": 836_000}},
		"never more than is of use": {[]int{50_000_000}, []string{"camera"}, false, map[string]uint64{"camera": mostVideo}},
		"never too little for any":  {[]int{10_000}, []string{"camera"}, false, map[string]uint64{"camera": leastVideo}},
		"the screen has two thirds": {[]int{1_071_111}, []string{"camera", "screen"}, false, map[string]uint64{"camera": 299_999, "screen": 599_999}},
		"layers, nothing known":     {[]int{0}, []string{"camera"}, true, map[string]uint64{"camera": mostVideo}},
		"layers, the fastest rules": {[]int{500_000, 90_000}, []string{"camera"}, true, map[string]uint64{"camera": 1_500_000}},
		"layers, all slow":          {[]int{100_000, 90_000}, []string{"camera"}, true, map[string]uint64{"camera": leastLayers}},
		"layers beside the screen":  {[]int{1_000_000}, []string{"camera", "screen"}, true, map[string]uint64{"camera": mostVideo, "screen": 701_000}},
	} {
		if got := encoderLimits(tt.targets, tt.pictures, tt.layers); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want failure
	}{
		{meet.ErrLeft, failure{Code: left}}, {fmt.Errorf("x: %w", meet.ErrNotPermitted), failure{Code: notPermitted}},
		{&meet.RemovedError{ByName: "A\u202eb"}, failure{Code: removed, By: "Ab"}}, {&meet.RemovedError{Banned: true}, failure{Code: banned}},
		{&meet.EndedError{ByName: "Ada"}, failure{Code: endedByHost, By: "Ada"}}, {&meet.DeniedError{Reason: meet.DeniedLocked}, failure{Code: deniedLocked}},
		{&meet.InviteExpiredError{}, failure{Code: linkExpired}}, {&meet.ImpostorError{Err: errors.New("x")}, failure{Code: impostor}},
		{&meet.UnreachableError{Err: errors.New("x")}, failure{Code: unreachable}}, {errors.New("odd"), failure{Code: internal, Detail: "odd"}},
	} {
		if got := failureOf(tt.err); got == nil || *got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
	if failureOf(nil) != nil {
		t.Error("no error is one")
	}
}

// TestExposure: the page names the people who are in, and what is kept follows the store.
func TestExposure(t *testing.T) {
	s := firstState(options{})
	s.Members = []member{{Name: "Me", Self: true}, {Name: "Ada"}}
	kept := func() map[string]exposureRow {
		rows := map[string]exposureRow{}
		for _, r := range exposureOf(&s).Rows {
			rows[r.Datum] = r
		}
		return rows
	}
	rows := kept()
	for _, datum := range strings.Fields("ip device browser times names identity membership speaking chat private-chat media files recording attendance words contacts link") {
		if len(rows[datum].Seen) == 0 || rows[datum].Kept == "" || rows[datum].Purpose == "" || len(rows[datum].Where) == 0 {
			t.Errorf("%s: %+v", datum, rows[datum])
		}
	}
	if chat := rows["chat"]; chat.Kept != "memory" || chat.Seen[1].Party != "members" || !reflect.DeepEqual(chat.Seen[1].Names, []string{"Ada"}) {
		t.Errorf("%+v", chat)
	}
	if p := rows["private-chat"].Seen[1]; p.How != "possible" || p.Names != nil || rows["attendance"].Kept != "members" {
		t.Errorf("%+v", p)
	}
	s.Members = append(s.Members, member{ID: "b", Name: "Blaise"})
	s.Chat = []message{{Name: "Ada", To: "a"}, {Name: "Me", To: "b", Self: true}, {Name: "Carl"}, {Name: "Ada", To: "a"}}
	s.Store.History, s.Store.RetentionDays = true, 30
	if p := kept()["private-chat"].Seen[1]; p.How != "clear" || !reflect.DeepEqual(p.Names, []string{"Ada", "Blaise"}) {
		t.Errorf("%+v", p)
	}
	for _, datum := range []string{"chat", "attendance"} {
		if row := kept()[datum]; row.Kept != "store" || row.Days != 30 {
			t.Errorf("%+v", row)
		}
	}
	s.Phase.Alone = true
	for datum, row := range kept() {
		for _, p := range row.Seen {
			if p.Party == "carrier" || p.Party == "access-provider" {
				t.Errorf("alone, and %s sees %s", p.Party, datum)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	f, err := parse([]string{"-no-browser", "-language", "fr", "-listen", "127.0.0.1:0,[::1]:0", "-grace", "2s", "-data", "/x", "huisclos:y"}, os.Stderr)
	if err != nil || !f.noBrowser || f.language != "fr" || len(f.listen) != 2 || f.grace != 2*time.Second || f.data != "/x" || f.link != "huisclos:y" {
		t.Errorf("%+v, %v", f, err)
	}
	var quiet strings.Builder
	for _, bad := range [][]string{{"-language", "de"}, {"-listen", "x"}, {"a", "b"}, {"-nonsense"}} {
		if _, err := parse(bad, &quiet); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// TestLaunchFile: nobody else can read the file that leads the browser here, and it has the URL, escaped.
func TestLaunchFile(t *testing.T) {
	path, err := launchFile("http://127.0.0.1:1/#TOKEN")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(path)) }()
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), `url=http://127.0.0.1:1/#TOKEN"`) {
		t.Error(string(raw), err)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Error(info.Mode(), err)
		}
	}
}

func TestQueue(t *testing.T) {
	q := newQueue()
	done, got := make(chan struct{}), make(chan int, 100)
	go q.run(done)
	for i := range 100 {
		q.add(func() { got <- i })
	}
	for i := range 100 {
		if n := <-got; n != i {
			t.Fatalf("%d in the place of %d", n, i)
		}
	}
	close(done)
}

// TestPolicy: a policy is the same after a way to the page and back.
func TestPolicy(t *testing.T) {
	p := meet.DefaultPolicy()
	p.Admitters = meet.MembersAdmit
	p.Members = meet.PermitAudio | meet.PermitFiles
	raw, _ := json.Marshal(policyOf(p))
	var back policy
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if got, err := back.parse(); err != nil || got != p {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []policy{{}, {Entry: "ask", Admitters: "nobody"}, {Entry: "ask", Admitters: "hosts", Members: []string{"fly"}}} {
		if _, err := bad.parse(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestLoudness(t *testing.T) {
	for dBov, want := range map[int]float64{-127: 0, -60: 0, -45: 0.25, -20: 0.67, 0: 1, 12: 1} {
		if got := loudness(dBov); got != want {
			t.Errorf("%d: %v, want %v", dBov, got, want)
		}
	}
}
