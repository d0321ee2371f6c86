package crypto

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto/sframe"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vector is one computation of meet/SPEC.md, from given inputs, with the values on the
// way. Strings are hex, except where a name says text.
type vector struct {
	Name    string            `json:"name"`
	Section string            `json:"section"`
	In      map[string]string `json:"in"`
	Out     map[string]string `json:"out"`
}

type values map[string]any

// strings returns hex of bytes and hashes, and text as it is.
func (v values) strings() map[string]string {
	out := map[string]string{}
	for k, x := range v {
		switch x := x.(type) {
		case string:
			out[k] = x
		case uint64, int, uint8:
			out[k] = fmt.Sprint(x)
		default:
			out[k] = fmt.Sprintf("%x", bytesOfAny(x))
		}
	}
	return out
}

func bytesOfAny(x any) []byte {
	switch x := x.(type) {
	case []byte:
		return x
	case Hash:
		return x[:]
	case MeetingID:
		return x[:]
	case IdentityKey:
		return x[:]
	case MeetingKey:
		return x[:]
	case StaticKey:
		return x[:]
	case InviteKey:
		return x[:]
	case InviteID:
		return x[:]
	case Signature:
		return x[:]
	case Nonce:
		return x[:]
	case KeyView:
		return x[:]
	case Verification:
		return x[:]
	case MessageID:
		return x[:]
	default:
		panic(fmt.Sprintf("no bytes of %T", x))
	}
}

// number returns n bytes that count from start: inputs anybody can type.
func number(start byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = start + byte(i)
	}
	return b
}

var vectorMeeting = MeetingID(number(0x80, 32))

// vectorMember is made of seeds that count: the identity's, the meeting key's, the
// static.
func vectorMember(start byte) *Incarnation {
	id := identityFromSeed(number(start, 32))
	return must(id.newIncarnation(vectorMeeting, bytes.NewReader(append(number(start+0x10, 32), number(start+0x20, 32)...))))
}

func vectors() (out []vector) {
	add := func(name, section string, in, result values) {
		out = append(out, vector{Name: name, Section: section, In: in.strings(), Out: result.strings()})
	}
	a, b := vectorMember(0x01), vectorMember(0x41)
	invite := Invite{Secret: must(InviteSecretFrom(number(0x20, 32))), Door: must(DoorKeyFrom(number(0x60, 32)))}
	add("hash", "1", values{"label text": "genesis", "x": number(0, 4)}, values{"H": HashOf("genesis", number(0, 4))})
	add("identity", "2", values{"seed": number(1, 32)},
		values{"public": a.Identity(), "exported text": must(identityFromSeed(number(1, 32)).Export())})
	add("bundle", "2", values{"identity seed": number(1, 32), "meeting key seed": number(0x11, 32), "static private": number(0x21, 32), "meeting ID": vectorMeeting},
		values{"identity": a.Identity(), "meeting key": a.Key(), "static": a.Bundle().Static, "signature": a.Bundle().Signature, "bundle": a.Bundle().Encode(), "bundle hash": a.Bundle().Hash()})
	add("invite", "3", values{"secret": number(0x20, 32), "door private": number(0x60, 32)},
		values{"invite ID": invite.Secret.ID(), "door PSK": invite.Secret.doorPSK(), "invite key": invite.Secret.Key(), "door key": invite.Door.Public()})
	l := Link{Meeting: vectorMeeting, Secret: invite.Secret, DoorKey: invite.Door.Public(), Expiry: epoch0,
		Doors:  []Door{{Key: b.Key(), Addresses: [][]byte{{4, 192, 0, 2, 1, 0x91, 2, 0x1f, 0x40}}}},
		Relays: [][]byte{{4, 198, 51, 100, 7, 6, 0x1f, 0x40}}}
	body := must(linkBytes(l.String()))
	add("link", "3", values{"body": body}, values{"checksum": linkChecksum(body), "link text": l.String()})
	out = append(out, doorVector(a, b, invite), keyVector(a), pairVector(a, b), messageVector(a))
	p := []Person{{Identity: a.Identity()}, {Identity: b.Identity(), JoinerNonce: Nonce(number(1, 16)), ResponderNonce: Nonce(number(0x11, 16))}}
	material := wordsMaterial(vectorMeeting, p)
	v := computeWords(vectorMeeting, material)
	add("words", "8", values{"material": material}, values{"salt": wordsSalt(vectorMeeting), "code": v, "digits text": v.Digits(),
		"English text": join(v.Words(English)), "French text": join(v.Words(French))})
	pw := pairWords(vectorMeeting, a.Identity(), b.Identity(), Nonce(number(1, 16)), Nonce(number(0x11, 16)))
	add("pair words", "8", values{"meeting ID": vectorMeeting, "asker identity": a.Identity(), "asker meeting key": a.Key(), "other identity": b.Identity(), "asker nonce": number(1, 16), "other nonce": number(0x11, 16)},
		values{"commitment": pairCommitment(vectorMeeting, Nonce(number(1, 16)), a.Key()), "code": pw, "digits text": pw.Digits(), "English text": join(pw.Words(English))})
	return out
}

func join(words [6]string) string { return strings.Join(words[:], " ") }

func doorVector(joiner, member *Incarnation, invite Invite) vector {
	random := func(nonce, ephemeral byte) *bytes.Reader {
		return bytes.NewReader(append(number(nonce, 16), number(ephemeral, 32)...))
	}
	in, first, err := newDoorInitiator(joiner, "Ada", invite.Secret, invite.Door.Public(), member.Key(), random(1, 0xa0))
	if err != nil {
		panic(err)
	}
	// The responder makes its nonce before its ephemeral.
	out, second, err := newDoorResponder(member, invite, joiner.Key(), first, random(0x11, 0xc0))
	if err != nil {
		panic(err)
	}
	third, channel, err := in.Finish(second)
	if err != nil {
		panic(err)
	}
	k, _, err := out.Finish(third)
	if err != nil {
		panic(err)
	}
	return vector{"door", "4",
		values{"joiner": joiner.Bundle().Encode(), "joiner static private": joiner.static, "responder meeting key": member.Key(), "secret": invite.Secret.bytes(), "door private": invite.Door.bytes(),
			"name text": "Ada", "joiner nonce": number(1, 16), "joiner ephemeral private": number(0xa0, 32), "responder nonce": number(0x11, 16), "responder ephemeral private": number(0xc0, 32)}.strings(),
		values{"prologue": doorTranscript(vectorMeeting, joiner.Key(), member.Key(), invite.Secret.ID()), "commitment": nonceCommitment(vectorMeeting, k.JoinerNonce, joiner.Key()), "knock signature": k.Signature,
			"first frame": first, "second frame": second, "third frame": third, "joiner's first sealed frame, of one zero byte": must(channel.Seal([]byte{0}))}.strings()}
}

func keyVector(inc *Incarnation) vector {
	e := Epoch{Generation: 3, Step: 1}
	k0 := number(0x30, 32)
	k1 := must(ratchet(sframe.AES128GCM, k0, 1))
	readers := []MeetingKey{vectorMember(0x41).Key(), vectorMember(0x81).Key()}
	s := &SenderKeys{inc: inc, suite: sframe.AES128GCM}
	s.current = s.newKey(e, epoch0, k1, Hash(number(0xe0, 32)), readers, []MeetingKey{vectorMember(0xc1).Key()})
	announce := must(s.Announce())
	context := streamContext(vectorMeeting, inc.Key(), 18)
	p := &MediaPacket{Flags: MediaFlags{StartOfFrame: true, TemporalLayer: 2}, Marker: true, SequenceNumber: 0x1234, Timestamp: 0x89abcdef, HasLevel: true, AudioLevel: 0x85, Payload: []byte("payload")}
	sealed := must(s.Stream(18).SealMedia(nil, p))
	return vector{"sender key and media", "7",
		values{"meeting ID": vectorMeeting, "author": inc.Key(), "meeting key seed": number(0x11, 32), "suite": 4, "generation": e.Generation, "step": e.Step, "K(3,0)": k0, "stream": 18, "counter": 0,
			"roster hash": number(0xe0, 32), "reader 1": readers[0], "reader 2": readers[1], "omitted": vectorMember(0xc1).Key(), "clear byte": []byte{p.Flags.encode()}, "inner header": appendInner(nil, p), "payload": p.Payload}.strings(),
		values{"K(3,1)": k1, "commitment": announce.Commitment, "recipients hash": announce.Recipients, "view": announce.Statement().View, "signature": announce.Signature, "announce": announce.Encode(), "wrap": must(s.Wrap()),
			"KID": e.kid(18), "stream AAD": context[:16], "sealed packet": sealed}.strings()}
}

func pairVector(a, b *Incarnation) vector {
	h, k1, k2, secret := number(1, 32), number(0x21, 32), number(0x41, 32), number(0x61, 32)
	keys := pairDataKeys(h, k1, k2, secret)
	p := must(NewPairSession(a, b.Bundle()))
	k := &pairKeys{id: 7, send: newGCM(keys[:32]), next: 258}
	return vector{"pair session", "5",
		values{"meeting ID": vectorMeeting, "one bundle": a.Bundle().Encode(), "other bundle": b.Bundle().Encode(), "h": h, "k1": k1, "k2": k2, "ML-KEM shared secret": secret, "session": 7, "counter": 258, "data": []byte("data")}.strings(),
		values{"prologue": p.prologue, "initiator's key": keys[:32], "responder's key": keys[32:], "data packet of the initiator": k.seal([]byte("data"))}.strings()}
}

func messageVector(inc *Incarnation) vector {
	id := MessageID(number(0x70, 16))
	inner := must(SignMessage(inc, StreamChat, id, epoch0, []byte("bonjour")))
	s := &SenderKeys{inc: inc, suite: sframe.AES128GCM}
	s.current = s.newKey(Epoch{1, 0}, epoch0, number(0x30, 32), Hash{}, nil, nil)
	return vector{"message", "7.2",
		values{"meeting ID": vectorMeeting, "author": inc.Key(), "meeting key seed": number(0x11, 32), "stream": StreamChat, "ID": id, "time": uint64(epoch0.UnixMilli()), "body text": "bonjour", "K(1,0)": number(0x30, 32)}.strings(),
		values{"inner": inner, "sealed message": must(s.Stream(StreamChat).SealMessage(inner))}.strings()}
}

// TestVectors compares with testdata/vectors.json, which other implementations can use.
// go test -run Vectors -update writes it anew.
func TestVectors(t *testing.T) {
	if testing.Short() {
		t.Skip("the words take 256 MiB and a second")
	}
	got := append(must(json.MarshalIndent(vectors(), "", "  ")), '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code computes", vectorsFile)
	}
}

// TestVectorsByHand recomputes vectors from the page alone, without this package's
// helpers.
func TestVectorsByHand(t *testing.T) {
	var all []vector
	if err := json.Unmarshal(must(os.ReadFile(vectorsFile)), &all); err != nil {
		t.Fatal(err)
	}
	of := map[string]vector{}
	for _, v := range all {
		of[v.Name] = v
	}
	in := func(name, key string) []byte { return must(hex.DecodeString(of[name].In[key])) }
	check := func(name, key string, got []byte) {
		t.Helper()
		if of[name].Out[key] != hex.EncodeToString(got) {
			t.Errorf("%s, %s: %x", name, key, got)
		}
	}
	h := func(label string, parts ...[]byte) []byte {
		sum := sha256.Sum256([]byte("huisclos v1 " + label + "\x00" + string(bytes.Join(parts, nil))))
		return sum[:]
	}
	sig := func(seed []byte, label string, parts ...[]byte) []byte {
		return ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte("huisclos v1 "+label+"\x00"+string(bytes.Join(parts, nil))))
	}
	public := func(seed []byte) []byte { return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) }
	meeting := in("bundle", "meeting ID")
	static := must(hex.DecodeString(of["bundle"].Out["static"]))
	signature := sig(in("bundle", "identity seed"), "bundle", meeting, public(in("bundle", "meeting key seed")), static)
	check("bundle", "signature", signature)
	bundle := bytes.Join([][]byte{{0xa4, 0x01, 0x58, 0x20}, public(in("bundle", "identity seed")), {0x02, 0x58, 0x20}, public(in("bundle", "meeting key seed")), {0x03, 0x58, 0x20}, static, {0x04, 0x58, 0x40}, signature}, nil)
	check("bundle", "bundle", bundle)
	check("bundle", "bundle hash", h("bundle", bundle))
	messageSeed, messageAuthor := in("message", "meeting key seed"), in("message", "author")
	sealed := must(hex.DecodeString(of["message"].Out["sealed message"]))
	body := sealed[:len(sealed)-67] // {1: author, 2: sealed, and then 3: signature
	packet := body[1+3+32+3:]
	check("message", "sealed message", append(body[:len(body):len(body)], append([]byte{3, 0x58, 0x40}, sig(messageSeed, "sealed message", meeting, messageAuthor, packet)...)...))
	check("hash", "H", h("genesis", in("hash", "x")))
	secret := in("invite", "secret")
	check("invite", "invite ID", must(hkdf.Key(sha256.New, secret, nil, "huisclos v1 invite id", 16)))
	check("invite", "door PSK", must(hkdf.Key(sha256.New, secret, nil, "huisclos v1 door psk", 32)))
	check("invite", "invite key", must(hkdf.Key(sha256.New, secret, nil, "huisclos v1 invite key", 32)))
	check("link", "checksum", h("link checksum", in("link", "body"))[:4])
	inviteKey := must(hex.DecodeString(of["invite"].Out["invite key"]))
	check("door", "knock signature", sig(in("bundle", "meeting key seed"), "knock", meeting, inviteKey, in("door", "responder meeting key"), h("bundle", bundle), in("door", "joiner nonce"), in("door", "responder nonce"), []byte("Ada")))
	const key = "sender key and media"
	author, k1 := in(key, "author"), must(hex.DecodeString(of[key].Out["K(3,1)"]))
	gs := append(binary.BigEndian.AppendUint64(nil, 3), 1)
	commitment := h("sender key", meeting, author, gs, k1)
	check(key, "commitment", commitment)
	x, y := in(key, "reader 1"), in(key, "reader 2")
	if bytes.Compare(x, y) > 0 {
		x, y = y, x
	}
	recipients := h("recipients", x, y)
	check(key, "recipients hash", recipients)
	view := h("key view", in(key, "roster hash"), recipients, in(key, "omitted")[:8])[:16]
	check(key, "view", view)
	statement := sig(in(key, "meeting key seed"), "key announce", meeting, author, gs, view, commitment)
	check(key, "signature", statement)
	check(key, "stream AAD", h("stream", meeting, author, []byte{18})[:16])
	check(key, "wrap", bytes.Join([][]byte{{0x85, 3, 1, 0x58, 0x20}, k1, {0x50}, view, {0x58, 0x40}, statement}, nil))
	if of[key].Out["KID"] != fmt.Sprint(3<<12|18<<4|1) {
		t.Error("KID")
	}
	data := must(hkdf.Key(sha256.New, bytes.Join([][]byte{in("pair session", "k1"), in("pair session", "k2"), in("pair session", "ML-KEM shared secret")}, nil), in("pair session", "h"), "huisclos v1 pair keys", 64))
	check("pair session", "initiator's key", data[:32])
	check("pair session", "responder's key", data[32:])
}
