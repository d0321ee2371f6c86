package relayauth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Limits of a URI.
const (
	// MaxURI is the most characters, white space not counted.
	MaxURI = 1024
	// MaxAddresses is the most addresses of one relay.
	MaxAddresses = 8
)

const (
	uriScheme   = "huisclos-relay:"
	checksum    = 4
	maxURIBytes = 768
)

// Errors of ParseURI and Validate.
var (
	// ErrURI reports text that is no relay's URI.
	ErrURI = errors.New("not a relay's address: it begins with huisclos-relay: and comes from the relay's operator")
	// ErrURIChanged reports a URI of which something was lost or changed on the way: copy it again.
	ErrURIChanged = errors.New("the relay's address is not complete: copy it again, from huisclos-relay: to its end")
	// ErrAddress reports an address of a relay that can't be one.
	ErrAddress = errors.New("not a relay's address: want an IP address with tcp, udp/quic-v1, tcp/ws or tcp/tls/ws")
)

// Key is a relay's Ed25519 public key: who answers must prove it, whatever the address.
type Key [ed25519.PublicKeySize]byte

// ID returns libp2p's name for the key.
func (k Key) ID() (peer.ID, error) {
	public, err := crypto.UnmarshalEd25519PublicKey(k[:])
	if err != nil {
		return "", fmt.Errorf("transport: relay key: %w", err)
	}
	return peer.IDFromPublicKey(public)
}

// Fingerprint is what two people can compare: the first 16 bytes of the key's SHA-256, in
// groups of four hexadecimal digits.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k[:])
	var groups []string
	for part := range slices.Chunk(sum[:16], 2) {
		groups = append(groups, fmt.Sprintf("%x", part))
	}
	return strings.Join(groups, " ")
}

// URI is what a relay's operator hands to its users (SPEC §10.7). It is a secret: String
// returns it since that is its purpose; log/slog does not show it.
type URI struct {
	// Relay is its key.
	Relay Key
	// Addresses are where it can be reached, at most MaxAddresses, without its key.
	Addresses []ma.Multiaddr
	// Token is the right to use it.
	Token Token
}

// uriBody is what the text encodes.
type uriBody struct {
	Key       Key              `cbor:"1,keyasint"`
	Addresses [][]byte         `cbor:"2,keyasint"`
	Token     TokenID          `cbor:"3,keyasint"`
	Secret    [secretSize]byte `cbor:"4,keyasint"`
}

// ParseURI reads a relay's URI; white space in it is ignored. The errors are ErrURI,
// ErrURIChanged and ErrAddress.
func ParseURI(text string) (URI, error) {
	if len(text) > 4*MaxURI {
		return URI{}, ErrURI
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	encoded, ok := strings.CutPrefix(text, uriScheme)
	if !ok || len(text) > MaxURI {
		return URI{}, ErrURI
	}
	raw, err := encoding.DecodeString(encoded)
	if err != nil || len(raw) <= checksum {
		return URI{}, ErrURIChanged
	}
	body, sum := raw[:len(raw)-checksum], raw[len(raw)-checksum:]
	if !bytes.Equal(sum, uriChecksum(body)) {
		return URI{}, ErrURIChanged
	}
	var b uriBody
	if err := codec.Unmarshal(body, maxURIBytes, &b); err != nil || len(b.Addresses) > MaxAddresses {
		return URI{}, ErrURI
	}
	u := URI{Relay: b.Key, Token: Token{b.Token, &b.Secret}}
	for _, raw := range b.Addresses {
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil || !bytes.Equal(a.Bytes(), raw) { // one form per address
			return URI{}, ErrAddress
		}
		u.Addresses = append(u.Addresses, a)
	}
	return u, u.Validate()
}

func uriChecksum(body []byte) []byte {
	sum := sha256.Sum256(append([]byte("huisclos relay uri v1\x00"), body...))
	return sum[:checksum]
}

// String returns the text to hand out. It is a secret, and only worth handing out if
// Validate agrees.
func (u URI) String() string {
	b := uriBody{Key: u.Relay, Token: u.Token.id, Secret: [secretSize]byte(u.Token.bytes())}
	for _, a := range u.Addresses {
		b.Addresses = append(b.Addresses, a.Bytes())
	}
	body, err := codec.Marshal(b)
	if err != nil {
		return ""
	}
	return uriScheme + encoding.EncodeToString(append(body, uriChecksum(body)...))
}

// LogValue hides the token.
func (u URI) LogValue() slog.Value { return slog.StringValue("relay " + u.Relay.Fingerprint()) }

// Validate tells whether ParseURI would take the URI's text.
func (u URI) Validate() error {
	if u.Token.IsZero() || len(u.Addresses) == 0 || len(u.Addresses) > MaxAddresses {
		return ErrURI
	}
	for _, a := range u.Addresses {
		if err := CheckAddress(a); err != nil {
			return err
		}
	}
	if len(u.String()) > MaxURI {
		return ErrURI
	}
	return nil
}

// CheckAddress tells whether a can be the address of a relay: an IP address, since a name
// would be a question to a third party, that stands for one machine, and QUIC, TCP, or
// WebSocket with or without TLS (RLY-8). Whether it may be dialled from here is another question.
func CheckAddress(a ma.Multiaddr) error {
	if len(a) < 2 {
		return ErrAddress
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return ErrAddress
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.IsUnspecified() || addr.IsMulticast() || a[0].Code() == ma.P_IP6ZONE || addr.IsLinkLocalUnicast() {
		return ErrAddress
	}
	if port, err := a.ValueForProtocol(a[1].Code()); err != nil || port == "0" {
		return ErrAddress
	}
	switch Kind(a) {
	case KindQUIC, KindTCP, KindWebSocket, KindWebSocketTLS:
		return nil
	}
	return ErrAddress
}

// AddressKind is the way an address is reached.
type AddressKind uint8

// The kinds, in the order in which they are tried.
const (
	KindUnknown AddressKind = iota
	KindQUIC
	KindTCP
	KindWebSocketTLS
	KindWebSocket
)

// Kind tells by which transport an IP address is reached, without looking at the IP.
func Kind(a ma.Multiaddr) AddressKind {
	if len(a) < 2 {
		return KindUnknown
	}
	is := func(codes ...int) bool {
		if len(a) != 1+len(codes) {
			return false
		}
		for i, c := range codes {
			if a[1+i].Code() != c {
				return false
			}
		}
		return true
	}
	switch {
	case is(ma.P_UDP, ma.P_QUIC_V1):
		return KindQUIC
	case is(ma.P_TCP):
		return KindTCP
	case is(ma.P_TCP, ma.P_TLS, ma.P_WS):
		return KindWebSocketTLS
	case is(ma.P_TCP, ma.P_WS):
		return KindWebSocket
	}
	return KindUnknown
}

// Addresses returns the addresses of a socket for the kinds given; none given: those worth
// handing out, QUIC, TCP, and WebSocket with TLS.
func Addresses(at netip.AddrPort, kinds ...AddressKind) []ma.Multiaddr {
	if len(kinds) == 0 {
		kinds = []AddressKind{KindQUIC, KindTCP, KindWebSocketTLS}
	}
	var out []ma.Multiaddr
	for _, k := range kinds {
		var a ma.Multiaddr
		if k == KindQUIC {
			a, _ = manet.FromNetAddr(net.UDPAddrFromAddrPort(at))
		} else {
			a, _ = manet.FromNetAddr(net.TCPAddrFromAddrPort(at))
		}
		if suffix := [...]string{KindQUIC: "/quic-v1", KindWebSocketTLS: "/tls/ws", KindWebSocket: "/ws"}[k]; suffix != "" {
			a = a.Encapsulate(ma.StringCast(suffix))
		}
		out = append(out, a)
	}
	return out
}
