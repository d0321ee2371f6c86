package sframe

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFigureOfTheRFC is RFC 9605 appendix C.3 for both our suites, written out, so
// that the code is held to the RFC wherever it is built.
func TestFigureOfTheRFC(t *testing.T) {
	var (
		base     = unhex(t, "000102030405060708090a0b0c0d0e0f")
		metadata = []byte("IETF SFrame WG")
		pt       = []byte("draft-ietf-sframe-enc")
	)
	for _, want := range []packetVector{{
		Suite:     AES128GCM,
		KeyLabel:  unhex(t, "534672616d6520312e3020536563726574206b65792000000000000001230004"),
		SaltLabel: unhex(t, "534672616d6520312e30205365637265742073616c742000000000000001230004"),
		Secret:    unhex(t, "d926952ca8b7ec4a95941d1ada3a5203ceff8cceee34f574d23909eb314c40c0"),
		Key:       unhex(t, "d34f547f4ca4f9a7447006fe7fcbf768"),
		Salt:      unhex(t, "75234edefe07819026751816"),
		Nonce:     unhex(t, "75234edefe07819026755d71"),
		CT:        unhex(t, "9901234567 b7412c2513a1b66dbb48841bbaf17f598751176ad8 47681a69c6d0b091c07018ce4adb34eb"),
	}, {
		Suite:     AES256GCM,
		KeyLabel:  unhex(t, "534672616d6520312e3020536563726574206b65792000000000000001230005"),
		SaltLabel: unhex(t, "534672616d6520312e30205365637265742073616c742000000000000001230005"),
		Secret: unhex(t, "0fc3ea6de6aac97a35f194cf9bed94d4b5230f1cb45a785c9fe5dce9c188938a"+
			"b6ba005bc4c0a19181599e9d1bcf7b74aca48b60bf5e254e546d809313e083a3"),
		Key:   unhex(t, "d3e27b0d4a5ae9e55df01a70e6d4d28d969b246e2936f4b7a5d9b494da6b9633"),
		Salt:  unhex(t, "84991c167b8cd23c93708ec7"),
		Nonce: unhex(t, "84991c167b8cd23c9370cba0"),
		CT:    unhex(t, "9901234567 94f509d36e9beacb0e261d99c7d1e972f1fed787d4 049f17ca21353c1cc24d56ceabced279"),
	}} {
		want.KID, want.CTR, want.BaseKey, want.Metadata, want.PT = 0x123, 0x4567, base, metadata, pt
		want.AAD = append(unhex(t, "9901234567"), metadata...)
		checkPacket(t, want)
	}
}

// TestSuites is table 1 of RFC 9605 §4.5 and the registry of §8.1.
func TestSuites(t *testing.T) {
	for _, tt := range []struct {
		suite  CipherSuite
		nh, nk int
		name   string
	}{
		{0x0004, 32, 16, "AES_128_GCM_SHA256_128"},
		{0x0005, 64, 32, "AES_256_GCM_SHA512_128"},
		{0x0001, 0, 0, "CipherSuite(0x0001)"}, // AES_128_CTR_HMAC_SHA256_80, not ours
		{0x0000, 0, 0, "CipherSuite(0x0000)"},
	} {
		if tt.suite.HashSize() != tt.nh || tt.suite.KeySize() != tt.nk || tt.suite.String() != tt.name || tt.suite.Valid() != (tt.nk > 0) {
			t.Errorf("%v: HashSize %d, KeySize %d, Valid %v", tt.suite, tt.suite.HashSize(), tt.suite.KeySize(), tt.suite.Valid())
		}
	}
	if nonceSize != 12 || TagSize != 16 {
		t.Error("Nn or Nt is not that of RFC 9605 table 1")
	}
}

// TestRatchet computes RFC 9605 §5.1 a second time, from HMAC (RFC 5869 §2): the
// published vectors have no ratchet.
func TestRatchet(t *testing.T) {
	for _, suite := range []CipherSuite{AES128GCM, AES256GCM} {
		mac := func(key []byte, parts ...[]byte) []byte {
			m := hmac.New(suite.newHash(), key)
			m.Write(bytes.Join(parts, nil))
			return m.Sum(nil)
		}
		base := pattern(3, 32)
		kept := bytes.Clone(base)
		got, err := Ratchet(suite, base)
		if err != nil {
			t.Fatal(err)
		}
		prk := mac(make([]byte, suite.HashSize()), base)             // HKDF-Extract("", base_key)
		want := mac(prk, []byte("SFrame 1.0 Ratchet"), []byte{0x01}) // HKDF-Expand, its one block
		if !bytes.Equal(got, want) {
			t.Errorf("%v: ratchet is %x, want %x", suite, got, want)
		}
		if !bytes.Equal(base, kept) {
			t.Errorf("%v: Ratchet changed its input", suite)
		}
	}
}
