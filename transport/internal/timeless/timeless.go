package timeless

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	p2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
)

// Option has a QUIC transport show such a certificate (CLK-1). The error is that of the system's source of randomness.
func Option() (quic.Option, error) {
	t, err := template()
	if err != nil {
		return nil, err
	}
	return quic.WithTLSIdentityOption(p2ptls.WithCertTemplate(t)), nil
}

// template is libp2p's but for its dates: the last is RFC 5280's for what has no end (§4.1.2.5).
func template() (*x509.Certificate, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 62)
	serial, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	subject, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{SerialNumber: subject.String()},
		NotBefore:    time.Unix(0, 0).UTC(),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}, nil
}
