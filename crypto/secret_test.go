package crypto

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// publicTypes are the exported types that hold no secret. A new exported type belongs
// here or into secretValues, or TestSecretsAreHidden fails.
var publicTypes = []string{
	"Hash", "MeetingID", "IdentityKey", "MeetingKey", "StaticKey", "Signature", "Nonce",
	"InviteID", "InviteKey", "Bundle", "Door", "Knock", "PairEvent", "Epoch", "KeyView",
	"KeyStatement", "KeyAnnounce", "SealedMessage", "EquivocationError", "MediaFlags", "MediaHeader",
	"MediaPacket", "FileID", "MessageID", "Message", "Language", "Verification", "Person",
	"Invite",    // its two fields hide themselves: see below
	"Link",      // its text is its purpose: TestLinkIsNotLogged
	"ReplyCode", // sealed
}

// secretValues returns one value of each exported type that holds secrets, and those
// secrets.
func secretValues(t *testing.T) map[string]struct {
	value   any
	secrets [][]byte
} {
	type entry = struct {
		value   any
		secrets [][]byte
	}
	id := generateIdentity(seeded(1))
	inc := member(1)
	invite := testInvite(1)
	w := newWorld(t)
	r := w.reader()
	w.rotate(r)
	w.packet(16)
	d, first, err := NewDoorInitiator(inc, "Ada", invite.Secret, invite.Door.Public(), member(2).Key())
	if err != nil {
		t.Fatal(err)
	}
	answer, second, err := NewDoorResponder(member(2), invite, inc.Key(), first)
	if err != nil {
		t.Fatal(err)
	}
	private := inc.static
	_, channel, err := d.Finish(second)
	if err != nil {
		t.Fatal(err)
	}
	send := channel.send.UnsafeKey()
	a, b := pairOf(t)
	connect(t, a, b)
	comparison, _ := StartComparison(epoch0, inc, member(2).Bundle())
	fileKey := NewFileKey()
	fileCipher := must(fileKey.Cipher(testMeeting, inc.Key(), member(2).Key(), FileID{}))
	return map[string]entry{
		"Identity":      {id, [][]byte{id.seed}},
		"Incarnation":   {inc, [][]byte{inc.key[:32], inc.static}},
		"InviteSecret":  {invite.Secret, [][]byte{invite.Secret.bytes()}},
		"DoorKey":       {invite.Door, [][]byte{invite.Door.bytes()}},
		"DoorInitiator": {d, [][]byte{invite.Secret.bytes(), private, d.knocked.JoinerNonce[:]}},
		"DoorResponder": {answer, [][]byte{invite.Secret.bytes(), invite.Door.bytes(), answer.nonce[:]}},
		"DoorChannel":   {channel, [][]byte{send[:]}},
		"PairSession":   {a, [][]byte{a.inc.static}},
		"SenderKeys":    {w.keys, [][]byte{w.keys.current.key}},
		"SenderStream":  {w.keys.Stream(16), [][]byte{w.keys.current.key}},
		"ReaderKeys":    {r, [][]byte{w.keys.current.key}},
		"FileKey":       {fileKey, [][]byte{fileKey.key[:]}},
		"FileCipher":    {fileCipher, [][]byte{fileKey.key[:]}},
		"Comparison":    {comparison, [][]byte{comparison.nonce[:]}},
	}
}

// renderings formats v in every way a program might log it.
func renderings(v any) string {
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%b"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	fmt.Fprintln(&out, v, []any{v}, map[string]any{"k": v}, struct{ V any }{v})
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", "v", v, "list", []any{v}, "in", struct{ V any }{v})
	}
	j, err := json.Marshal(map[string]any{"v": v})
	fmt.Fprintf(&out, "%s %v", j, err)
	return out.String()
}

// shows reports whether text shows 8 bytes of a secret, in any usual notation.
func shows(text string, secret []byte) bool {
	part := secret[:8]
	decimal := strings.Trim(fmt.Sprint(part), "[]")
	for _, form := range []string{
		string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)),
		decimal, strings.ReplaceAll(decimal, " ", ","), strings.ReplaceAll(decimal, " ", ", "),
		base64.StdEncoding.EncodeToString(secret[:6]), base64.URLEncoding.EncodeToString(secret[:6]),
		strings.Trim(fmt.Sprintf("%q", part), `"`), strings.Trim(fmt.Sprintf("%b", part), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// TestSecretsAreHidden: no exported type shows a byte of its secret, whichever way it
// is formatted, and every exported type was thought about. The twin, a type that does
// not embed hidden, shows it.
//
// Checks: IDN-5.
func TestSecretsAreHidden(t *testing.T) {
	values := secretValues(t)
	for name, v := range values {
		own := renderings(v.value)
		// As the unexported field of somebody's struct, where fmt calls no methods.
		inside := fmt.Sprintf("%v %+v %#v %x", struct{ v any }{v.value}, struct{ v any }{v.value}, struct{ v any }{v.value}, struct{ v any }{v.value})
		for _, secret := range v.secrets {
			if shows(own, secret) || shows(inside, secret) {
				t.Errorf("%s shows its secret", name)
			}
		}
		if got := fmt.Sprintf("%v %s %x", v.value, v.value, v.value); got != "(secret) (secret) (secret)" {
			t.Errorf("%s formats as %q", name, got)
		}
		if got := reflect.TypeOf(v.value).String(); strings.TrimPrefix(strings.TrimPrefix(got, "*"), "crypto.") != name {
			t.Errorf("%s is filed under %s", got, name)
		}
	}
	invite := testInvite(3)
	type holder struct {
		secret InviteSecret
		door   DoorKey
		public Invite
	}
	text := renderings(invite) + renderings(&invite) + fmt.Sprintf("%v %+v %#v", holder{invite.Secret, invite.Door, invite},
		holder{invite.Secret, invite.Door, invite}, holder{invite.Secret, invite.Door, invite})
	if shows(text, invite.Secret.bytes()) || shows(text, invite.Door.bytes()) {
		t.Error("Invite shows its secret")
	}
	for _, name := range exportedTypes(t) {
		_, secret := values[name]
		public := strings.Contains(" "+strings.Join(publicTypes, " ")+" ", " "+name+" ")
		if secret == public {
			t.Errorf("%s: holds a secret or not? Put it into one of the two lists", name)
		}
	}
	leaky := struct{ Key []byte }{[]byte("not hidden at all, 32 bytes long")}
	if !shows(renderings(leaky), leaky.Key) {
		t.Error("the twin's secret should have been found")
	}
	array := struct{ key [32]byte }{[32]byte(leaky.Key)}
	if !shows(fmt.Sprintf("%v", array), array.key[:]) {
		t.Error("the twin's secret should have been found in an unexported field")
	}
}

// exportedTypes reads the package's source.
func exportedTypes(t *testing.T) (names []string) {
	files := must(filepath.Glob("*.go"))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range must(parser.ParseFile(token.NewFileSet(), name, nil, 0)).Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("found only %d types", len(names))
	}
	return names
}

// TestErrorsHoldNoSecret: what is returned on failure has no input in it.
//
// Checks: IDN-5.
func TestErrorsHoldNoSecret(t *testing.T) {
	text := must(generateIdentity(seeded(5)).Export())
	_, err := ParseIdentity(text[:len(text)-1] + "A")
	if err == nil || strings.Contains(err.Error(), text[25:35]) {
		t.Errorf("identity: %v", err)
	}
	w := newWorld(t)
	w.rotate()
	wrapped := must(w.keys.Wrap())
	_, err = w.reader().AcceptWrap(epoch0, append(wrapped, 0))
	if err == nil || shows(err.Error(), w.keys.current.key) {
		t.Errorf("wrap: %v", err)
	}
	if _, err = NewSenderKeys(member(1), 1); err != sframe.ErrSuite {
		t.Errorf("suite: %v", err)
	}
}
