package relay

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
)

// Errors callers can act on.
var (
	// ErrKey reports that Config.Key is missing or no Ed25519 key.
	ErrKey = errors.New("relay: Config.Key must be an Ed25519 private key")
	// ErrListen reports that Config.Listen is empty, or has two addresses of one family.
	ErrListen = errors.New("relay: Config.Listen wants one IPv4 address, one IPv6 address, or one of each")
	// ErrLimit reports a limit below zero.
	ErrLimit = errors.New("relay: a limit is below zero")
	// ErrClosed reports that the relay is closed.
	ErrClosed = errors.New("relay: closed")
)

// ListenError reports a socket that could not be opened. Err is the system's: see
// syscall.EADDRINUSE, EACCES and EADDRNOTAVAIL.
type ListenError struct {
	Network string // "TCP" or "UDP"
	Address netip.AddrPort
	Err     error
}

// Error names the socket.
func (e *ListenError) Error() string {
	return fmt.Sprintf("relay: listen on %s %v: %v", e.Network, e.Address, e.Err)
}

// Unwrap returns the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// Config is what a Relay is made from.
type Config struct {
	// Key is the relay's own key, the same after each restart: its users know it. Required.
	Key ed25519.PrivateKey
	// Listen has at most one IPv4 and one IPv6 address. TCP and UDP use the same port; port
	// 0 lets the system choose one that is free for both. Required.
	Listen []netip.AddrPort
	// Tokens are whose tickets are taken. None: nobody's. SetTokens changes them.
	Tokens relayauth.Tokens
	// Logger gets refusals, at the debug level: never an address, a peer or a token's secret. Nil logs nothing.
	Logger *slog.Logger

	// MaxConnections bounds the connections in all. 0: 2,048.
	MaxConnections int
	// MaxConnectionsPerAddress bounds those from one IPv4 address or IPv6 /64, which a whole
	// office may share; 16 at least, or an eighth, may wait at once to prove who they are. 0: 128.
	MaxConnectionsPerAddress int
	// MaxReservations bounds the peers who can be reached through this relay. 0: 1,024.
	MaxReservations int
	// MaxPeersPerTicket bounds the peers that use one ticket at once: a member who comes back
	// has a new peer ID while the old one is still there. 0: 4.
	MaxPeersPerTicket int
	// MaxPeersPerToken bounds the peers that use tickets of one token at once. 0: 256.
	MaxPeersPerToken int
	// MaxCircuits bounds the circuits that begin or end at one peer, of which a quarter is for those with a ticket. 0: 128.
	MaxCircuits int
	// MaxGuestCircuits bounds the circuits that a peer without a ticket opens: somebody who
	// knocks. 0: 8.
	MaxGuestCircuits int
	// BytesPerSecond is how fast one peer may send, over all its circuits; it is slowed down
	// to that. 0: 2,000,000, which is a camera and a screen to eight members.
	BytesPerSecond int
	// Burst is how many bytes a peer may send at once before it is slowed down. 0: half a
	// second's worth, at least 64 KiB.
	Burst int
	// GuestTimeout closes a connection that has neither a ticket nor a circuit. 0: 30 s.
	GuestTimeout time.Duration

	unsafe unsafeSwitches
}

// unsafeSwitches turn protections off. Only this package's tests can set them, to show
// that the attacks work without the protection.
type unsafeSwitches struct {
	noTickets     bool // RLY-2: everybody may reserve
	anyExpiry     bool // RLY-3: expired tickets are good
	noThrottle    bool // RLY-6: everybody sends as fast as they can
	anyHalfOpen   bool // RLY-5: one address may have all handshakes that are under way
	guestsTakeAll bool // RLY-5: no circuits are kept for those with a ticket
	keepAll       bool // RLY-4: removed tokens stay good, whoever is idle stays
	anySilence    bool // RLY-5, RLY-7: streams that say nothing count as circuits, however many there are
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Key) != ed25519.PrivateKeySize {
		return c, ErrKey
	}
	families := map[bool]bool{}
	for _, a := range c.Listen {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().Zone() != "" || families[a.Addr().Is4()] {
			return c, ErrListen
		}
		families[a.Addr().Is4()] = true
	}
	if len(families) == 0 {
		return c, ErrListen
	}
	for _, l := range []struct {
		v *int
		d int
	}{
		{&c.MaxConnections, 2048}, {&c.MaxConnectionsPerAddress, 128}, {&c.MaxReservations, 1024},
		{&c.MaxPeersPerTicket, 4}, {&c.MaxPeersPerToken, 256}, {&c.MaxCircuits, 128}, {&c.MaxGuestCircuits, 8},
		{&c.BytesPerSecond, 2_000_000},
	} {
		if *l.v < 0 {
			return c, ErrLimit
		}
		if *l.v == 0 {
			*l.v = l.d
		}
	}
	if c.Burst < 0 || c.GuestTimeout < 0 {
		return c, ErrLimit
	}
	if c.Burst == 0 {
		c.Burst = max(c.BytesPerSecond/2, 64<<10)
	}
	if c.GuestTimeout == 0 {
		c.GuestTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
