package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport"
	quic "github.com/quic-go/quic-go"
)

// TestCertificateHasNoDate: what a host shows in QUIC's handshake is valid whatever the other's clock says, and doesn't
// tell what its own says.
//
// Checks: CLK-1.
func TestCertificateHasNoDate(t *testing.T) {
	h, err := transport.Listen(t.Context(), transport.Config{Key: testKey(1), RoomID: room, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	port, err := h.Addresses()[0].ValueForProtocol(273) // udp
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var shown *x509.Certificate
	enough := errors.New("seen")
	_, err = quic.DialAddr(ctx, "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"libp2p"}, MinVersion: tls.VersionTLS13,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) (err error) {
			if shown, err = x509.ParseCertificate(raw[0]); err != nil {
				return err
			}
			return enough
		}}, nil)
	if shown == nil {
		t.Fatal(err)
	}
	if !shown.NotBefore.Equal(time.Unix(0, 0)) || shown.NotAfter.Year() != 9999 {
		t.Errorf("valid from %v to %v", shown.NotBefore, shown.NotAfter)
	}
}
