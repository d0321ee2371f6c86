package crypto

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// TestTopic covers RDV-1: a topic is what the specification says, and another for each hour and link.
func TestTopic(t *testing.T) {
	secret := make([]byte, 32)
	secret[0] = 7
	s, err := InviteSecretFrom(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "huisclos v1 rendezvous", 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte{0, 0, 0, 0, 0, 0, 1, 2})
	if got := s.Topic(258); [32]byte(mac.Sum(nil)) != got {
		t.Errorf("%x", got)
	}
	seen := map[[32]byte]bool{}
	for slot := range uint64(100) {
		seen[s.Topic(slot)], seen[NewInvite().Secret.Topic(slot)] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("%d topics of 200", len(seen))
	}
}
