package timeless

import (
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	p2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// TestAnyClock: whoever's clock is wrong takes our certificate, as libp2p checks it, and wouldn't take libp2p's own.
//
// Checks: CLK-1.
func TestAnyClock(t *testing.T) {
	ours, err := template()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options []p2ptls.IdentityOption
		takes   bool
	}{
		{"ours", []p2ptls.IdentityOption{p2ptls.WithCertTemplate(ours)}, true},
		{"libp2p's", nil, false},
	} {
		cert := certificate(t, c.options...)
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		for _, now := range []time.Time{time.Unix(1, 0), time.Now().Add(-2 * time.Hour), time.Now().AddDate(150, 0, 0)} {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); (err == nil) != c.takes {
				t.Errorf("%s certificate at %v: %v", c.name, now.UTC(), err)
			}
		}
	}
	if _, err := Option(); err != nil {
		t.Error(err)
	}
}

func certificate(t *testing.T, options ...p2ptls.IdentityOption) *x509.Certificate {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := p2ptls.NewIdentity(key, options...)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := identity.ConfigForPeer("")
	cert, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	cert.UnhandledCriticalExtensions = nil // libp2p's own, which it reads
	return cert
}
