package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/internal/media"
)

// runOnce runs headless to its end.
func runOnce(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := headless("wordless", args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// link is a well-formed invite of a meeting that doesn't exist, after a change.
func link(t *testing.T, change func(*crypto.Link)) string {
	t.Helper()
	incarnation, err := crypto.GenerateIdentity().NewIncarnation(crypto.MeetingID{1})
	if err != nil {
		t.Fatal(err)
	}
	invite := crypto.NewInvite()
	l := crypto.Link{
		Meeting: crypto.MeetingID{1}, Secret: invite.Secret, DoorKey: invite.Door.Public(),
		Doors: []crypto.Door{{Key: incarnation.Key()}},
	}
	if change != nil {
		change(&l)
	}
	return l.String()
}

// writeFile makes a file with some content.
func writeFile(t *testing.T, name string, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// TestBadInput: what can't be used is refused before anybody hears of us, with exit status 2 and one sentence.
func TestBadInput(t *testing.T) {
	t.Parallel()
	good := link(t, nil)
	speech, err := media.FS.ReadFile("speech-1.ogg")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := media.FS.ReadFile("picture-1.ivf")
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 5000)
	rand.Read(random)
	identity, err := crypto.GenerateIdentity().Export()
	if err != nil {
		t.Fatal(err)
	}
	private, public := os.FileMode(0o600), os.FileMode(0o644)
	for name, tt := range map[string]struct {
		args []string
		want string // in the sentence
	}{
		"nothing":             {nil, "say what to do"},
		"unknown mode":        {[]string{"host"}, `"host" is none of`},
		"unknown flag":        {[]string{"create", "--colour", "red"}, "-colour"},
		"demo with a flag":    {[]string{"demo", "--json"}, "-json"},
		"verify nothing":      {[]string{"verify"}, "needs one file"},
		"verify no file":      {[]string{"verify", filepath.Join(t.TempDir(), "none")}, "none"},
		"verify no record":    {[]string{"verify", writeFile(t, "r", []byte("{}"), private)}, "no genuine attendance record"},
		"no invite":           {[]string{"join"}, "needs an invite link"},
		"two invites":         {[]string{"join", good, good}, "one argument too many"},
		"create with invite":  {[]string{"create", good}, "one argument too many"},
		"admit in join":       {[]string{"join", "--admit", "auto", good}, "-admit"},
		"admit of no kind":    {[]string{"create", "--admit", "nobody"}, "it is auto or ask"},
		"duration":            {[]string{"create", "--duration", "soon"}, "-duration"},
		"negative duration":   {[]string{"create", "--duration", "-1s"}, "not a time to stay"},
		"name":                {[]string{"create", "--name", "a\x1b[2Jb"}, "without control characters"},
		"long name":           {[]string{"create", "--name", strings.Repeat("a", 65)}, "1 to 64 bytes"},
		"listen":              {[]string{"create", "--listen", "localhost"}, "an address is like"},
		"listen twice":        {[]string{"create", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"}, "one IPv4 and one IPv6"},
		"record into a file":  {[]string{"create", "--record", writeFile(t, "f", nil, private)}, "--record"},
		"malformed link":      {[]string{"join", "https://example.org/meeting"}, "not an invite link"},
		"truncated link":      {[]string{"join", good[:len(good)-9]}, "cut short"},
		"link cut to nothing": {[]string{"join", "huisclos:1-"}, "cut short"},
		"changed link":        {[]string{"join", good[:100] + "AAAA" + good[104:]}, "changed"},
		"oversized link":      {[]string{"join", good + strings.Repeat("A", 5000)}, "too long"},
		"expired link":        {[]string{"join", link(t, func(l *crypto.Link) { l.Expiry = time.Unix(1e9, 0) })}, "expired"},
		"other version":       {[]string{"join", "huisclos:2-" + good[len("huisclos:1-"):]}, "another version"},
		"too many doors": {[]string{"join", link(t, func(l *crypto.Link) {
			for len(l.Doors) <= crypto.MaxDoors {
				l.Doors = append(l.Doors, l.Doors[0])
			}
		})}, "too many addresses"},
		"hidden, no relay":      {[]string{"create", "--hide-address"}, "name one with --relay"},
		"hidden, found by mDNS": {[]string{"join", "--hide-address", "--mdns", good}, "--mdns shows it on the local network: take one"},
		"hidden, found by DHT":  {[]string{"create", "--hide-address", "--dht-bootstrap", "public"}, "--dht-bootstrap shows it to the DHT's nodes: take one"},
		"LAN only, DHT":         {[]string{"join", "--lan-only", "--dht-bootstrap", "public", good}, "--dht-bootstrap has them leave it: take one"},
		"LAN only, proxy":       {[]string{"create", "--lan-only", "--proxy", "http://192.0.2.1:3128"}, "--proxy has them leave it: take one"},
		"missing media":         {[]string{"join", "--play", "missing.ogg", good}, "missing.ogg"},
		"media of no kind":      {[]string{"create", "--play", writeFile(t, "a.mp3", speech, private)}, "must end in .ogg"},
		"empty media":           {[]string{"create", "--play", writeFile(t, "a.ogg", nil, private)}, "empty"},
		"random sound":          {[]string{"create", "--play", writeFile(t, "a.ogg", random, private)}, "a.ogg"},
		"random picture":        {[]string{"create", "--play", writeFile(t, "a.ivf", random, private)}, "a.ivf"},
		"random H.264":          {[]string{"create", "--play", writeFile(t, "a.h264", random, private)}, "a.h264"},
		"truncated sound":       {[]string{"create", "--play", writeFile(t, "a.ogg", speech[:len(speech)/2], private)}, "a.ogg"},
		"truncated picture":     {[]string{"create", "--play", writeFile(t, "a.ivf", picture[:len(picture)/2], private)}, "a.ivf"},
		"folder for media":      {[]string{"create", "--play", t.TempDir()}, "--play"},
		"malformed identity":    {[]string{"create", "--identity", writeFile(t, "i", random, private)}, "not an exported identity"},
		"truncated identity":    {[]string{"create", "--identity", writeFile(t, "i", []byte(identity[:40]), private)}, "cut short"},
		"identity others read":  {[]string{"create", "--identity", writeFile(t, "i", []byte(identity), public)}, "chmod 600"},
		"identity in no folder": {[]string{"create", "--identity", filepath.Join(t.TempDir(), "missing", "i")}, "--identity"},
		"contacts of no kind":   {[]string{"create", "--contacts", writeFile(t, "c", random, private)}, "--contacts"},
		"contacts others read":  {[]string{"create", "--contacts", writeFile(t, "c", []byte("{}"), public)}, "chmod 600"},
		"contacts in no folder": {[]string{"create", "--contacts", filepath.Join(t.TempDir(), "missing", "c")}, "--contacts"},
		"folder for contacts":   {[]string{"create", "--contacts", t.TempDir()}, "not a file"},
		"a contact of nobody":   {[]string{"create", "--contacts", writeFile(t, "c", []byte(`{"contacts":[{"identity":"ab"}]}`), private)}, "64 hexadecimal"},
		"a contact twice":       {[]string{"create", "--contacts", writeFile(t, "c", []byte(`{"contacts":[{"identity":"`+strings.Repeat("ab", 32)+`"},{"identity":"`+strings.Repeat("ab", 32)+`"}]}`), private)}, "there twice"},
		"folder for identity":   {[]string{"create", "--identity", t.TempDir()}, "not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := runOnce(t, tt.args...)
			sentence, ok := strings.CutPrefix(stderr, "headless: ")
			switch {
			case status != statusInput:
				t.Errorf("exit status %d, want %d; it said %q", status, statusInput, stderr)
			case !ok || strings.Count(sentence, "\n") != 1 || !strings.HasSuffix(sentence, "\n"):
				t.Errorf("it said %q, which is no single line", stderr)
			case !strings.Contains(sentence, tt.want):
				t.Errorf("it said %q, without %q", sentence, tt.want)
			case strings.Contains(stdout, "ready"):
				t.Errorf("it took part: %q", stdout)
			}
		})
	}
}

// TestUnreachable: a link to somebody who is gone.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	claire := start(t, "create", "Claire")
	invite := claire.ready().Invite
	claire.tell("leave")
	claire.exits(statusOver)
	_, stderr, status := runOnce(t, "join", invite)
	if status != statusNetwork || !strings.Contains(stderr, "nobody answers") {
		t.Errorf("exit status %d, want %d; it said %q", status, statusNetwork, stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-h"}, {"join", "--help"}, {"demo", "-h"}} {
		if stdout, stderr, status := runOnce(t, args...); status != statusOver || stdout != usage || stderr != "" {
			t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
