package transport

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v4/deadline"
)

// handshake makes the keys. DTLS starts with the first checked path and does not wait
// for ICE's nomination; and since ICE has checked that the peer is at its address, the
// server does without the cookie exchange.
func (s *session) handshake() (*dtls.Conn, error) {
	options := []dtls.Option{
		dtls.WithCertificates(s.host.media.certificate),
		dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerify(true), // no authority: the fingerprint decides
		dtls.WithVerifyPeerCertificate(s.verify),
		dtls.WithFlightInterval(dtlsFlight), dtls.WithLoggerFactory(s.host.media.loggers),
	}
	packets := &dtlsPackets{session: s, deadline: deadline.New(), closed: make(chan struct{})}
	var d *dtls.Conn
	var err error
	if s.offerer {
		server := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true)}
		for _, o := range options {
			server = append(server, o)
		}
		d, err = dtls.ServerWithOptions(packets, packets.LocalAddr(), server...)
	} else {
		client := make([]dtls.ClientOption, 0, len(options))
		for _, o := range options {
			client = append(client, o)
		}
		d, err = dtls.ClientWithOptions(packets, packets.LocalAddr(), client...)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, mediaSetupTimeout)
	defer cancel()
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		select {
		case <-s.failed:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := d.HandshakeContext(ctx); err != nil {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		} else if ctx.Err() != nil {
			err = errPathLost
		}
		return d, err
	}
	return d, s.keys(d)
}

// verify accepts the one certificate that the authenticated signal named (TRA-11).
func (s *session) verify(certificates [][]byte, _ [][]*x509.Certificate) error {
	if len(certificates) != 1 {
		return errors.New("transport: want one DTLS certificate")
	}
	sum := sha256.Sum256(certificates[0])
	if subtle.ConstantTimeCompare(sum[:], s.remote[:]) != 1 && !s.host.config.unsafe.anyFingerprint {
		return errors.New("transport: DTLS certificate is not the one signalled")
	}
	return nil
}

// keys derives the SRTP keys (RFC 5764) and opens both directions.
func (s *session) keys(d *dtls.Conn) error {
	state, ok := d.ConnectionState()
	profile, negotiated := d.SelectedSRTPProtectionProfile()
	if !ok || !negotiated || profile != dtls.SRTP_AEAD_AES_128_GCM {
		return errors.New("transport: DTLS agreed on no SRTP profile")
	}
	config := &srtp.Config{Profile: srtp.ProtectionProfileAeadAes128Gcm}
	if err := config.ExtractSessionKeysFromDTLS(&state, !s.offerer); err != nil {
		return err
	}
	local, err := srtp.CreateContext(config.Keys.LocalMasterKey, config.Keys.LocalMasterSalt, config.Profile)
	if err != nil {
		return err
	}
	remote, err := srtp.CreateContext(config.Keys.RemoteMasterKey, config.Keys.RemoteMasterSalt, config.Profile,
		srtp.SRTPReplayProtection(1024), srtp.SRTCPReplayProtection(128))
	if err != nil {
		return err
	}
	s.tx.open(local, s.conn)
	s.rx.open(s, remote)
	return nil
}

// dtlsPackets is the path as DTLS sees it.
type dtlsPackets struct {
	session  *session
	deadline *deadline.Deadline
	once     sync.Once
	closed   chan struct{}
}

func (p *dtlsPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case data := <-p.session.dtlsIn:
		return copy(b, data), p.LocalAddr(), nil
	case <-p.deadline.Done():
		return 0, nil, p.deadline.Err()
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-p.session.wire:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo waits for the first checked path: DTLS would repeat a lost flight only much
// later.
func (p *dtlsPackets) WriteTo(b []byte, _ net.Addr) (int, error) {
	s := p.session
	for {
		n, err := s.conn.Write(b)
		if !errors.Is(err, ice.ErrNoCandidatePairs) {
			return n, err
		}
		select {
		case <-s.path:
		case <-s.failed:
			return 0, errPathLost
		case <-s.ctx.Done():
			return 0, net.ErrClosed
		}
	}
}

// Close ends reads. The goodbye has been written by then.
func (p *dtlsPackets) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *dtlsPackets) LocalAddr() net.Addr                { return &net.UDPAddr{} }
func (p *dtlsPackets) SetDeadline(t time.Time) error      { p.deadline.Set(t); return nil }
func (p *dtlsPackets) SetReadDeadline(t time.Time) error  { p.deadline.Set(t); return nil }
func (p *dtlsPackets) SetWriteDeadline(_ time.Time) error { return nil }
