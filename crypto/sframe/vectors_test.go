package sframe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Our own vectors are written anew by
//
//	go test ./crypto/sframe -run TestVectors -update
//
// and then the difference wants a look: a change breaks every older program.
var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const ownVectors = "testdata/vectors.json"

// hexBytes is hex in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type headerVector struct {
	KID     uint64   `json:"kid"`
	CTR     uint64   `json:"ctr"`
	Encoded hexBytes `json:"encoded"`
}

type packetVector struct {
	Suite     CipherSuite `json:"cipher_suite"`
	KID       uint64      `json:"kid"`
	CTR       uint64      `json:"ctr"`
	BaseKey   hexBytes    `json:"base_key"`
	KeyLabel  hexBytes    `json:"sframe_key_label"`
	SaltLabel hexBytes    `json:"sframe_salt_label"`
	Secret    hexBytes    `json:"sframe_secret"`
	Key       hexBytes    `json:"sframe_key"`
	Salt      hexBytes    `json:"sframe_salt"`
	Metadata  hexBytes    `json:"metadata"`
	Nonce     hexBytes    `json:"nonce"`
	AAD       hexBytes    `json:"aad"`
	PT        hexBytes    `json:"pt"`
	CT        hexBytes    `json:"ct"`
}

type ratchetVector struct {
	Suite   CipherSuite `json:"cipher_suite"`
	BaseKey hexBytes    `json:"base_key"`
	Steps   []hexBytes  `json:"steps"`
}

type badHeaderVector struct {
	Why     string   `json:"why"`
	Encoded hexBytes `json:"encoded"`
}

type badPacketVector struct {
	Why      string      `json:"why"`
	Error    string      `json:"error"`
	Suite    CipherSuite `json:"cipher_suite"`
	KID      uint64      `json:"kid"`
	BaseKey  hexBytes    `json:"base_key"`
	Metadata hexBytes    `json:"metadata"`
	CT       hexBytes    `json:"ct"`
}

// vectorFile has the fields of the working group's file, and ours beside them.
type vectorFile struct {
	Comment    string            `json:"comment,omitempty"`
	Header     []headerVector    `json:"header"`
	SFrame     []packetVector    `json:"sframe"`
	Ratchet    []ratchetVector   `json:"ratchet,omitempty"`
	BadHeader  []badHeaderVector `json:"bad_header,omitempty"`
	BadPackets []badPacketVector `json:"bad_packets,omitempty"`
}

var errorNames = map[string]error{
	"malformed": ErrMalformed, "authentication": ErrAuthentication, "key mismatch": ErrKeyMismatch,
}

func readVectors(t *testing.T, path string) vectorFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestVectors checks the project's own vectors, and writes them under -update.
func TestVectors(t *testing.T) {
	if *update {
		b, err := json.MarshalIndent(makeVectors(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(ownVectors, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := readVectors(t, ownVectors)
	if len(f.Header) < 100 || len(f.SFrame) < 20 || len(f.Ratchet) < 2 || len(f.BadHeader) < 10 || len(f.BadPackets) < 10 {
		t.Fatal("vectors are missing; write them with -update")
	}
	checkVectors(t, f)
	for _, v := range f.Ratchet {
		base := []byte(v.BaseKey)
		for i, want := range v.Steps {
			next, err := Ratchet(v.Suite, base)
			if err != nil || !bytes.Equal(next, want) {
				t.Fatalf("%v: ratchet step %d is %x, %v", v.Suite, i+1, next, err)
			}
			base = next
		}
	}
	for _, v := range f.BadHeader {
		if h, _, err := ParseHeader(v.Encoded); !errors.Is(err, ErrMalformed) {
			t.Errorf("header %x (%s) gives %+v, %v", v.Encoded, v.Why, h, err)
		}
	}
	for _, v := range f.BadPackets {
		key, err := NewKey(v.Suite, v.KID, v.BaseKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := key.Open(nil, v.Metadata, v.CT); !errors.Is(err, errorNames[v.Error]) {
			t.Errorf("packet with %s: %v, want %s", v.Why, err, v.Error)
		}
	}
}

// TestPublishedVectors checks the working group's vectors where they lie beside
// the repository. Where they don't, TestVectors and TestFigureOfTheRFC still hold
// the same code to the same formats.
func TestPublishedVectors(t *testing.T) {
	path := filepath.Join(repositoryRoot(t), "..", "shared", "vectors", "sframe-test-vectors.json")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Log("the published vectors are not beside the repository: checking the project's own")
		checkVectors(t, readVectors(t, ownVectors))
		return
	}
	f := readVectors(t, path)
	if len(f.Header) != 289 {
		t.Fatalf("%d headers, want 289", len(f.Header))
	}
	ours := f.SFrame[:0]
	for _, v := range f.SFrame {
		switch v.Suite {
		case 0x0001, 0x0002, 0x0003: // AES_128_CTR_HMAC_SHA256_80, _64 and _32: not ours
		default:
			ours = append(ours, v)
		}
	}
	if f.SFrame = ours; len(ours) != 2 {
		t.Fatalf("%d packets of the GCM suites, want 2", len(ours))
	}
	checkVectors(t, f)
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}

// checkVectors checks headers both ways and packets with every value in between.
func checkVectors(t *testing.T, f vectorFile) {
	t.Helper()
	for _, v := range f.Header {
		want := Header{KID: v.KID, CTR: v.CTR}
		if got := AppendHeader(nil, want); !bytes.Equal(got, v.Encoded) {
			t.Errorf("header %+v is %x, want %x", want, got, v.Encoded)
		}
		got, n, err := ParseHeader(append(bytes.Clone(v.Encoded), 0xff)) // what follows is not its own
		if err != nil || got != want || n != len(v.Encoded) || n != want.Size() {
			t.Errorf("header %x gives %+v, %d, %v", v.Encoded, got, n, err)
		}
	}
	for _, v := range f.SFrame {
		checkPacket(t, v)
	}
}

func checkPacket(t *testing.T, v packetVector) {
	t.Helper()
	got := trace(t, v.Suite, v.KID, v.CTR, v.BaseKey, v.Metadata, v.PT)
	gotJSON, wantJSON := fmt.Sprintf("%x", got), fmt.Sprintf("%x", v)
	if gotJSON != wantJSON {
		t.Errorf("%v, KID %#x, counter %#x:\n got %s\nwant %s", v.Suite, v.KID, v.CTR, gotJSON, wantJSON)
	}
	key, err := NewKey(v.Suite, v.KID, v.BaseKey)
	if err != nil {
		t.Fatal(err)
	}
	pt, h, err := key.Open(nil, v.Metadata, v.CT)
	if err != nil || !bytes.Equal(pt, v.PT) || h != (Header{v.KID, v.CTR}) {
		t.Errorf("%v, KID %#x: opens as %x, %+v, %v", v.Suite, v.KID, pt, h, err)
	}
}

// trace seals and notes every value in between, as the code computes it.
func trace(t *testing.T, suite CipherSuite, kid, ctr uint64, baseKey, metadata, pt []byte) packetVector {
	t.Helper()
	v := packetVector{Suite: suite, KID: kid, CTR: ctr, BaseKey: baseKey, Metadata: metadata, PT: pt}
	v.KeyLabel, v.SaltLabel = hexBytes(expandLabel(keyLabel, kid, suite)), hexBytes(expandLabel(saltLabel, kid, suite))
	secretBytes, err := extract(suite, baseKey)
	if err != nil {
		t.Fatal(err)
	}
	v.Secret = secretBytes
	k, salt, err := derive(suite, kid, baseKey)
	if err != nil {
		t.Fatal(err)
	}
	v.Key, v.Salt = k, salt
	key, err := NewKey(suite, kid, baseKey)
	if err != nil {
		t.Fatal(err)
	}
	sec := key.secret.Load()
	if !bytes.Equal(sec.salt[:], salt) {
		t.Fatal("the key holds another salt than was derived")
	}
	var s scratch
	s.prepare(sec, ctr, AppendHeader(nil, Header{kid, ctr}), metadata)
	v.Nonce, v.AAD = s.nonce[:], s.aad
	if v.CT, err = key.Seal(nil, ctr, metadata, pt); err != nil {
		t.Fatal(err)
	}
	return v
}

// makeVectors makes our own: both suites, every length of header and the sizes
// around a block, then everything that must be refused.
func makeVectors(t *testing.T) vectorFile {
	f := vectorFile{Comment: "written by: go test ./crypto/sframe -run TestVectors -update"}
	values := []uint64{0, 7, 8}
	for shift := 8; shift < 64; shift += 8 {
		values = append(values, 1<<shift-1, 1<<shift)
	}
	values = append(values, 1<<64-1)
	for _, kid := range values {
		for _, ctr := range values {
			h := Header{kid, ctr}
			f.Header = append(f.Header, headerVector{kid, ctr, AppendHeader(nil, h)})
		}
	}
	for _, suite := range []CipherSuite{AES128GCM, AES256GCM} {
		base := pattern(byte(suite), suite.HashSize())
		for i, size := range []int{0, 1, 15, 16, 17, 1200} {
			kid := uint64(i+1)<<12 | 16<<4 // generation, stream 16, step 0
			f.SFrame = append(f.SFrame, trace(t, suite, kid, uint64(i), base, pattern(1, 17), pattern(2, size)))
		}
		for _, ctr := range []uint64{7, 8, 0xffff, CounterLimit - 1} {
			f.SFrame = append(f.SFrame, trace(t, suite, 5, ctr, base, nil, pattern(3, 20)))
		}
		f.SFrame = append(f.SFrame, trace(t, suite, 1<<64-1, 9, base[:MinBaseKey], pattern(4, 200), pattern(5, 40)))
		v := ratchetVector{Suite: suite, BaseKey: pattern(6, 32)}
		for next := []byte(v.BaseKey); len(v.Steps) < 15; {
			var err error
			if next, err = Ratchet(suite, next); err != nil {
				t.Fatal(err)
			}
			v.Steps = append(v.Steps, next)
		}
		f.Ratchet = append(f.Ratchet, v)
		f.BadPackets = append(f.BadPackets, makeBadPackets(t, suite, base)...)
	}
	for _, bad := range badHeaders {
		f.BadHeader = append(f.BadHeader, badHeaderVector{bad.why, unhex(t, bad.encoded)})
	}
	return f
}

// makeBadPackets spoils one good packet in every way.
func makeBadPackets(t *testing.T, suite CipherSuite, base []byte) []badPacketVector {
	const kid, ctr = 0x1100, 0x234
	meta := pattern(7, 17)
	good := trace(t, suite, kid, ctr, base, meta, pattern(8, 32))
	n := Header{kid, ctr}.Size()
	flip := func(at int) []byte {
		b := bytes.Clone(good.CT)
		b[at] ^= 1
		return b
	}
	// The counter in three bytes instead of two, the ciphertext unchanged.
	long := append([]byte{0x9a, 0x11, 0x00, 0x00, 0x02, 0x34}, good.CT[n:]...)
	other := pattern(9, len(base))
	bad := []badPacketVector{
		{Why: "a bit of the ciphertext flipped", Error: "authentication", CT: flip(n)},
		{Why: "a bit of the tag flipped", Error: "authentication", CT: flip(len(good.CT) - 1)},
		{Why: "another counter in the header", Error: "authentication", CT: flip(n - 1)},
		{Why: "other metadata", Error: "authentication", Metadata: pattern(10, 17), CT: good.CT},
		{Why: "no metadata", Error: "authentication", Metadata: hexBytes{}, CT: good.CT},
		{Why: "another base key", Error: "authentication", BaseKey: other, CT: good.CT},
		{Why: "its last byte missing", Error: "authentication", CT: good.CT[:len(good.CT)-1]},
		{Why: "a byte added", Error: "authentication", CT: append(bytes.Clone(good.CT), 0)},
		{Why: "another KID in the header", Error: "key mismatch", CT: flip(1)},
		{Why: "a header longer than needed", Error: "malformed", CT: long},
		{Why: "a header alone", Error: "malformed", CT: good.CT[:n]},
		{Why: "less than a tag", Error: "malformed", CT: good.CT[:n+TagSize-1]},
		{Why: "nothing", Error: "malformed", CT: hexBytes{}},
	}
	for i := range bad {
		bad[i].Suite, bad[i].KID = suite, kid
		if bad[i].BaseKey == nil {
			bad[i].BaseKey = base
		}
		if bad[i].Metadata == nil {
			bad[i].Metadata = meta
		}
	}
	return bad
}

// pattern returns n bytes that differ from one another and for each seed.
func pattern(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed*31 + byte(i)*7 + byte(i>>8)
	}
	return b
}
